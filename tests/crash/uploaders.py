"""Clients that upload through every door until all is acknowledged, whatever dies meanwhile, and write down what was.

The log has a line for each archive when it is first tried, `{"tried", "files"}`, and one when it is acknowledged,
`{"acknowledged", "files", "door", "seconds"}`: the upload's id and the sha256 of what its session must hold.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import PATIENCE
from tests.crash.served import LOGIN

DOORS = ("raw", "multipart", "tus")
"""Those of the API; `xnat` is XNAT's, which answers when the import has ended."""
PIECE = 64 * 1024
RETRY_STATUSES = (423, 429, 502, 503, 504)
"""Statuses that ask for another try, of a server or a balancer before it; 409 `upload_running` is one too."""
_BOUNDARY = "scandock-crash"


class ConnectionBroken(Exception):
    """The connection broke, or the server asks to come again: nothing was promised."""


@dataclass
class Archive:
    """What is uploaded: a study of its own, so that its files stand in no other session."""

    key: str
    study: Study
    method: int = zipfile.ZIP_DEFLATED
    note: bool = True
    """With a file that is no object, which XNAT's door leaves out."""
    body: bytes = b""
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.body = zip_bytes(self.study.entries("S", note=self.note), self.method)
        self.files = tuple(sorted(self.study.held(note=self.note).files))


class Log:
    """What clients were promised, in a file."""

    def __init__(self, path: Path, on_acknowledged: Callable[[int], object] = lambda _: None) -> None:
        """`on_acknowledged` is called with their count, in the client's thread, at once when one is acknowledged."""
        self.path = path
        self._lock = threading.Lock()
        self._heard = on_acknowledged
        self.count = 0

    def tried(self, archive: Archive) -> None:
        self._write({"tried": archive.key, "files": archive.files})

    def acknowledged(self, archive: Archive, upload: str, door: str, seconds: float) -> None:
        self._write({"acknowledged": upload, "files": archive.files, "door": door, "seconds": round(seconds, 4)})
        with self._lock:
            self.count += 1
            count = self.count
        self._heard(count)

    def uploads(self) -> list[str]:
        """The ids of the uploads that were acknowledged, where the door tells them."""
        lines = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []
        return [line["acknowledged"] for line in lines if line.get("door", "xnat") != "xnat"]

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock, self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _connect(port: int, timeout: float) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


@dataclass
class Uploader:
    """Sends archives by one door, one after another."""

    port: int
    door: str
    log: Log
    halfway: Callable[[], None] = lambda: None
    """Called when half of an archive has been sent, before the rest."""
    patience: float = PATIENCE
    refused: Callable[[bytes], None] | None = None
    """Called with each refusal for want of space (507), after which it is tried again; None takes none of them."""
    login: dict[str, str] = field(default_factory=lambda: LOGIN)
    connect: Callable[[int, float], http.client.HTTPConnection] = _connect
    """A connection to a port, with a timeout in seconds."""
    failed: list[str] = field(default_factory=list)

    def run(self, archives: Iterable[Archive]) -> None:
        """Send them all; what can't be is told in `failed`."""
        for archive in archives:
            try:
                self.send(archive)
            except Exception as error:  # noqa: BLE001  told by who waits for this thread
                self.failed.append(f"{self.door} {archive.key}: {error!r}")
                return

    def send(self, archive: Archive) -> str:
        """Until it is acknowledged; the upload's id."""
        self.log.tried(archive)
        started = time.monotonic()
        once = {"raw": self._raw, "multipart": self._multipart, "tus": self._tus, "xnat": self._xnat}[self.door]
        self._upload = ""
        while True:
            try:
                upload = once(archive)
                break
            except ConnectionBroken as error:
                if time.monotonic() - started > self.patience:
                    raise AssertionError(f"never acknowledged: {error}") from error
                time.sleep(0.02)
        self.log.acknowledged(archive, upload, self.door, time.monotonic() - started)
        return upload

    def outcome(self, upload: str) -> dict[str, Any]:
        """The import's object once it has ended: its events are listened to until then."""
        while True:
            with contextlib.suppress(ConnectionBroken):
                self._ask("GET", f"/api/v1/imports/{upload}/events?after=0", {})
                status, answer, _ = self._ask("GET", f"/api/v1/imports/{upload}", {})
                assert status == 200, (status, answer)
                import_object: dict[str, Any] = json.loads(answer)
                if import_object["finished"] is not None:
                    return import_object

    def _raw(self, archive: Archive) -> str:
        return self._import(archive, "application/zip", archive.body)

    def _multipart(self, archive: Archive) -> str:
        head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename={archive.key}.zip\r\n\r\n"
        body = head.encode() + archive.body + f"\r\n--{_BOUNDARY}--\r\n".encode()
        return self._import(archive, f"multipart/form-data; boundary={_BOUNDARY}", body)

    def _import(self, archive: Archive, kind: str, body: bytes) -> str:
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Idempotency-Key": archive.key}
        status, answer, _ = self._ask(
            "POST", f"/api/v1/imports?project=P&filename={archive.key}.zip", headers, self._pieces(body)
        )
        if status != 202:
            raise AssertionError(f"{status} {answer!r}")
        return str(json.loads(answer)["id"])

    def _xnat(self, archive: Archive) -> str:
        """The URI of the session that it became. Sent again it adds nothing: all its objects are there."""
        headers = {"Content-Type": "application/zip", "Content-Length": str(len(archive.body))}
        query = "dest=/archive/projects/P&overwrite=append"
        path = f"/data/services/import?{query}&filename={archive.key}.zip"
        status, answer, _ = self._ask("POST", path, headers, self._pieces(archive.body))
        assert status == 200, (status, answer)
        return answer.decode().strip()

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        half = len(body) // 2
        yield from (body[at : min(at + PIECE, half)] for at in range(0, half, PIECE))
        self.halfway()
        yield from (body[at : at + PIECE] for at in range(half, len(body), PIECE))

    def _tus(self, archive: Archive) -> str:
        version = {"Tus-Resumable": "1.0.0"}
        if not self._upload:
            named = ",".join(
                f"{name} {base64.b64encode(value.encode()).decode()}"
                for name, value in (("project", "P"), ("filename", f"{archive.key}.zip"))
            )
            more = {"Upload-Length": str(len(archive.body)), "Upload-Metadata": named, "Idempotency-Key": archive.key}
            status, answer, headers = self._ask("POST", "/api/v1/uploads", version | more)
            assert status == 201, (status, answer)
            self._upload = headers["location"].rpartition("/")[2]
        where = f"/api/v1/uploads/{self._upload}"
        status, answer, headers = self._ask("HEAD", where, version)
        assert status == 200, f"an upload that was made is not there: {status} {answer!r}"
        offset = int(headers["upload-offset"])
        half = len(archive.body) // 2
        while offset < len(archive.body):  # two or three requests, so that kills fall between them too
            end = half if offset < half else len(archive.body)
            sums = base64.b64encode(hashlib.sha256(archive.body[offset:end]).digest()).decode()
            more = {
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(end - offset),
                "Upload-Checksum": f"sha256 {sums}",
            }
            body = self._pieces(archive.body[offset:end])
            status, answer, headers = self._ask("PATCH", where, version | more, body)
            assert status == 204, (status, answer)
            assert int(headers["upload-offset"]) == end
            offset = end
        return self._upload

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: Iterator[bytes] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Raises ConnectionBroken for what is to be tried again."""
        connection = self.connect(self.port, self.patience)
        try:
            connection.request(method, path, body, self.login | headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionBroken(repr(error)) from error
        finally:
            connection.close()
        if answer.status in RETRY_STATUSES or (answer.status == 409 and b"upload_running" in text):
            raise ConnectionBroken(f"{answer.status} {text[:200]!r}")
        if answer.status == 507 and self.refused is not None:
            self.refused(text)
            raise ConnectionBroken("there was no space for it")
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}

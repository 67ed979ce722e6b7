"""The server that is attacked: its DATA has accounts, projects, small sessions and one huge image."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import struct
import time
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attack.connections import Connection
from tests.badinput.objects import Element, Image
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import members
from tests.crash.served import FreshServerProcess, ServerProcess, basic_header
from tests.ports import free_port

ATTACKER = "127.0.0.3"
OTHER = "127.0.0.2"
PROXY = "127.0.0.9"
"""The only address whose X-Forwarded-For is believed; all others of the loopback are strangers."""
SETTINGS = {
    "SCANDOCK_TRUSTED_PROXIES": PROXY,
    "SCANDOCK_WEBHOOK_PRIVATE": "true",
    "SCANDOCK_NOTIFY_SECONDS": "2",
}
PASSWORDS = {"mallory": "mallory's password", "alice": "alice's password"}
"""The attacker's account, with the project M, and the other client's, with P."""
RLE = b"1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class AttackedSite:
    """A server in `folder`, prepared once and started anew for each section."""

    folder: Path
    huge_side: int = 10_000
    huge_frames: int = 6
    many_files: int = 600
    """Files of mallory's other session."""
    forked: bool = False
    """Fork it from a process that has imported Scandock, with passwords that cost nothing: for tests."""
    port: int = field(default_factory=free_port)
    huge: str = ""
    """The uuid of mallory's session with the huge image."""
    small: str = ""
    """The uuid of alice's session, in P."""
    huge_file: int = 0
    """The number of its only file."""
    label: str = ""
    """The label of mallory's other session, with many small files, in M."""

    @contextmanager
    def running(self) -> Iterator[ServerProcess]:
        """Serve it, prepared; killed at the end, where it does not stop when asked to."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server = (ServerProcess if self.forked else FreshServerProcess)(self.folder, self.port, **SETTINGS)
        try:
            self.server.ready()
            if not self.huge:
                self._prepare()
            yield self.server
        finally:
            self.server.kill()
            self.server.wait()

    def web_pid(self) -> int | None:
        return self.server.child("web")

    def processes(self) -> list[int]:
        return members(self.server.group)

    def faults(self) -> list[str]:
        """Lines of the server's log that tell of a fault of the program, or of a process that ended.

        A full disk is none: what does not fit is refused.
        """
        lines = self.server.err.read_text(errors="replace").splitlines()
        told = [line for line in lines if '"level": "error"' in line or line.startswith("Traceback")]
        return [line for line in told if '"code": "disk_full"' not in line]

    def free_bytes(self) -> int:
        """What is free on the disk of DATA."""
        return shutil.disk_usage(self.folder).free

    # -- requests of the attacker ------------------------------------------------------------------------------------

    def connect(self, address: str = ATTACKER, *, receive_buffer: int | None = None) -> Connection:
        return Connection(self.port, address, receive_buffer=receive_buffer)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        account: str | None = "mallory",
        address: str = ATTACKER,
        seconds: float = 60.0,
    ) -> Answer:
        """Ask as an account (None: nobody), and read the whole answer."""
        login = basic_header(account, PASSWORDS[account]) if account is not None else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds, source_address=(address, 0))
        try:
            connection.request(method, path, body, login | dict(headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def status_of(self, method: str, path: str, body: bytes | None = None, **more: Any) -> str:
        """The status alone; `closed` where the server ended the connection without one."""
        try:
            return str(self.ask(method, path, body, **more).status)
        except (http.client.HTTPException, ConnectionError):
            return "closed"
        except TimeoutError:
            return "open"

    def tus(self, length: int, account: str = "mallory") -> Answer:
        """Begin a resumable upload."""
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length)}
        return self.ask("POST", "/api/v1/uploads", b"", headers, account=account)

    def give_up(self, answers: list[Answer], account: str = "mallory") -> None:
        """End the resumable uploads that were begun."""
        for one in answers:
            if one.status == 201:
                path = urllib.parse.urlsplit(one.headers["location"]).path
                self.ask("DELETE", path, headers={"Tus-Resumable": "1.0.0"}, account=account)

    # -- what DATA has -----------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        for name, project in (("alice", "P"), ("mallory", "M")):
            account = json.dumps({"name": name, "password": PASSWORDS[name]}).encode()
            assert self.server.ask("POST", "/api/v1/accounts", account)[0] == 201
            made = self.ask(
                "POST", "/api/v1/projects", json.dumps({"id": project, "name": project}).encode(),
                {"Content-Type": "application/json"}, account=name,
            )  # fmt: skip
            assert made.status == 201, made
        small = Study(7, 1, series=2, count=6).entries("S")
        many = Study(7, 2, series=1, count=self.many_files, side=8).entries("S")
        self.small, _ = self._archive("alice", "P", zip_bytes(small))
        _, self.label = self._archive("mallory", "M", zip_bytes(many))
        self.huge, _ = self._archive("mallory", "M", huge_archive(self.huge_side, self.huge_frames))
        files = self.ask("GET", f"/api/v1/files?session={self.huge}").json["items"]
        self.huge_file = files[0]["id"]

    def _archive(self, account: str, project: str, body: bytes) -> tuple[str, str]:
        """Upload an archive of one session, and wait until it is archived; its uuid and label."""
        state, sessions = self.upload(account, project, body)
        assert state == "placed", (state, sessions)
        label = sessions[0]["label"]
        listed = self.ask("GET", f"/api/v1/sessions?project={project}", account=account).json["items"]
        (uuid,) = [session["id"] for session in listed if session["label"] == label]
        return uuid, label

    def upload(self, account: str, project: str, body: bytes) -> tuple[str, list[dict[str, Any]]]:
        """Upload an archive, and wait until its import has ended; its state and sessions."""
        path = f"/api/v1/imports?project={project}&destination=archive&filename=S.zip"
        sent = self.ask("POST", path, body, account=account)
        assert sent.status == 202, sent
        while True:
            now = self.ask("GET", f"/api/v1/imports/{sent.json['id']}", account=account).json
            if now["finished"] is not None:
                return now["state"], now["sessions"]
            time.sleep(0.05)


def huge_archive(side: int, frames: int) -> bytes:
    """A zip of a little multi-frame file whose frames are `side` x `side` pixels once they are decoded."""
    also: dict[int, Element] = {
        0x00280008: (b"IS", b"%d" % frames),
        0x00280010: (b"US", struct.pack("<H", side)),
        0x00280011: (b"US", struct.pack("<H", side)),
        0x00280100: (b"US", struct.pack("<H", 8)),
        0x00280101: (b"US", struct.pack("<H", 8)),
        0x00280102: (b"US", struct.pack("<H", 7)),
    }
    image = Image(
        case="attack", patient_id=b"HUGE", patient_name=b"HUGE^IMAGE", also=also, without=frozenset({0x7FE00010})
    )
    frame = _rle_frame(side)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    pixels = head + item * frames + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("HUGE/scans/1/resources/DICOM/files/1.dcm", image.file(syntax=RLE) + pixels)
    return raw.getvalue()


def _rle_frame(side: int) -> bytes:
    """One segment of runs, each row for itself (PS3.5 annex G)."""
    rows = []
    for row in range(side):
        value = bytes([row % 251])
        runs, rest = divmod(side, 128)
        last = b"" if not rest else (b"\0" if rest == 1 else bytes([257 - rest])) + value
        rows.append((b"\x81" + value) * runs + last)
    segment = b"".join(rows)
    segment += b"\0" * (len(segment) % 2)
    return struct.pack("<16I", 1, 64, *([0] * 14)) + segment

"""Downloads over real connections: the same bytes as without, and nothing left open of those that are broken off."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from scandock.web import body_sending
from tests.builders import DataFolder, Image, uploader_layout
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket

LARGE = os.urandom(1024 * 1024) * 16
"""More than the buffers of a socket take."""
SESSION = uploader_layout("S1", "1", [Image(case="sent", number=n).file() for n in (1, 2, 3)]) | {
    "S1/resources/RAW/files/large.bin": LARGE,
    "S1/resources/RAW/files/empty.bin": b"",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return DataFolder(root=tmp_path_factory.mktemp("sent"), checked=False)


@pytest.fixture(scope="module")
def web(site: DataFolder) -> Iterator[Web]:
    with serve_by_socket(site.data) as running:
        site.bring(SESSION, session="S1")
        yield running


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[body_sending.BodySender]:
    """The bodies that threads have sent."""
    senders: list[body_sending.BodySender] = []
    send = body_sending.BodySender.send

    async def noted(self: body_sending.BodySender, *more: Any) -> None:
        senders.append(self)
        await send(self, *more)

    monkeypatch.setattr(body_sending.BodySender, "send", noted)
    return senders


def find(client: httpx.Client) -> tuple[str, str]:
    """The session, and the address of its large file."""
    (session,) = client.get("/api/v1/sessions").json()["items"]
    listed = client.get("/api/v1/files", params={"session": session["id"], "search": "large"}).json()["items"]
    return session["id"], f"/api/v1/sessions/{session['id']}/files/{listed[0]['id']}/content"


def unpack(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name.removeprefix("S1/"): archive.read(name) for name in archive.namelist()}


def test_threads_send_what_the_loop_would(web: Web, site: DataFolder, sent: list[Any]) -> None:
    with web.client() as client:  # all by one connection, whose next answer shows that the one before was whole
        uuid, file = find(client)
        whole = client.get(file)
        assert (whole.content == LARGE, whole.headers["content-length"]) == (True, str(len(LARGE)))
        tag = {"If-Range": whole.headers["etag"]}
        part = client.get(file, headers={"Range": "bytes=1000-9000000", **tag})
        assert (part.status_code, part.content == LARGE[1000:9000001]) == (206, True)
        last = client.get(file, headers={"Range": "bytes=-7"})
        assert (last.status_code, last.content) == (206, LARGE[-7:])
        other = client.get(file, headers={"Range": "bytes=-7", "If-Range": '"other"'})
        assert (other.status_code, other.content == LARGE) == (200, True)
        assert len(sent) == 4
        assert client.get(file, headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
        assert client.get(file, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
        head = client.head(file)
        assert (head.headers["content-length"], head.content) == (str(len(LARGE)), b"")
        of_zip = client.head("/data/projects/P/experiments/S1/scans/ALL/files?format=zip")
        assert (of_zip.status_code, of_zip.headers["content-type"], of_zip.content) == (200, "application/zip", b"")
        assert len(sent) == 4

        stored = {path.removeprefix("archive/P/S1/"): None for path in site.files()}
        of_session = client.get(f"/api/v1/sessions/{uuid}/download")
        assert of_session.headers["content-length"] == str(len(of_session.content))
        files = unpack(of_session)
        assert (sorted(files), files["resources/RAW/files/large.bin"] == LARGE) == (sorted(stored), True)
        of_project = client.get("/api/v1/projects/P/download")  # of which nobody knows the length
        assert of_project.headers["transfer-encoding"] == "chunked"
        packed = client.get(f"/api/v1/sessions/{uuid}/download", params={"compress": True})
        assert files == unpack(of_project) == unpack(packed)
        assert len(sent) == 7
        trail = client.get("/api/v1/audit", params={"action": "download"}).json()["items"]
        assert len(trail) == 10  # each that was asked for, but for the file's head


@pytest.mark.parametrize("what", ["file", "zip"])
def test_of_a_download_that_is_broken_off_nothing_stays_open(web: Web, site: DataFolder, sent: list[Any], what) -> None:
    with web.client() as client:
        uuid, path = find(client)
    path = path if what == "file" else f"/api/v1/sessions/{uuid}/download"
    credentials = b64encode(f"admin:{PASSWORD}".encode()).decode()
    with socket.create_connection(("127.0.0.1", urlsplit(web.base).port or 0)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        until(lambda: sent and sent[0].waits)
        assert open_files(site.data / "archive")
    until(lambda: not open_files(site.data / "archive"))
    until(lambda: not web.site.response_buffers.bytes)
    assert [step for step in web.logged if step["event"] == "disconnected"]
    with web.client() as client:
        assert client.get(path).status_code == 200


def test_a_client_that_a_thread_finds_gone_before_the_server_does_is_no_fault(web: Web, monkeypatch, caplog) -> None:
    def find_it_gone(sender: body_sending.BodySender) -> body_sending.Turn:
        raise body_sending.ClientStopped

    with web.client() as client:
        _, file = find(client)
        monkeypatch.setattr(body_sending.BodySender, "_take_turn", find_it_gone)
        known = len(web.logged)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(file)
    until(lambda: [step for step in web.logged[known:] if step["event"] == "disconnected"])
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def open_files(folder: Path) -> list[str]:
    """What this process has open below a folder."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return [name for name in names if name.startswith(f"{folder}/")]


def test_of_a_file_that_has_shrunk_the_client_is_told_by_the_end_of_the_connection(web: Web, site: DataFolder) -> None:
    with web.client() as client:
        _, file = find(client)
        (path,) = (site.data / "archive").rglob("large.bin")
        path.chmod(0o644)
        with path.open("r+b") as stream:
            stream.truncate(len(LARGE) - 10)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(file)

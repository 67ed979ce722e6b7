"""Servers to measure, each in a process group of its own, and a client that only sends."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASSWORD = "bench"
AUTH = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 40.0


@contextmanager
def scandock(data: Path, *options: str, **settings: str) -> Iterator[tuple[int, int]]:
    """A server on a fresh DATA with the project BENCH: (its port, its process).

    `options` are further words of its command, `settings` further variables.
    """
    port = free_port()
    words = [str(Path(sys.executable).with_name("scandock")), "serve", "--data", str(data), "--port", str(port)]
    settings = {"SCANDOCK_ADMIN_PASSWORD": PASSWORD, **settings}
    with running([*words, *options], data.with_name(f"{data.name}.log"), port, **settings) as pid:
        asked = "/healthz" if "web" in options else "/readyz"  # which wants a worker, on whatever host
        while ask(port, "GET", asked)[0] != 200:
            time.sleep(0.05)
        status, _ = ask(port, "POST", "/api/v1/projects", {"id": "BENCH", "name": "BENCH"})
        if status not in (200, 201, 409):  # another server of the same catalog has made it
            raise SystemExit(f"bench: the project could not be made: {status}")
        yield port, pid


@contextmanager
def bare(folder: Path) -> Iterator[tuple[int, int]]:
    """The bare receiver: (its port, its process)."""
    folder.mkdir(parents=True)
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "bench.bare:app", "--port", str(port)]
    words += ["--http", "httptools", "--loop", "uvloop", "--log-level", "warning"]
    with running(words, folder / "log", port, BENCH_FOLDER=str(folder)) as pid:
        yield port, pid


@contextmanager
def orthanc(program: str, folder: Path) -> Iterator[tuple[int, int, int]]:
    """Orthanc with its own settings but for folders, ports and who may send: (HTTP port, DICOM port, its process)."""
    folder.mkdir(parents=True)
    http, dicom = free_port(), free_port()
    settings = folder / "orthanc.json"
    storage = str(folder / "storage")
    settings.write_text(
        json.dumps(
            {
                "StorageDirectory": storage, "IndexDirectory": storage, "HttpPort": http, "DicomPort": dicom,
                "DicomAet": "ORTHANC", "AuthenticationEnabled": False, "Plugins": [],
            }
        )
    )  # fmt: skip
    with running([program, str(settings)], folder / "log", dicom) as pid:
        yield http, dicom, pid


@contextmanager
def running(words: list[str], log: Path, port: int, **more: str) -> Iterator[int]:
    """A server by its command line, until the end: its process, once it takes connections at the port."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=os.environ | more, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"bench: the server did not come up: {log.read_text()[-2000:]}") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON of an answer; a body that is no bytes goes as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": AUTH, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Sending:
    """A raw upload: `send` as much of a file as wanted, then `answer`."""

    def __init__(self, port: int, path: str, size: int, media_type: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: bench",
            f"Authorization: {AUTH}",
            *([f"Content-Type: {media_type}"] if media_type else []),
            f"Content-Length: {size}",
        )
        self.socket.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    def send(self, file: int, offset: int, count: int) -> None:
        """Send bytes of a file, by the kernel: the client costs next to nothing."""
        end = offset + count
        while offset < end:
            offset += os.sendfile(self.socket.fileno(), file, offset, end - offset)

    def answer(self) -> tuple[int, Any]:
        with self.socket.makefile("rb") as lines:
            status = int(lines.readline().split()[1])
            length = 0
            while (line := lines.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = lines.read(length)
        self.socket.close()
        return status, json.loads(body) if body[:1] == b"{" else body


IMPORTS = "/api/v1/imports?project=BENCH&destination=archive&filename="


def send_archive(port: int, path: Path, name: str, project: str = "BENCH") -> Any:
    """Send an archive as a raw upload; the import that was accepted."""
    size = path.stat().st_size
    with path.open("rb") as file:
        sending = Sending(port, f"{IMPORTS.replace('BENCH', project)}{name}", size)
        sending.send(file.fileno(), 0, size)
    status, told = sending.answer()
    if status != 202:
        raise SystemExit(f"bench: an upload was answered with {status}: {told}")
    return told


def wait_until_placed(port: int, upload: str) -> Any:
    """The import once it has placed its sessions."""
    while True:
        _, now = ask(port, "GET", f"/api/v1/imports/{upload}")
        if now["state"] not in ("received", "running"):
            break
        time.sleep(0.02)
    if now["state"] != "placed":
        raise SystemExit(f"bench: the import ended {now['state']}: {now['message']}")
    return now

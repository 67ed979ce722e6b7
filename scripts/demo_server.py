"""The part of the demo that serves: a server over the demo's data, and an upload that is cut half-way and goes on."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

SCANDOCK = Path(sys.executable).with_name("scandock")
PROJECT = "UPLOADED"
TUS = {"Tus-Resumable": "1.0.0"}
WAITING = {"receiving", "received", "running"}
PR_SET_PDEATHSIG = 1


class Ended(Exception):
    """Ctrl-C, or a polite kill."""


def hear_signals() -> None:
    """Let Ctrl-C and SIGTERM raise Ended."""

    def raise_ended(*_: object) -> None:
        raise Ended

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, raise_ended)


class Server:
    """`scandock serve` on a free port."""

    def __init__(self, process: subprocess.Popen[str], url: str, password: str) -> None:
        self.process = process
        self.url = url
        self.password = password
        self.api = httpx.Client(base_url=f"{url}/api/v1", auth=("admin", password), trust_env=False, timeout=60)

    def session_page(self, project: str, label: str) -> str:
        """The address of a session's page."""
        return f"{self.url}/projects/{project}/sessions/{quote(label, safe='')}"


@contextlib.contextmanager
def served(data: Path, log: Path) -> Iterator[Server]:
    """A server of `data` while the body runs; its log goes to a file. It ends with this process, however that ends."""
    password = os.environ.get("SCANDOCK_ADMIN_PASSWORD") or secrets.token_urlsafe(9)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [SCANDOCK, "serve", "--data", data, "--port", "0"],
            env={**os.environ, "SCANDOCK_ADMIN_PASSWORD": password},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0),  # noqa: PLW1509
        )
    try:
        yield Server(process, _address(process, log), password)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """Where it serves, once it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"at (http://\S+)/$", line.rstrip())
        if found:
            url = found[1]
            while not _ready(url):
                if process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return url
    raise SystemExit(f"The server did not start; {log} says why.")


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def upload_in_two_parts(server: Server, archive: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Upload by tus 1.0, let the connection break half-way, and go on from what the server has; the import's object."""
    server.api.post("/projects", json={"id": PROJECT, "name": "Came by the API"}).raise_for_status()
    content = archive.read_bytes()
    named = {"project": PROJECT, "filename": archive.name}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in named.items())
    begun = server.api.post(
        "/uploads", headers={**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": metadata}
    )
    begun.raise_for_status()
    where = server.url + begun.headers["Location"]
    say(f"POST /api/v1/uploads  {archive.name}, {len(content):,} bytes, into the project {PROJECT}")
    with contextlib.suppress(ConnectionResetError):
        _send(server, where, 0, len(content), _cut(server, content))
    offset = _kept(server, where, at_least=len(content) // 2)
    say(f"PATCH               the connection breaks half-way; the server has {offset:,} bytes of it")
    _send(server, where, offset, len(content) - offset, iter([content[offset:]])).raise_for_status()
    say(f"PATCH               the other {len(content) - offset:,} bytes; the import begins by itself")
    return outcome(server, where.rpartition("/")[2])


def _send(server: Server, where: str, offset: int, length: int, pieces: Iterator[bytes]) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Length": str(length)}
    headers["Content-Type"] = "application/offset+octet-stream"
    return server.api.patch(where, headers=headers, content=pieces)


def _cut(server: Server, content: bytes) -> Iterator[bytes]:
    """The first half, then an end of the connection, once the half has arrived."""
    half = len(content) // 2
    yield content[:half]
    while _taken(server) < half:
        time.sleep(0.02)
    raise ConnectionResetError


def _taken(server: Server) -> int:
    """Bytes that the server has taken by all its doors."""
    metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
    return int(float(re.findall(r"^scandock_received_bytes_total (\S+)$", metrics, re.MULTILINE)[0]))


def _kept(server: Server, where: str, at_least: int) -> int:
    """What the server has, once it has seen that the connection is broken."""
    while True:
        answer = server.api.head(where, headers=TUS)
        answer.raise_for_status()
        offset = int(answer.headers["Upload-Offset"])
        if offset >= at_least:
            return offset
        time.sleep(0.02)


def outcome(server: Server, uuid: str) -> dict[str, Any]:
    """The import's object, once it has ended."""
    while True:
        found: dict[str, Any] = server.api.get(f"/imports/{uuid}").raise_for_status().json()
        if found["state"] not in WAITING:
            return found
        time.sleep(0.05)


def tell(server: Server, found: dict[str, Any], say: Callable[[str], None]) -> None:
    """What became of the upload: its sessions, and the sums of its receipt."""
    say(f"Import {found['id']}: {found['state']}")
    for session in found["sessions"]:
        where = "/".join(session[key] for key in ("project", "subject", "label"))
        count = "1 file" if session["files"] == 1 else f"{session['files']} files"
        say(f"  {where}  {count}, {session['path']}")
    receipt = server.api.get(f"/imports/{found['id']}/receipt").raise_for_status()
    lines = [line for line in receipt.iter_lines() if line]
    sums = Counter(re.search(r'"verdict": "(\w+)"', line)[1] for line in lines)
    told = ", ".join(f"{count} {what}" for what, count in sums.items())
    say(f"Its receipt accounts for all {len(lines)} files: {told}.")

"""Answers that nobody reads, over real connections: what they hold, and who is let go; those that pause go on."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from scandock.services.settings import load_settings
from scandock.web import response_sending
from tests.builders import DataFolder, uploader_layout
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket
from tests.unit.viewing.made import dataset, file_of

pytestmark = pytest.mark.long

SIDE = 2500
FRAME = SIDE * SIDE * 2
"""Bytes: more than the system's buffers at both ends take."""


@pytest.fixture
def web(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(response_sending, "LOOK_SECONDS", 0.01)
    with serve_by_socket(site.data, load_settings().model_copy(update={"answer_bytes": 5 * FRAME})) as running:
        pixels = (np.arange(SIDE * SIDE, dtype="u4") % 60_000).astype("<u2").reshape(SIDE, SIDE)
        image = file_of(dataset(pixels, SeriesNumber=4))
        site.bring(uploader_layout("S1", "4", [image]), session="S1", destination="archive")
        yield running


@pytest.fixture
def uuid(web: Web) -> str:
    with web.client() as client:
        (found,) = client.get("/api/v1/sessions").json()["items"]
    return str(found["id"])


@pytest.fixture
def ask(web: Web) -> Iterator[Callable[..., HTTPResponse]]:
    """Asks, and gives the head of the answer; its body is left where it is."""
    with ExitStack() as connections:

        def asked(path: str, name: str = "admin") -> HTTPResponse:
            credentials = b64encode(f"{name}:{PASSWORD}".encode()).decode()
            asking = connections.enter_context(closing(HTTPConnection("127.0.0.1")))
            asking.sock = connections.enter_context(socket.socket())
            asking.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            asking.sock.connect(("127.0.0.1", urlsplit(web.base).port))
            asking.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
            return connections.enter_context(closing(asking.getresponse()))

        yield asked


def ended(web: Web) -> dict[str, float]:
    with web.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return {
        line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("scandock_answers_ended_total{")
    }


def test_unread_frames_hold_no_memory_and_end_after_a_minute(web: Web, uuid: str, site: DataFolder, ask: Any) -> None:
    web.account("ann", P="member")
    web.account("bob", P="member")
    with web.client() as client:
        number = client.get("/api/v1/files", params={"session": uuid}).json()["items"][0]["id"]
    frame, file = f"/api/v1/sessions/{uuid}/scans/4/frames/0", f"/api/v1/sessions/{uuid}/files/{number}/content"
    now = 0.0
    web.site.answers.clock = lambda: now

    def later(seconds: float, condition: Callable[[], Any]) -> None:
        """Let the clock go on by some seconds at a time until something is so."""

        def so() -> bool:
            nonlocal now
            if condition():
                return True
            now += seconds
            return False

        until(so)

    paused = ask(file, "ann")
    unread = [ask(frame, name) for name in ("admin", "ann")]
    assert [one.status for one in (paused, *unread)] == [200, 200, 200]
    until(lambda: web.site.response_buffers.bytes == 2 * FRAME + response_sending.STREAM_BYTES)
    open_files = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    named = [os.readlink(path) for path in open_files if path.is_symlink()]
    assert sum(name.startswith(f"{site.data}/cache/") and name.endswith("(deleted)") for name in named) == 2

    refused = ask(frame, "ann")  # who holds one already
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert b'"answers_full"' in refused.read()
    whole = ask(f"/api/v1/sessions/{uuid}/download", "bob")  # a stream needs little room
    assert (whole.status, len(whole.read()) > FRAME) == (200, True)
    with web.client("bob") as client:
        assert client.get(f"/api/v1/sessions/{uuid}").status_code == 200

    later(20, lambda: ended(web).get("large") == 2)
    until(lambda: web.site.response_buffers.bytes == response_sending.STREAM_BYTES)
    for one in unread:
        with pytest.raises((OSError, IncompleteRead)):
            one.read()
        one.close()
    again = ask(frame, "ann")
    assert (again.status, len(again.read())) == (200, FRAME)

    later(20, lambda: now >= 300)
    assert ended(web) == {"large": 2}
    assert len(paused.read()) > FRAME
    left = ask(file, "ann")
    until(lambda: web.site.response_buffers.bytes == response_sending.STREAM_BYTES)
    later(web.site.settings.download_idle_seconds / 4, lambda: ended(web).get("other") == 1)
    with pytest.raises((OSError, IncompleteRead)):
        left.read()
    left.close()
    until(lambda: web.site.response_buffers.bytes == 0)

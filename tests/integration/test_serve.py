"""`scandock serve` as people start it: ready, killed in parts and whole, started again, stopped.

To start it takes seconds, so that one server goes through what does not spoil the rest.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.archives import Study, zip_bytes
from tests.crash.forked import ForkedCommand
from tests.crash.processes import environment, is_stopped, members, until
from tests.crash.served import LOGIN, FreshServerProcess
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]

STUDY = Study(51, 1, count=4, side=8)
BODY = zip_bytes(STUDY.entries("S"))
TROUBLE = ("warning", "error", "critical")
HEAP_BYTES = 64 * 1024 * 1024
UNDER_WAY = {
    "raw": ("application/zip", b"PK"),
    "multipart": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.zip"\r\n\r\nPK',
    ),
}
"""The type and the beginning of a body, by door."""


@pytest.fixture
def serve(tmp_path):
    port = free_port()
    begun = []

    def start(**changes):
        begun.append(FreshServerProcess(tmp_path, port, **changes))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()
        one.wait()


def logged(server):
    """What it wrote to its standard error: a JSON object a line, whoever of it wrote."""
    return [json.loads(line) for line in server.err.read_text().splitlines()]


def test_one_server_from_its_start_to_its_stop(serve, subtests):
    server = serve(SCANDOCK_TRASH_DAY="3").ready()
    with subtests.test("a misspelt variable is told at the start"):
        _warned_of_a_setting(server)
    with subtests.test("an upload is placed"):
        uuid = server.send(BODY)
        server.placed(uuid)
        _tells_who_logs_and_no_secret(server, uuid)
    for child in ("web", "worker"):
        with subtests.test("all its threads share a heap", child=child):
            assert further_heaps(server.child(child)) == []
    with subtests.test("a second server of the same data is refused"):
        code, _, err = begun_with(server.data, "--port", str(server.port))
        assert code == 1
        assert "Another server is at work" in err
    with subtests.test("a worker that is stopped is not ready"):
        _is_not_ready_while_its_worker_is_stopped(server)
    for child in ("web", "worker", "fork server"):
        with subtests.test("a dead child is started again", child=child):
            _is_restarted(server, child)
    with subtests.test("uploads that are under way are told that the server stops"):
        answers = _stopped_under(server, UNDER_WAY)
        assert server.wait() == 0
        for answer in answers:
            _tells_that_the_server_stops(answer)
    with subtests.test("nothing is left, and stopping was no trouble"):
        lines = logged(server)
        stopping = [line["event"] for line in lines].index("stopping")
        assert [line for line in lines[stopping:] if line["level"] in TROUBLE] == []
        assert [line["event"] for line in lines].count("setting_unknown") == 1
        assert os.listdir(server.data / "incoming") == []
        assert os.listdir(server.data / "work") == []


def further_heaps(pid):
    """Where glibc has made heaps beside a process's first one: 64 MB each, kept free, of which a part is in use."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        areas = [(*(int(end, 16) for end in line.split()[0].split("-")), line.split()[1][:3]) for line in maps]
    pairs: Iterator[Any] = itertools.pairwise(areas)
    return [
        hex(start)
        for (start, middle, used), (begin, end, kept) in pairs
        if (used, kept) == ("rw-", "---") and middle == begin and end - start == HEAP_BYTES and not start % HEAP_BYTES
    ]


def _warned_of_a_setting(server):
    first = logged(server)[0]
    assert (first["event"], first["level"]) == ("setting_unknown", "warning")
    assert first["message"] == "SCANDOCK_TRASH_DAY is set, but no setting has that name; SCANDOCK_TRASH_DAYS has."


def _tells_who_logs_and_no_secret(server, uuid):
    out, err = server.out.read_text(), server.err.read_text()
    assert f"http://127.0.0.1:{server.port}/" in out
    assert "secret" not in out + err
    lines = logged(server)
    assert {line["process"] for line in lines} == {"supervisor", "web", "worker", "attempt"}
    assert {line["process"] for line in lines if line.get("upload") == uuid} == {"web", "worker", "attempt"}
    assert all(line["request_id"] for line in lines if line["event"] == "request")
    assert [line["event"] for line in lines if line["level"] in TROUBLE] == ["setting_unknown"]
    assert "CRASH51" not in err
    assert "one.zip" not in err


def _is_not_ready_while_its_worker_is_stopped(server):
    worker = server.child("worker")
    os.kill(worker, signal.SIGSTOP)
    until(lambda: server.ask("GET", "/readyz")[0] == 503, "it stayed ready")
    told = server.ask("GET", "/readyz")[1]
    assert (told["ready"], told["checks"]["catalog"]) == (False, "ok")
    assert told["checks"]["workers"] == "worker_missing"
    os.kill(worker, signal.SIGCONT)
    server.ready()
    assert server.child("worker") == worker


def _is_restarted(server, child):
    old = server.child(child)
    os.kill(old, signal.SIGKILL)
    until(lambda: server.child(child) not in (None, old), "it was not started again")
    server.ready()
    server.placed(server.send(BODY))


def _stopped_under(server, doors):
    """Tell the server to stop once an upload has begun at each of the doors; the answers, once all are whole."""
    connections = []
    try:
        for kind, begin in doors.values():
            raw = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            connections.append(raw)
            login = LOGIN["Authorization"]
            head = f"Host: x\r\nAuthorization: {login}\r\nContent-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n"
            raw.sendall(b"POST /api/v1/imports HTTP/1.1\r\n" + head.encode() + begin)
        until(lambda: len(_receiving(server)) == len(doors), "the uploads never began")
        os.kill(server.process.pid, signal.SIGTERM)
        return [_read_all(raw) for raw in connections]
    finally:
        for raw in connections:
            raw.close()


def _receiving(server):
    return [one for one in server.ask("GET", "/api/v1/imports")[1]["items"] if one["state"] == "receiving"]


def _read_all(raw):
    answer = b""
    while piece := raw.recv(65536):
        answer += piece
    return answer


def _tells_that_the_server_stops(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 10" in head.lower()
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "server_stopping"


def test_after_a_kill_it_is_ready_at_once_and_the_import_goes_on(serve):
    first = serve(SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP").ready()
    uuid = first.send(BODY)
    until(lambda: is_stopped(first.child("attempt")), "the import did not get there")
    first.kill()
    begun = time.monotonic()
    second = serve().ready()
    assert time.monotonic() - begun < 40
    second.placed(uuid)
    assert len(members(second.group)) >= 3
    second.kill(whole=False)  # the supervisor alone: all die with it
    assert second.wait() == -signal.SIGKILL


def begun_with(data, *words, **changes):
    """Exit code, output and errors of a server that can't begin."""
    command = ["scandock", "serve", "--data", str(data), *words]
    process = ForkedCommand("scandock.cli:main", argv=command, env=environment(**changes))
    out, err = process.communicate(60)
    return process.returncode, out, err


def test_an_address_of_another_machine_is_said_at_once(tmp_path):
    address = ("--port", str(free_port()), "--host", "192.0.2.1")  # of documentation, RFC 5737: nobody has it
    code, _, err = begun_with(tmp_path / "data", *address)
    assert code == 2
    assert "192.0.2.1 is no address of this machine." in err


def test_settings_that_do_not_fit_each_other_end_it_before_it_begins(tmp_path):
    changes = {"SCANDOCK_OIDC_ISSUER": "https://login.example.org", "SCANDOCK_SMTP_PASSWORD": "geheim"}
    code, out, err = begun_with(tmp_path / "data", **changes)
    assert code == 2
    assert "SCANDOCK_OIDC_CLIENT_ID is not" in err
    assert "SCANDOCK_SMTP_HOST is not" in err
    assert "geheim" not in err + out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", ["0", "65536", "eleven", ""])
def test_a_port_of_dicom_that_is_none_is_said_so(tmp_path, port):
    code, _, err = begun_with(tmp_path / "data", "--dicom-port", port)
    assert code == 2
    assert f"{port!r} is no port for DICOM" in err

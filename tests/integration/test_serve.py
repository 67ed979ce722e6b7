"""`scandock serve` as people start it: ready, killed, started again, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest

from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import SCANDOCK, Command, members, until
from tests.crash.served import LOGIN, WORKER, Served, free_port

pytestmark = pytest.mark.crash

STUDY = Study(51, 1, count=4, side=8)
BODY = zip_bytes(STUDY.entries("S"))


@pytest.fixture
def serve(tmp_path):
    port = free_port()
    begun = []

    def start(**changes):
        begun.append(Served(tmp_path, port, **changes))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()
        one.wait()


def test_an_upload_is_placed_and_the_server_stops_cleanly(serve, tmp_path):
    server = serve().ready()
    uuid = server.send(BODY)
    server.placed(uuid)
    server.end()
    out, err = server.out.read_text(), server.err.read_text()
    assert f"http://127.0.0.1:{server.port}/" in out
    assert "secret" not in out + err
    logged = [json.loads(line) for line in err.splitlines()]
    assert {line["process"] for line in logged} == {"supervisor", "web", "worker"}
    assert {line["process"] for line in logged if line.get("upload") == uuid} == {"web", "worker"}
    assert all(line["request_id"] for line in logged if line["event"] == "request")
    assert "CRASH51" not in err
    assert "one.zip" not in err
    assert not os.listdir(tmp_path / "data" / "work")


def test_a_misspelt_variable_is_said_at_the_start(serve):
    server = serve(SCANDOCK_TRASH_DAY="3").ready()
    server.end()
    logged = [json.loads(line) for line in server.err.read_text().splitlines()]
    assert logged[0]["event"] == "setting_unknown"
    assert logged[0]["level"] == "warning"
    assert logged[0]["message"] == ("SCANDOCK_TRASH_DAY is set, but no setting has that name; SCANDOCK_TRASH_DAYS has.")
    assert [line["event"] for line in logged].count("setting_unknown") == 1


def test_an_address_of_another_machine_is_said_at_once(tmp_path):
    server = Served(tmp_path, free_port(), "--host", "192.0.2.1")  # of documentation, RFC 5737: nobody has it
    assert server.wait() == 2
    assert "192.0.2.1 is no address of this machine." in server.err.read_text()


def test_after_a_kill_it_is_ready_at_once_and_the_import_goes_on(serve):
    first = serve(SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP").ready()
    uuid = first.send(BODY)
    until(lambda: _stopped(first.child(b"workers.attempt")), "the import did not get there")
    first.kill()
    begun = time.monotonic()
    second = serve().ready()
    assert time.monotonic() - begun < 40
    second.placed(uuid)
    second.end()


def _stopped(pid):
    if pid is None:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


@pytest.mark.parametrize("child", [b"scandock.http.process", b"workers.worker"])
def test_a_dead_child_is_started_again(serve, child):
    server = serve().ready()
    old = server.child(child)
    os.kill(old, signal.SIGKILL)
    until(lambda: server.child(child) not in (None, old), "it was not started again")
    server.ready()
    server.placed(server.send(BODY))
    server.end()


@pytest.mark.parametrize("door", ["raw", "multipart"])
def test_an_upload_that_is_under_way_is_told_that_the_server_stops(serve, door):
    server = serve().ready()
    kind, begin = {
        "raw": ("application/zip", b"PK"),
        "multipart": (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.zip"\r\n\r\nPK',
        ),
    }[door]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        login = LOGIN["Authorization"]
        head = f"Host: x\r\nAuthorization: {login}\r\nContent-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n"
        raw.sendall(b"POST /api/v1/imports HTTP/1.1\r\n" + head.encode() + begin)
        until(lambda: server.ask("GET", "/api/v1/imports")[1]["items"], "the upload never began")
        os.kill(server.process.pid, signal.SIGTERM)
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    assert server.wait() == 0
    said, _, body = answer.partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 10" in said.lower()
    assert b"application/problem+json" in said
    assert json.loads(body)["code"] == "server_stopping"
    logged = [json.loads(line) for line in server.err.read_text().splitlines()]
    assert [line for line in logged if line["level"] in ("warning", "error", "critical")] == []
    assert os.listdir(server.data / "incoming") == []


def test_a_worker_that_is_stopped_is_not_ready(serve):
    server = serve().ready()
    worker = server.child(WORKER)
    os.kill(worker, signal.SIGSTOP)
    until(lambda: server.ask("GET", "/readyz")[0] == 503, "it stayed ready")
    told = server.ask("GET", "/readyz")[1]
    assert (told["ready"], told["checks"]["catalog"]) == (False, "ok")
    assert told["checks"]["workers"].startswith("the worker was not heard of for ")
    os.kill(worker, signal.SIGCONT)
    server.ready()
    assert server.child(WORKER) == worker
    server.end()


def test_all_die_with_the_supervisor(serve):
    server = serve().ready()
    assert len(members(server.group)) >= 3
    server.kill(whole=False)
    assert server.wait() == -signal.SIGKILL


def test_a_second_server_of_the_same_data_is_refused(serve):
    server = serve().ready()
    second = serve()
    assert second.wait() == 1
    assert "Another server is at work" in second.err.read_text()
    server.end()


def test_settings_that_do_not_fit_each_other_end_it_before_it_begins(tmp_path):
    changes = {"SCANDOCK_OIDC_ISSUER": "https://login.example.org", "SCANDOCK_SMTP_PASSWORD": "geheim"}
    done = Command([SCANDOCK, "serve", "--data", tmp_path / "data"], **changes).wait()
    assert done.code == 2
    assert "SCANDOCK_OIDC_CLIENT_ID is not" in done.err
    assert "SCANDOCK_SMTP_HOST is not" in done.err
    assert "geheim" not in done.err + done.out
    assert not (tmp_path / "data").exists()


def test_a_receiver_that_is_not_there_yet_is_said_so(tmp_path):
    done = Command([SCANDOCK, "serve", "--data", tmp_path / "data", "--dicom-port", "11112"]).wait()
    assert done.code == 2
    assert "no DICOM receiver" in done.err

"""`scandock serve` as people start it: ready, killed, started again, stopped."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import SCANDOCK, Command, environment, members, until

pytestmark = pytest.mark.crash

STUDY = Study(51, 1, count=4, side=8)
BODY = zip_bytes(STUDY.entries("S"))
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"admin:secret").decode()}


class Serving:
    """A server in a group of its own; what it prints goes to files, since nobody reads it while it runs."""

    def __init__(self, folder, port, **changes):
        words = [SCANDOCK, "serve", "--data", folder / "data", "--port", str(port)]
        self.port = port
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                words,
                env=environment(SCANDOCK_ADMIN_PASSWORD="secret", **changes),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.group = self.process.pid

    def kill(self, *, whole=True):
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole else os.kill)(self.group, signal.SIGKILL)

    def wait(self):
        code = self.process.wait(60)
        until(lambda: not members(self.group), f"processes {members(self.group)} outlived the server")
        return code

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {**LOGIN, **({"Content-Type": "application/json"} if body and body[:1] == b"{" else {})}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text[:1] == b"{" else text

    def ready(self):
        def good():
            assert self.process.poll() is None, self.err.read_text()
            try:
                return self.ask("GET", "/readyz")[0] == 200
            except OSError:
                return False

        until(good, "it was never ready")
        return self

    def child(self, what):
        found = [pid for pid in members(self.group) if what in _words(pid)]
        return found[0] if found else None

    def send(self):
        assert self.ask("POST", "/api/v1/projects", b'{"id": "P", "name": "P"}')[0] in (201, 409)
        status, made = self.ask("POST", "/api/v1/imports?project=P&filename=one.zip", BODY)
        assert status == 202, made
        return made["id"]

    def placed(self, uuid):
        until(lambda: self.ask("GET", f"/api/v1/imports/{uuid}")[1]["state"] == "placed", "it was not placed")

    def end(self):
        self.process.terminate()
        assert self.wait() == 0, self.err.read_text()


def _words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


@pytest.fixture
def serve(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = []

    def start(**changes):
        begun.append(Serving(tmp_path, port, **changes))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()
        one.wait()


def test_an_upload_is_placed_and_the_server_stops_cleanly(serve, tmp_path):
    server = serve().ready()
    server.placed(server.send())
    server.end()
    out, err = server.out.read_text(), server.err.read_text()
    assert f"http://127.0.0.1:{server.port}/" in out
    assert "secret" not in out + err
    for line in err.splitlines():
        assert json.loads(line)
    assert "CRASH51" not in err
    assert not os.listdir(tmp_path / "data" / "work")


def test_after_a_kill_it_is_ready_at_once_and_the_import_goes_on(serve):
    first = serve(SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP").ready()
    uuid = first.send()
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
    server.placed(server.send())
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


def test_a_receiver_that_is_not_there_yet_is_said_so(tmp_path):
    done = Command([SCANDOCK, "serve", "--data", tmp_path / "data", "--dicom-port", "11112"]).wait()
    assert done.code == 2
    assert "no DICOM receiver" in done.err

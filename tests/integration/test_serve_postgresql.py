"""`scandock serve` with its catalog in PostgreSQL: ready, an upload imported, killed and started again, stopped."""

from __future__ import annotations

import pytest

from scandock.services import consistency_check
from scandock.services.settings import load_settings
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import until
from tests.crash.served import ServerProcess
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]


def body(number):
    return zip_bytes(Study(91, number, count=6, side=8).entries(f"S{number}"))


@pytest.fixture
def begin(tmp_path, postgres_url):
    begun = []
    port = free_port()

    def start(**changes):
        begun.append(ServerProcess(tmp_path, port, SCANDOCK_DATABASE_URL=postgres_url, **changes))
        return begun[-1].ready()

    yield start
    for one in begun:
        one.kill()
        one.wait()


def test_it_takes_uploads_and_imports_them(begin, postgres_url, monkeypatch):
    server = begin()
    server.placed(server.send(body(1)))
    server.end()
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", postgres_url)
    assert consistency_check.check_data(str(server.data), load_settings()) == []
    assert not (server.data / "scandock.db").exists()


def test_what_was_under_way_goes_on_after_a_kill(begin):
    server = begin(SCANDOCK_CRASH_AT="rows", SCANDOCK_CRASH_BY="SIGSTOP")
    uuid = server.send(body(2))
    until(lambda: server.child("attempt") is not None, "no attempt began")
    server.kill()
    server.wait()
    begin().placed(uuid)

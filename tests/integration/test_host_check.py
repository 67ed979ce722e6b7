"""A worker whose host lacks what imports need, beside a host that has it, and alone; on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from scandock.catalog.server_tables import host
from scandock.queue import procrastinate_engine
from scandock.queue.hosts import folder_mark, register_host
from scandock.services.data_catalog import open_data_catalog
from scandock.services.privacy_key import KEY_FILE
from scandock.services.privacy_settings import set_local_privacy
from scandock.services.settings import Settings, load_settings
from scandock.testing.worker import InProcessWorker
from scandock.workers import host_check
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import until
from tests.integration.upload_server import UploadServer

BODY = zip_bytes(Study(51, 1, count=2, side=8).entries("S"))


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return load_settings().model_copy(update={"database_url": postgres_url})


@pytest.fixture
def server(tmp_path: Path, postgres_url: str, settings: Settings) -> Iterator[UploadServer]:
    """A site whose policy needs the key, and this host of it, which serves."""
    made = UploadServer(tmp_path / "data", postgres_url)
    data = str(made.data)
    catalog = open_data_catalog(data, settings, serves=True)
    assert register_host(catalog, "worker", folder_mark(data))
    catalog.dispose()
    set_local_privacy(data, settings, None, {"names": "drop"})
    yield made
    made.close()


def add_host(server: UploadServer) -> None:
    """Another host that can import, as far as it says."""
    with server.catalog.write() as connection:
        now = server.catalog.now()
        named = {"uuid": "another", "name": "another", "boot": "b", "role": "worker", "started": now}
        connection.execute(insert(host).values(**named, seen=now, worker_seen=now + 60_000))


def problem(server: UploadServer) -> str:
    with server.catalog.read() as connection:
        return str(connection.execute(select(host.c.problem).where(host.c.uuid != "another")).scalar_one())


def test_imports_are_left_to_a_host_that_has_the_privacy_key_and_taken_once_it_is_here(
    server: UploadServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procrastinate_engine, "NET_SECONDS", 0.1)
    monkeypatch.setattr(host_check, "CHECK_SECONDS", 0.1)
    key, aside = server.data / KEY_FILE, server.data.parent / "key"
    key.rename(aside)
    add_host(server)
    uuid = server.send(BODY)
    with capture_logs() as logged, InProcessWorker(server.data, settings, upkeep=False):
        until(lambda: ("nothing claimed", "privacy_key") in told(logged), "it does not say why it takes none")
        until(lambda: problem(server) == "privacy_key", "other hosts do not learn of it")
        assert server.state(uuid) == "received"
        aside.rename(key)
        assert server.ended(uuid) == "placed", server.row(uuid)
        until(lambda: problem(server) == "", "it counts as one that can't import")
    assert ("claiming goes on", None) in told(logged)
    assert [kind for kind, _ in server.events(uuid)].count("retry") == 0, "it was tried where it could only fail"


def test_imports_wait_for_what_is_the_matter_where_no_other_host_can_import(
    server: UploadServer, settings: Settings
) -> None:
    (server.data / KEY_FILE).unlink()
    add_host(server)
    with server.catalog.write() as connection:
        connection.execute(update(host).values(problem="store_failed"))
    uuid = server.send(BODY)
    with InProcessWorker(server.data, settings, upkeep=False):
        until(lambda: server.row(uuid)["code"] == "privacy_key", "it was not tried")
    assert (server.state(uuid), server.row(uuid)["attempt"]) == ("running", 1)


def told(logged: Iterable[Mapping[str, object]]) -> list[tuple[object, object]]:
    return [(line["event"], line.get("code")) for line in logged]

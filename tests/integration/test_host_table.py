"""The table of hosts: who lives by the database's clock, who is a copy, what is not done beside another server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from scandock.catalog.engine import HEAD, Catalog
from scandock.catalog.server_tables import host
from scandock.model.errors import Fault, Usage
from scandock.queue import hosts
from scandock.queue.hosts import (
    HostBeat,
    can_others_import,
    folder_mark,
    has_other_hosts,
    has_worker,
    register_host,
)
from scandock.services.data_catalog import find_host, open_data_catalog
from scandock.services.settings import Settings, load_settings
from scandock.store.identity import HOST_IDENTITY, host_identity
from scandock.workers import supervisor
from scandock.workers.supervisor import ServeOptions
from tests.crash.processes import until

NEVER = pytest.fail
FOLDER = "1:2"
"""As `folder_mark` gives it."""


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return load_settings().model_copy(update={"database_url": postgres_url})


@pytest.fixture
def catalog(tmp_path: Path, settings: Settings) -> Iterator[Catalog]:
    (tmp_path / "data").mkdir()
    opened = open_data_catalog(str(tmp_path / "data"), settings, serves=True)
    yield opened
    opened.dispose()


def silent_for(catalog: Catalog, milliseconds: int, **values: str) -> None:
    with catalog.write() as connection:
        seen = {"seen": catalog.now() - milliseconds, "worker_seen": catalog.now() - milliseconds}
        connection.execute(update(host).values({**seen, **values}))


def beat(catalog: Catalog, *, is_worker: bool) -> HostBeat:
    return HostBeat(catalog, is_worker=is_worker, on_failure=lambda error: NEVER(str(error)))


def test_a_host_has_one_id_for_good_in_a_folder_of_its_own(tmp_path: Path, settings: Settings) -> None:
    data = tmp_path / "data"
    data.mkdir()
    own = settings.model_copy(update={"host_folder": str(tmp_path / "own")})
    assert find_host(str(data), settings) == host_identity(str(data)) == (data / HOST_IDENTITY).read_text().strip()
    assert find_host(str(data), own) == find_host(str(data), own) == host_identity(str(tmp_path / "own"))
    assert find_host(str(data), own) != find_host(str(data), settings)
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == [HOST_IDENTITY]
    assert find_host(str(data), load_settings()) == ""  # SQLite
    assert find_host(str(tmp_path / "missing"), settings) != find_host(str(tmp_path / "missing"), settings)
    (data / HOST_IDENTITY).write_text("")  # as a power cut may leave it
    assert host_identity(str(data)) == (data / HOST_IDENTITY).read_text().strip() != ""


def test_hosts_live_by_what_they_say(catalog: Catalog) -> None:
    assert register_host(catalog, "all", FOLDER)
    assert not has_worker(catalog)
    worker, web = beat(catalog, is_worker=True), beat(catalog, is_worker=False)
    worker.start()
    web.start()
    assert has_worker(catalog)
    assert not has_other_hosts(catalog)
    catalog.host, mine = "another", catalog.host
    assert has_other_hosts(catalog)
    catalog.host = mine
    silent_for(catalog, hosts.SILENT_MS + 1)
    assert not has_worker(catalog)
    worker.end()
    web.end()
    with catalog.read() as connection:
        assert connection.execute(select(host.c.seen, host.c.worker_seen)).all() == [(0, 0)]


def test_a_worker_that_ends_says_nothing_of_the_web_process_of_its_host(catalog: Catalog) -> None:
    register_host(catalog, "all", FOLDER)
    silent_for(catalog, hosts.SILENT_MS + 1)
    worker, web = beat(catalog, is_worker=True), beat(catalog, is_worker=False)
    web.start()
    worker.start()
    worker.end()
    assert not has_worker(catalog)
    catalog.host, mine = "another", catalog.host
    assert has_other_hosts(catalog)
    catalog.host = mine
    worker = beat(catalog, is_worker=True)
    worker.start()
    web.end()
    assert has_worker(catalog)
    worker.end()
    catalog.host = "another"
    assert not has_other_hosts(catalog)


def test_a_host_says_again_and_again_that_it_lives(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "BEAT_SECONDS", 0.01)
    register_host(catalog, "worker", FOLDER)
    worker = beat(catalog, is_worker=True)
    worker.start()
    silent_for(catalog, hosts.SILENT_MS + 1)
    until(lambda: has_worker(catalog), "it was silent")
    worker.end()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a host said of itself is not waited for."""
    monkeypatch.setattr(supervisor, "SILENT_MS", 0)
    monkeypatch.setattr(supervisor, "BEAT_SECONDS", 0)
    monkeypatch.setattr(supervisor, "_wait_for_stop", time.sleep)


@pytest.mark.usefixtures("impatient")
def test_another_machine_under_the_id_of_a_host_that_lives_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    folder = str(tmp_path)
    supervisor.register_this_host(catalog, "all", folder)
    supervisor.register_this_host(catalog, "web", folder)  # the same again, as after a kill
    silent_for(catalog, 0, boot="another machine's")
    with pytest.raises(Fault) as refused:
        supervisor.register_this_host(catalog, "all", folder)
    assert (refused.value.code, f"{folder}/host-id" in str(refused.value)) == ("host_taken", True)
    silent_for(catalog, hosts.SILENT_MS + 1)  # it was this one, which was started again
    supervisor.register_this_host(catalog, "all", folder)


@pytest.mark.usefixtures("impatient")
def test_a_copy_of_a_host_folder_on_one_machine_is_refused_while_the_first_serves(
    catalog: Catalog, tmp_path: Path
) -> None:
    first, copy = tmp_path / "data", tmp_path / "copy"
    shutil.copytree(first, copy)
    assert folder_mark(str(first)) != folder_mark(str(copy))
    supervisor.register_this_host(catalog, "all", str(first))
    with pytest.raises(Fault) as refused:
        supervisor.register_this_host(catalog, "all", str(copy))
    assert (refused.value.code, f"{copy}/host-id" in str(refused.value)) == ("host_taken", True)
    supervisor.register_this_host(catalog, "all", str(first))  # it was killed, and is back before it counts as away
    silent_for(catalog, 0, folder="")  # of a version that did not say which folder
    supervisor.register_this_host(catalog, "all", str(copy))
    silent_for(catalog, hosts.SILENT_MS + 1)
    supervisor.register_this_host(catalog, "all", str(first))  # a folder that was moved


def test_a_worker_says_what_keeps_it_from_importing_until_it_is_mended(catalog: Catalog) -> None:
    problem = "privacy_key"
    register_host(catalog, "all", FOLDER)
    worker = HostBeat(catalog, is_worker=True, on_failure=lambda error: NEVER(str(error)), problem=lambda: problem)
    worker.start()
    assert has_worker(catalog), "it imports where no other host can"
    catalog.host, mine = "another", catalog.host
    assert not can_others_import(catalog)
    catalog.host, problem = mine, ""
    worker.end()
    register_host(catalog, "all", FOLDER)
    worker = HostBeat(catalog, is_worker=True, on_failure=lambda error: NEVER(str(error)), problem=lambda: problem)
    worker.start()
    assert not can_others_import(catalog), "it is no other host"
    catalog.host = "another"
    assert can_others_import(catalog)
    silent_for(catalog, hosts.SILENT_MS + 1)
    assert not can_others_import(catalog)
    catalog.host = mine
    worker.end()


def test_a_host_that_is_away_for_long_is_forgotten(catalog: Catalog) -> None:
    old = {"name": "old", "boot": "b", "role": "web", "started": 1, "seen": 1}
    with catalog.write() as connection:
        connection.execute(insert(host).values(uuid="old", **old))
    register_host(catalog, "all", FOLDER)
    with catalog.read() as connection:
        assert connection.execute(select(host.c.uuid)).scalars().all() == [catalog.host]


def test_nothing_is_upgraded_or_adopted_while_another_host_is_at_work(
    tmp_path: Path, catalog: Catalog, settings: Settings
) -> None:
    data = str(tmp_path / "data")
    register_host(catalog, "all", FOLDER)
    with catalog.write() as connection:
        connection.execute(update(host).values(uuid="another", seen=catalog.now()))
        connection.execute(text("UPDATE alembic_version SET version_num = '0048'"))
    for serves in (True, False):
        with pytest.raises(Fault) as refused:
            open_data_catalog(data, settings, serves=serves)
        assert refused.value.code == "catalog_older"
    with catalog.write() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))
    with pytest.raises(Fault) as refused:
        open_data_catalog(data, settings, adopts=True)
    assert refused.value.code == "data_served"
    silent_for(catalog, hosts.SILENT_MS + 1)
    open_data_catalog(data, settings, adopts=True).dispose()


@pytest.mark.parametrize(
    ("changes", "options"),
    [({}, {"role": "web"}), ({}, {"role": "worker"}), ({"database_url": "x"}, {"role": "web", "dicom_port": 104})],
)
def test_roles_that_can_do_nothing_are_refused(
    tmp_path: Path, changes: dict[str, str], options: dict[str, object]
) -> None:
    asked = ServeOptions(data=str(tmp_path / "data"), host="127.0.0.1", port=0, **options)  # type: ignore[arg-type]
    with pytest.raises(Usage) as refused:
        supervisor.check_role(asked, load_settings().model_copy(update=changes))
    assert refused.value.code == "role_unfit"
    assert not (tmp_path / "data").exists()

"""A host whose clock is an hour off, or forty days: it takes nothing from others and deletes nothing by it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from scandock.access.login_keys import read_login_keys
from scandock.access.oidc_flow import LoginFlow, open_flow, sign_flow
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import clock_seen, reception
from scandock.catalog.tables import upload
from scandock.publishing.deletes import new_trash_id
from scandock.publishing.recover import recover
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import find_dead_leases
from scandock.queue.owner import this_owner
from scandock.services.cleaning.cleaner import CatalogAndStore
from scandock.services.cleaning.trash import TRASH, empty_trash
from scandock.services.cleaning.uploads import expire_uploads
from scandock.services.clock_check import check_deletion_allowed, update_deletion_age
from scandock.services.receiving import UploadReceiver, receiving_limits
from scandock.services.settings import load_settings
from scandock.store.trash import trashed_at
from tests.integration.store_conformance import trash_tree
from tests.integration.upload_server import UploadServer

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def right(postgres_url: str) -> Iterator[Catalog]:
    """The catalog as a host has it whose clock is right; the database's is."""
    opened = open_catalog(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture(params=[-40 * DAY, -HOUR, HOUR, 40 * DAY], ids=["40 d behind", "1 h behind", "1 h ahead", "40 d ahead"])
def off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Sets this host's clock: by how many seconds."""
    seconds = int(request.param)
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 10**9)
    return seconds


def test_it_takes_no_import_that_another_host_works_on(tmp_path, postgres_url, off):
    server = UploadServer(tmp_path / "data", postgres_url)
    uuid = server.receive(b"bytes")
    server.accept(uuid)
    elsewhere = this_owner().replace('"host": "', '"host": "another-')
    taken = claim(server.catalog, elsewhere, SlotUsage(4))
    assert taken is not None
    assert claim(server.catalog, this_owner(), SlotUsage(4)) is None
    assert find_dead_leases(server.catalog) == []
    assert recover(server.catalog, server.store).done == []
    with server.catalog.read() as connection:
        row = connection.execute(select(upload.c.token, upload.c.attempt)).one()
    assert (row.token, row.attempt) == (taken.lease.token, 1)
    server.close()


def test_it_empties_no_trash_and_dates_it_as_others_do(tmp_path, postgres_url, off):
    server = UploadServer(tmp_path / "data", postgres_url)
    catalog, store = server.catalog, server.store
    trash = new_trash_id(catalog, store)
    assert abs(trashed_at(trash) * 1000 - catalog.read_now()) < 60_000
    (server.data / "archive" / "P" / "S" / "scans").mkdir(parents=True)
    trash_tree(store, "archive/P/S", trash)
    assert TRASH.run(CatalogAndStore(catalog, store, load_settings())) == 0
    assert empty_trash(catalog, store, days=0.5) == []
    assert store.trashed(trash) is not None, "not yet half a day old, whatever this host's clock says"
    empty_trash(catalog, store, days=-0.5)
    assert store.trashed(trash) is None
    server.close()


def test_it_deletes_nothing_and_keeps_no_other_host_from_it(right, off, monkeypatch):
    assert "differ" in check_deletion_allowed(right)
    assert update_deletion_age(right, 1000) is None
    monkeypatch.undo()  # another host, whose clock is right
    assert check_deletion_allowed(right) == ""
    assert update_deletion_age(right, 1000) == 1000
    with right.read() as connection:
        row = connection.execute(select(clock_seen)).one()
    assert (row.held_until, row.jumped) == (0, 0)


def test_a_login_that_began_there_ends_elsewhere(right, off, monkeypatch):
    there = read_login_keys(right)
    cookie = sign_flow(LoginFlow.new("/", there.now), there.signing)
    monkeypatch.undo()
    here = read_login_keys(right)
    assert open_flow(cookie, here.keys, here.now) is not None
    assert open_flow(cookie, here.keys, here.now + 11 * 60_000) is None


def test_it_ends_no_upload_before_its_time(tmp_path, postgres_url, off):
    """Whatever keeps a host from it whose clock is known to be off."""
    server = UploadServer(tmp_path / "data", postgres_url)
    uuids = [server.receive(b"x", size=2), server.receive(b"x", size=2)]
    receiving = UploadReceiver(server.catalog, server.store, receiving_limits(load_settings()))
    with server.catalog.write() as connection:
        for uuid, seconds in zip(uuids, (1800, -1800), strict=True):
            connection.execute(
                update(reception)
                .where(reception.c.upload_id == server.id(uuid))
                .values(door="tus", expires=server.catalog.now() + seconds * 1000)
            )
    expire_uploads(receiving, receiving.limits.lasts_ms)
    assert [server.state(uuid) for uuid in uuids] == ["receiving", "cancelled"]
    server.close()

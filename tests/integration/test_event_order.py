"""Events that are committed in another order than they were numbered are all told, live and to who comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, text, update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog, transaction_number
from scandock.catalog.server_tables import account, event, reception
from scandock.catalog.tables import upload
from scandock.model.patience import tries
from scandock.queue.cancel import CancelResult, cancel
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.event_data import StageBegun
from scandock.queue.events import add_event
from scandock.queue.leases import check_lease
from scandock.queue.owner import this_owner
from scandock.queue.tokens import new_uuid
from scandock.services.event_order import forget_other_transactions
from scandock.services.import_events import (
    MAX_EVENTS,
    OVERLAP,
    EventWatcher,
    ImportEvent,
    read_missed_events,
    read_newest_mark,
)
from scandock.services.progress import read_events_after
from tests.integration.upload_server import UploadServer


@pytest.fixture
def catalog(postgres_url: str) -> Iterator[Catalog]:
    opened = open_catalog(postgres_url)
    yield opened
    opened.dispose()


@pytest.fixture
def uploads(catalog: Catalog) -> list[int]:
    """Two imports that wait."""
    made = []
    with catalog.write() as connection:
        whose = connection.execute(
            insert(account)
            .values(uuid=new_uuid(), name="alice", key="alice", created=1, modified=1)
            .returning(account.c.id)
        ).scalar_one()
        for number in range(2):
            one = connection.execute(
                insert(upload)
                .values(
                    uuid=new_uuid(), archive=f"{number}.zip", source="server", state="received", request="{}", created=1
                )
                .returning(upload.c.id)
            ).scalar_one()  # fmt: skip
            connection.execute(insert(reception).values(upload_id=one, account_id=whose, door="raw"))
            made.append(one)
    return made


def tell(catalog: Catalog, connection, number: int, stage: str, times: int = 1) -> None:
    for _ in range(times):
        add_event(catalog, connection, number, StageBegun(stage=stage, attempt=1))


def stages(events: list[ImportEvent] | None) -> list[str]:
    assert events is not None
    return [one.data.stage for one in events if isinstance(one.data, StageBegun)]


def test_an_event_that_is_committed_behind_newer_ones_is_told_live(catalog, uploads):
    """More newer ones than the fifty that were looked at again before."""
    watch = EventWatcher(catalog)
    watch.begin()
    with catalog.write() as late:
        tell(catalog, late, uploads[0], "late")
        with catalog.write() as early:
            tell(catalog, early, uploads[1], "early", OVERLAP * 2)
        assert watch.look() == [], "nothing is told that something might come before"
    assert stages(watch.look()) == ["late"] + ["early"] * OVERLAP * 2
    assert watch.look() == []


def test_who_comes_back_hears_of_it_too(catalog, uploads):
    with catalog.write() as before:
        tell(catalog, before, uploads[1], "before")
    with catalog.write() as late:
        late.execute(
            select(transaction_number(sqlite=False))
        )  # its number is the lower one, those of its events are not
        with catalog.write() as early:
            tell(catalog, early, uploads[1], "early")
        tell(catalog, late, uploads[0], "late")
        with catalog.read() as connection:
            mark = read_newest_mark(connection)
            assert stages(read_missed_events(connection, SYSTEM, "0-0")) == ["before"]
            assert read_missed_events(connection, SYSTEM, mark) == []
    with catalog.read() as connection:
        missed = read_missed_events(connection, SYSTEM, mark)
        assert missed is not None
        assert stages(missed) == ["late", "early"]
        assert stages(read_missed_events(connection, SYSTEM, missed[0].mark)) == ["early"]
        assert read_newest_mark(connection) == missed[1].mark
        assert read_missed_events(connection, SYSTEM, missed[1].mark) == []


def test_an_event_that_is_rolled_back_holds_up_none(catalog, uploads):
    watch = EventWatcher(catalog)
    watch.begin()
    with pytest.raises(KeyError), catalog.write() as lost:  # noqa: PT012
        tell(catalog, lost, uploads[0], "lost")
        with catalog.write() as kept:
            tell(catalog, kept, uploads[1], "kept")
        raise KeyError
    assert stages(watch.look()) == ["kept"]


def test_many_at_once_are_all_told_in_their_order(catalog, uploads):
    watch = EventWatcher(catalog)
    watch.begin()
    count = 2 * MAX_EVENTS + 1
    for number in (0, 1):
        with catalog.write() as connection:
            tell(catalog, connection, uploads[number], str(number), count)
    assert stages(watch.look()) == ["0"] * count + ["1"] * count


def test_what_an_older_version_told_comes_before_what_has_a_transaction(catalog, uploads):
    with catalog.write() as connection:
        tell(catalog, connection, uploads[0], "old", 3)
        connection.execute(update(event).values(txid=0))
    with catalog.read() as connection:
        mark = read_newest_mark(connection)
    watch = EventWatcher(catalog)
    watch.begin()
    with catalog.write() as connection:
        tell(catalog, connection, uploads[0], "new")
    assert stages(watch.look()) == ["new"]
    with catalog.read() as connection:
        assert stages(read_missed_events(connection, SYSTEM, mark)) == ["new"]
        assert stages(read_missed_events(connection, SYSTEM, "0-0")) == ["old"] * 3 + ["new"]


def test_a_copy_of_another_servers_database_goes_on(catalog, uploads):
    """Its transactions had higher numbers than this server's have yet."""
    with catalog.write() as connection:
        tell(catalog, connection, uploads[0], "old", 3)
        connection.execute(update(event).values(txid=event.c.txid + 10**12))
        row = connection.execute(select(event.c.id, event.c.at).order_by(event.c.id.desc()).limit(1)).one()
    with catalog.write() as connection:
        tell(catalog, connection, uploads[0], "new")
    for _ in range(2):
        with catalog.read() as connection:
            assert stages(read_missed_events(connection, SYSTEM, f"{row.id}-{row.at}")) == ["new"]
        forget_other_transactions(catalog)
    assert forget_other_transactions(catalog) == 0
    with catalog.read() as connection:
        assert stages(read_missed_events(connection, SYSTEM, "0-0")) == ["old"] * 3 + ["new"]


def test_events_of_one_import_are_committed_in_the_order_of_their_numbers(tmp_path, postgres_url, catalog):
    """By which the import's own stream goes on: whoever tells of it holds the lock of its row."""
    server = UploadServer(tmp_path / "data", postgres_url)
    uuid = server.send(b"bytes")
    taken = claim(server.catalog, this_owner(), SlotUsage(4))
    assert taken is not None

    def tell_stage() -> None:
        with server.catalog.write() as connection:
            check_lease(server.catalog, connection, taken.lease)
            tell(server.catalog, connection, taken.lease.upload_id, "reading")

    other = threading.Thread(target=tell_stage)
    with server.catalog.write() as connection:
        assert cancel(server.catalog, connection, server.id(uuid)) is CancelResult.COMING
        other.start()
        for _ in tries(10, 0.02):
            with catalog.engine.connect() as looking:
                if looking.execute(text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).first():
                    break
        else:
            pytest.fail("it did not wait")
    other.join()
    with catalog.read() as connection:
        told = read_events_after(connection, 0, upload_id=taken.lease.upload_id)
    assert [one.data.kind for one in told][-2:] == ["cancelling", "stage"]
    server.close()

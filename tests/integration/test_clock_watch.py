"""Clocks that jump: nothing is deleted for its age until a day after, and retries are not put off for long.

People see that deletions wait, and say that the clock is right where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import func, select, update

from scandock.access.principal import ANONYMOUS, SYSTEM, Denied
from scandock.catalog.engine import open_catalog
from scandock.catalog.server_tables import audit, clock_seen, reception
from scandock.http.receiving.limits import limits_of
from scandock.model.errors import Usage
from scandock.queue.claim import Slots, claim
from scandock.queue.owner import this_owner
from scandock.services.arrivals import expire
from scandock.services.clock_watch import HOLD_MS, OFF_MS, Clocks, confirm, look_at, oldest_kept, why_wait
from scandock.services.receiving import Receiving
from scandock.services.settings import load_settings
from scandock.services.upkeep import keep_up
from tests.integration.server_side import Server

pytestmark = pytest.mark.postgresql

DAY = 86_400_000


@dataclass
class Machine:
    """A machine's clocks: `pass_` lets time pass, `jump` sets the one that people see."""

    now: int
    up: int = 1_000
    start: str = "first"
    database_apart: int = 0

    def pass_(self, ms):
        self.now += ms
        self.up += ms

    def jump(self, ms):
        self.now += ms

    def restart(self, off):
        self.now += off
        self.up, self.start = 0, self.start + "x"

    @property
    def clocks(self):
        return Clocks(lambda: self.now, lambda: self.up, lambda: self.start, lambda *_: self.now + self.database_apart)


@pytest.fixture
def catalog(database_url):
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def machine():
    return Machine(1_800_000_000_000)


def test_time_that_passes_is_trusted_however_long_and_over_a_restart(catalog, machine):
    for ms in (0, 1_000, 3_600_000, 40 * DAY):
        machine.pass_(ms)
        assert why_wait(catalog, machine.clocks) == ""
    machine.restart(off=OFF_MS)
    assert why_wait(catalog, machine.clocks) == ""


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_jumps_ahead_and_back_deletes_nothing_until_it_has_been_right_for_a_day(
    catalog, machine, restarts
):
    assert why_wait(catalog, machine.clocks) == ""
    if restarts:
        machine.restart(off=0)
    machine.jump(40 * DAY)
    assert "jumped by 40 days" in why_wait(catalog, machine.clocks)
    machine.pass_(45_000)
    assert "jumped by 40 days" in why_wait(catalog, machine.clocks)
    machine.jump(-40 * DAY)
    assert "jumped by 40 days" in why_wait(catalog, machine.clocks)
    machine.pass_(HOLD_MS - 1)
    assert "jumped" in why_wait(catalog, machine.clocks)
    machine.pass_(1)
    assert why_wait(catalog, machine.clocks) == ""


def test_a_database_whose_clock_says_otherwise_is_believed_as_little(catalog, machine):
    machine.database_apart = -40 * DAY
    assert "differ by 40 days" in why_wait(catalog, machine.clocks)
    machine.database_apart = 60_000
    assert why_wait(catalog, machine.clocks) == ""


def test_what_is_looked_at_alone_is_told_as_well_and_nothing_is_written(catalog, machine):
    assert look_at(catalog, machine.clocks).why == ""  # nobody has looked yet
    why_wait(catalog, machine.clocks)
    machine.jump(40 * DAY)
    for _ in range(2):
        found = look_at(catalog, machine.clocks)
        assert "jumped by 40 days" in found.why
        assert found.confirmable
    machine.jump(-40 * DAY)
    assert look_at(catalog, machine.clocks).why == ""
    machine.database_apart = 40 * DAY
    found = look_at(catalog, machine.clocks)
    assert ("differ by 40 days" in found.why, found.confirmable) == (True, False)


def test_an_administrator_says_that_a_clock_is_right_that_has_jumped(catalog, machine):
    why_wait(catalog, machine.clocks)
    machine.jump(40 * DAY)
    with pytest.raises(Denied):
        confirm(catalog, ANONYMOUS, clocks=machine.clocks)
    assert why_wait(catalog, machine.clocks) != ""
    confirm(catalog, SYSTEM, clocks=machine.clocks)
    assert why_wait(catalog, machine.clocks) == look_at(catalog, machine.clocks).why == ""
    assert oldest_kept(catalog, DAY, machine.clocks) == DAY
    with catalog.read() as connection:
        assert connection.execute(select(audit.c.kind, audit.c.target)).all() == [("clock", "held")]
    confirm(catalog, SYSTEM, clocks=machine.clocks)  # there is nothing to say any more
    machine.database_apart = -40 * DAY
    with pytest.raises(Usage, match="differ by 40 days"):
        confirm(catalog, SYSTEM, clocks=machine.clocks)
    with catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit)).scalar_one() == 1


def held_off(catalog, machine, kept):
    """For how much longer than `kept` nothing is deleted; once the clock is trusted again."""
    machine.pass_(HOLD_MS)
    assert why_wait(catalog, machine.clocks) == ""
    return oldest_kept(catalog, kept, machine.clocks) - kept


@pytest.mark.parametrize(("jumps", "late"), [((-20, 20), 20), ((20, -20), 0), ((-20, 20, -1, 1), 20), ((20,), 20)])
def test_what_was_dated_by_a_clock_that_was_behind_stays_as_long_as_all_else(catalog, machine, jumps, late):
    """Behind by 20 days, it dates what is deleted then 20 days too early."""
    why_wait(catalog, machine.clocks)
    for days in jumps:
        machine.jump(days * DAY)
        assert oldest_kept(catalog, 30 * DAY, machine.clocks) is None
        machine.pass_(1_000)
    assert held_off(catalog, machine, 30 * DAY) == late * DAY
    machine.pass_(29 * DAY)
    why_wait(catalog, machine.clocks)
    assert oldest_kept(catalog, 30 * DAY, machine.clocks) == 30 * DAY  # what was dated wrongly is older by now


def test_the_clocks_of_this_machine_are_right(catalog):
    assert [why_wait(catalog), why_wait(catalog)] == ["", ""]


@pytest.mark.parametrize("held", [True, False])
def test_trash_and_uploads_that_are_too_old_stay_while_the_clock_is_not_trusted(tmp_path, database_url, held):
    server = Server(tmp_path / "data", database_url)
    entry = server.data / "trash" / "20200101T000000-abc"
    (entry / "tree").mkdir(parents=True)
    uuid = server.receive(b"x", size=2)
    assert why_wait(server.catalog) == ""
    with server.catalog.write() as connection:
        connection.execute(update(reception).values(door="tus", expires=1))
        connection.execute(update(clock_seen).values(jumped=40 * DAY, held_until=4 * 10**12 if held else 0))
    done = keep_up(server.catalog, server.store, load_settings(), lambda: False)
    expire(Receiving(server.catalog, server.store, limits_of(load_settings())))
    assert (entry.exists(), server.state(uuid)) == ((True, "receiving") if held else (False, "cancelled"))
    assert ("jumped by 40 days" in done.waits) is held
    server.close()


def test_a_wait_that_a_wrong_clock_gave_is_not_waited_for(tmp_path, database_url):
    server = Server(tmp_path / "data", database_url)
    uuid = server.send(b"x")
    for ms, begins in ((60_000, False), (40 * DAY, True)):
        with server.catalog.write() as connection:
            connection.execute(
                update(reception)
                .where(reception.c.upload_id == server.id(uuid))
                .values(retry_at=server.catalog.now() + ms)
            )
        assert (claim(server.catalog, this_owner(), Slots(1)) is not None) is begins
    server.close()

"""Whether the clock may be trusted with what is deleted for its age: one that jumped must not empty the trash.

The clock that decides is the database's, on SQLite this machine's. What it said last stands in the catalog, beside the
machine's own count of time since it started, which nobody sets: within one start both must have gone on by as much.
After a restart of the machine it may have been off for a week. Each of several hosts compares with what it saw itself.
One whose own clock says otherwise deletes nothing, and the others go on.

A clock that was behind and was set right has dated what came meanwhile too early: for as long as anything is kept,
what is deleted must be older by as much (`update_deletion_age`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import clock_host, clock_seen
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS, MINUTE_MS
from scandock.queue.owner import boot_id
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.data_errors import ClocksDiffer

TOLERATED_MS: Final = 5 * MINUTE_MS
"""By which a clock may be set, or differ from the database's."""
OFF_MS: Final = 7 * DAY_MS
"""For how long a machine may have been off."""
HOLD_MS: Final = DAY_MS
"""For how long nothing is deleted for its age once the clock has jumped."""
DOUBTED_MS: Final = 400 * DAY_MS
"""After which what a slow clock dated is not made older by the next jump too: hardly anything is kept for so long."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where the time is read, in milliseconds; tests hand in others."""

    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    since_start: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    start: Callable[[], str] = boot_id
    database: Callable[[Catalog, Connection], int] = Catalog.read_now


@dataclass(frozen=True, slots=True)
class ClockState:
    """What is known of the clock."""

    why: str
    """Why nothing is deleted for its age, as a sentence; empty where it is."""
    confirmable: bool
    """Whether deleting goes on once an administrator has said that the clock is right."""


def check_deletion_allowed(catalog: Catalog, clocks: Clocks | None = None) -> str:
    """Why nothing may be deleted for its age now, as a sentence; empty where it may. Fault where the catalog fails.

    What the clock says is noted: whoever deletes asks this first.
    """
    clocks = clocks or Clocks()
    with catalog.write() as connection:
        reading = _read_clocks(catalog, connection, clocks, for_update=True)
        reading.note(connection)
    return reading.state.why


def read_clock_state(catalog: Catalog, clocks: Clocks | None = None) -> ClockState:
    """The same for who only looks: nothing is written, and no writer waited for."""
    with catalog.read() as connection:
        return _read_clocks(catalog, connection, clocks or Clocks()).state


def find_clock_state(catalog: Catalog, principal: Principal) -> ClockState:
    """The same for an administrator. AccessDenied."""
    with catalog.read() as connection:
        rights.check(connection, principal, Action.SITE_ADMIN, None)
    return read_clock_state(catalog)


def update_deletion_age(catalog: Catalog, kept_ms: int, clocks: Clocks | None = None) -> int | None:
    """From what age on (ms, by its date) what is kept for `kept_ms` may be deleted; None: nothing may now."""
    clocks = clocks or Clocks()
    return None if check_deletion_allowed(catalog, clocks) else _deletion_age(catalog, kept_ms, clocks)


def read_deletion_age(catalog: Catalog, kept_ms: int, clocks: Clocks | None = None) -> int | None:
    """The same for who only looks."""
    clocks = clocks or Clocks()
    return None if read_clock_state(catalog, clocks).why else _deletion_age(catalog, kept_ms, clocks)


def _deletion_age(catalog: Catalog, kept_ms: int, clocks: Clocks) -> int:
    with catalog.read() as connection:
        row = connection.execute(select(clock_seen)).one_or_none()
        now = clocks.database(catalog, connection)
    doubted = 0 if row is None or now - row.doubted_since >= kept_ms else row.doubted
    return kept_ms + doubted


def confirm_clock_state(
    catalog: Catalog, principal: Principal, request: RequestInfo | None = None, clocks: Clocks | None = None
) -> None:
    """An administrator says that the clock is right though it has jumped: deleting for age goes on at once.

    AccessDenied; Usage `clocks_differ` where the database's clock is another. Nothing where nothing waits.
    """
    clocks = clocks or Clocks()
    with catalog.write() as connection:
        rights.check(connection, principal, Action.SITE_ADMIN, None)
        reading = _read_clocks(catalog, connection, clocks, for_update=True)
        if reading.state.why and not reading.state.confirmable:
            raise ClocksDiffer(reading.state.why, "Set the one that is wrong (NTP); it can't be confirmed.")
        reading.note(connection)
        if not reading.state.why:
            return
        connection.execute(update(clock_seen).values(held_until=0, jumped=0, doubted=0, doubted_since=0))
        details = {"jumped_seconds": reading.jumped // 1000}
        audit.record(
            connection, principal, audit.AuditAction.CLOCK_CONFIRM, "clock", "held", request=request, details=details
        )


@dataclass(frozen=True, slots=True)
class _ClockReading:
    """What the clocks say, beside what was seen last."""

    now: int
    start: str
    since_start: int
    apart: int
    seen: Row[Any] | None
    """What any host saw last."""
    seen_here: Row[Any] | None
    """What this one saw since its start."""

    @property
    def differs(self) -> bool:
        """Whether this machine's clock and the database's are not one time."""
        return self.apart > TOLERATED_MS

    @property
    def off(self) -> int:
        """By how much the clock has gone on otherwise than it should have; 0 where that is tolerated."""
        if self.seen is None:
            return 0
        here = self.seen_here
        if here is not None:
            off = self.now - int(here.wall) - (self.since_start - int(here.since_start))
            return off if abs(off) > TOLERATED_MS else 0
        off = self.now - int(self.seen.wall)
        return 0 if -TOLERATED_MS <= off <= OFF_MS else off

    @property
    def held_until(self) -> int:
        if self.off:
            return self.now + HOLD_MS
        return 0 if self.seen is None else int(self.seen.held_until)

    @property
    def jumped(self) -> int:
        if self.off:
            return abs(self.off)
        return 0 if self.seen is None else int(self.seen.jumped)

    @property
    def state(self) -> ClockState:
        if self.differs:
            return ClockState(
                f"The clocks of this machine and of the database differ by {_format_duration(self.apart)}.", False
            )
        if self.held_until > self.now:
            until = f"nothing is deleted for its age until {_format_time(self.held_until)}"
            return ClockState(f"The clock has jumped by {_format_duration(self.jumped)}: {until}.", True)
        return ClockState("", False)

    def note(self, connection: Connection) -> None:
        """Keep it for the next look; no row is written where there is nothing new."""
        looked = {"wall": self.now, "start": self.start, "since_start": self.since_start}
        if self.seen is None:
            with suppress(IntegrityError), connection.begin_nested():  # another process may look first at the same time
                connection.execute(insert(clock_seen).values(id=1, held_until=0, jumped=0, **looked))
        elif self.off:
            # a clock that is set ahead was behind, and one that is set back was ahead: then nothing was dated too early
            before = self.seen.doubted if self.now - self.seen.doubted_since < DOUBTED_MS else 0
            doubted = {"doubted": max(0, before + self.off), "doubted_since": self.now}
            jump = {"held_until": self.held_until, "jumped": self.jumped}
            connection.execute(update(clock_seen).values(**looked, **jump, **doubted))
        elif not 0 <= self.now - self.seen.wall < MINUTE_MS:
            connection.execute(update(clock_seen).values(**looked))
        self._note_here(connection, looked)

    def _note_here(self, connection: Connection, values: Mapping[str, object]) -> None:
        """The same for this host; a jump is noted once: the others begin anew."""
        here = self.seen_here
        if here is not None and not self.off and 0 <= self.now - here.wall < MINUTE_MS:
            return
        mine = clock_host.c.start == self.start
        old = clock_host.c.wall < self.now - OFF_MS  # of starts that are over
        connection.execute(delete(clock_host).where(true() if self.off else mine | old))
        with suppress(IntegrityError), connection.begin_nested():  # another process of this host may do so, too
            connection.execute(insert(clock_host).values(**values))


def _read_clocks(
    catalog: Catalog, connection: Connection, clocks: Clocks, *, for_update: bool = False
) -> _ClockReading:
    seen, start = select(clock_seen), clocks.start()
    row = connection.execute(seen.with_for_update() if for_update else seen).one_or_none()  # one host after another
    now = clocks.database(catalog, connection)
    return _ClockReading(
        now=now,
        start=start,
        since_start=clocks.since_start(),
        apart=abs(clocks.wall() - now),
        seen=row,
        seen_here=connection.execute(select(clock_host).where(clock_host.c.start == start)).one_or_none(),
    )


def _format_duration(ms: int) -> str:
    minutes = ms // MINUTE_MS
    return f"{minutes // 1440} days" if minutes >= 2880 else f"{minutes} minutes"


def _format_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

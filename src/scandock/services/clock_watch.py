"""Whether the clock may be trusted with what is deleted for its age: one that jumped must not empty the trash.

What was seen last stands in the catalog, beside the machine's own count of time since it started, which nobody sets:
within one start both must have gone on by as much. After a restart of the machine it may have been off for a week.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import clock_seen
from scandock.queue.owner import boot_id

MINUTE_MS: Final = 60_000
TOLERATED_MS: Final = 5 * MINUTE_MS
"""By which a clock may be set, or differ from the database's."""
OFF_MS: Final = 7 * 24 * 60 * MINUTE_MS
"""For how long a machine may have been off."""
HOLD_MS: Final = 24 * 60 * MINUTE_MS
"""For how long nothing is deleted for its age once the clock has jumped."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where the time is read, in milliseconds; tests hand in others."""

    wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    since_start: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    start: Callable[[], str] = boot_id
    database: Callable[[Catalog, Connection], int] = lambda catalog, connection: int(
        connection.execute(select(catalog.now())).scalar_one()
    )


def why_wait(catalog: Catalog, clocks: Clocks | None = None) -> str:
    """Why nothing may be deleted for its age now, as a sentence; empty where it may. Fault where the catalog fails."""
    clocks = clocks or Clocks()
    with catalog.write() as connection:
        now, start, since_start = clocks.wall(), clocks.start(), clocks.since_start()
        apart = abs(clocks.database(catalog, connection) - now)
        held_until, jumped = _look(connection, now, start, since_start)
    if apart > TOLERATED_MS:
        return f"The clocks of this machine and of the database differ by {_days(apart)}."
    if held_until > now:
        return f"The clock has jumped by {_days(jumped)}: nothing is deleted for its age until {_moment(held_until)}."
    return ""


def _look(connection: Connection, now: int, start: str, since_start: int) -> tuple[int, int]:
    """Note what the clock says; until when nothing is deleted, and by how much it had jumped."""
    seen = connection.execute(select(clock_seen)).one_or_none()
    values: dict[str, object] = {"wall": now, "start": start, "since_start": since_start}
    if seen is None:
        connection.execute(insert(clock_seen).values(id=1, held_until=0, jumped=0, **values))
        return 0, 0
    off = now - seen.wall
    if seen.start == start:
        off -= since_start - seen.since_start
        jumped = abs(off) > TOLERATED_MS
    else:
        jumped = not -TOLERATED_MS <= off <= OFF_MS
    if jumped:
        values |= {"held_until": now + HOLD_MS, "jumped": abs(off)}
    if jumped or seen.start != start or not 0 <= now - seen.wall < MINUTE_MS:  # else nothing new: no row is written
        connection.execute(update(clock_seen).values(**values))
    return (now + HOLD_MS, abs(off)) if jumped else (seen.held_until, seen.jumped)


def _days(ms: int) -> str:
    minutes = ms // MINUTE_MS
    return f"{minutes // 1440} days" if minutes >= 2880 else f"{minutes} minutes"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""What any host does now and then for all of them: each turn of it is taken by one.

On PostgreSQL a row says until when nobody else does it, by the database's clock. Where SQLite has the catalog there is
one host, and every turn is its own. Where a host is held up for longer than its claim, another does the chore beside
it, and each chore bears that: nothing rests on a claim but how often things are done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import chore as chore_table
from scandock.model.durations import MINUTE_MS
from scandock.model.errors import Fault
from scandock.queue.retry import is_due

CLAIM_MS: Final = 10 * MINUTE_MS
"""For how long a host has a chore that it does not say the end of: it may have died in it."""
LONGEST_MS: Final = 60 * MINUTE_MS
"""Longer than any chore is put off."""
_EARLY: Final = 0.9
"""Part of a chore's time after which the next turn may be taken: hosts come a little early or late to it."""


@contextmanager
def chore(catalog: Catalog, name: str, every_seconds: float = 0) -> Iterator[bool]:
    """Whether it is this host's turn to do something that is done every so many seconds, by one host at a time.

    Fault where the catalog fails.
    """
    if catalog.sqlite:
        yield True
        return
    claimed = _claim(catalog, name)
    if claimed is None:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(Fault):  # the claim runs out by itself
            _end(catalog, name, claimed, int(every_seconds * 1000 * _EARLY))


def _claim(catalog: Catalog, name: str) -> int | None:
    """Until when it is claimed now; None where that is another's."""
    from sqlalchemy.dialects.postgresql import insert

    with catalog.write() as connection:
        until = catalog.read_now(connection) + CLAIM_MS
        free = is_due(chore_table.c.until, until - CLAIM_MS, LONGEST_MS)
        statement = (
            insert(chore_table)
            .values(name=name, until=until)
            .on_conflict_do_update(index_elements=[chore_table.c.name], set_={"until": until}, where=free)
            .returning(chore_table.c.until)
        )
        return connection.execute(statement).scalar_one_or_none()


def _end(catalog: Catalog, name: str, claimed: int, pause_ms: int) -> None:
    """Let others have it, so long after it was begun; unless it has lasted so long that another has it by now."""
    is_ours = (chore_table.c.name == name, chore_table.c.until == claimed)
    with catalog.write() as connection:
        connection.execute(update(chore_table).where(*is_ours).values(until=claimed - CLAIM_MS + pause_ms))

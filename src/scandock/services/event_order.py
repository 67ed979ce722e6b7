"""The order in which events are told on PostgreSQL: by transaction, and none before all that come earlier are there.

Transactions commit in another order than they take numbers of events. What was told by number alone would leave out an
event that is committed behind newer ones. So those are told whose transaction is older than every one that still runs
(`pg_snapshot_xmin`): none can come before them any more. A transaction that writes for long, whoever's it is on that
server, holds events up for as long, and loses none.

Events from before there was the column, and from a copy of another server's database, have no transaction (0) and come
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Row, Select, literal_column, select, text, tuple_, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import event

_ROWS: Final = 10_000
"""Rows that are changed in one transaction."""
_OLDEST_RUNNING: Final = literal_column(
    "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)", BigInteger
)
_NEXT: Final = literal_column("CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)", BigInteger)
_HAS_TRANSACTION: Final = text("txid > 0")
"""As the index says it."""


class Position(NamedTuple):
    """Of an event in that order."""

    txid: int
    number: int


FIRST: Final = Position(0, 0)


def newest_position(connection: Connection) -> Position:
    """Of the newest event that is told."""
    newest = select(event.c.txid, event.c.id).limit(1)
    settled = newest.where(_HAS_TRANSACTION, event.c.txid < _OLDEST_RUNNING)
    row = connection.execute(settled.order_by(event.c.txid.desc(), event.c.id.desc())).first()
    if row is None:
        row = connection.execute(newest.where(event.c.txid == 0).order_by(event.c.id.desc())).first()
    return FIRST if row is None else Position(*row)


def position_of(connection: Connection, number: int) -> Position:
    """Of an event that was told; of number 0 the first."""
    query = select(event.c.txid).where(event.c.id == number, event.c.txid < _NEXT)
    return Position(connection.execute(query).scalar_one_or_none() or 0, number)


def read_behind(connection: Connection, query: Select[Any], after: Position, limit: int) -> Sequence[Row[Any]]:
    """What a query of events has behind a position and can be told, in the order."""
    rows: list[Row[Any]] = []
    if not after.txid:
        old = query.where(event.c.txid == 0, event.c.id > after.number).order_by(event.c.id)
        rows += connection.execute(old.limit(limit))
    if len(rows) < limit:
        behind = tuple_(event.c.txid, event.c.id) > tuple_(*(after if after.txid else FIRST))
        settled = query.where(_HAS_TRANSACTION, behind, event.c.txid < _OLDEST_RUNNING)
        rows += connection.execute(settled.order_by(event.c.txid, event.c.id).limit(limit - len(rows)))
    return rows


def forget_other_transactions(catalog: Catalog) -> int:
    """Take the transaction from events that have one of the future: it was another server's, before a restore."""
    if catalog.sqlite:
        return 0
    count = 0
    while True:
        with catalog.write() as connection:
            others = select(event.c.id).where(_HAS_TRANSACTION, event.c.txid >= _NEXT).limit(_ROWS)
            changed = connection.execute(update(event).where(event.c.id.in_(others)).values(txid=0)).rowcount
        count += changed
        if changed < _ROWS:
            return count

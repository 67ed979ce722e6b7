"""Changes of the rows of a store in a bucket that several verbs make within their transactions.

Whoever locks rows keeps to one order: attempts, trees by their numbers, objects by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Update, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import database_now, split_values
from scandock.catalog.store_tables import store_attempt, stored_object, stored_tree
from scandock.model.errors import TokenLost
from scandock.store.packs import StoredObject

NOW: Final = database_now(sqlite=False)
_UNKNOWN_BYTES: Final = -1
"""Of objects that are only noted to be deleted."""


def change_tree(number: int) -> Update:
    return update(stored_tree).where(stored_tree.c.number == number)


def lock_tree(connection: Connection, where: ColumnElement[bool]) -> Row[Any] | None:
    """The row of a tree, locked until the transaction ends."""
    row: Row[Any] | None = connection.execute(select(stored_tree).where(where).with_for_update()).first()
    return row


def lock_trees(connection: Connection, where: ColumnElement[bool]) -> Sequence[int]:
    """The numbers of some trees, which are locked in the order that everybody keeps to."""
    query = select(stored_tree.c.number).where(where).order_by(stored_tree.c.number)
    return connection.execute(query.with_for_update()).scalars().all()


def lock_objects(connection: Connection, where: ColumnElement[bool]) -> Sequence[int]:
    """The ids of some objects, which are locked in the order that everybody keeps to, behind the trees."""
    query = select(stored_object.c.id).where(where).order_by(stored_object.c.id)
    return connection.execute(query.with_for_update()).scalars().all()


def begin_attempt(connection: Connection, upload: str, token: str) -> None:
    """Note an attempt; one that has ended stays so."""
    statement = insert_or(store_attempt).values(upload=upload, token=token, began=NOW)
    connection.execute(statement.on_conflict_do_nothing())


def end_attempts(connection: Connection, upload: str, which: ColumnElement[bool]) -> None:
    of_upload = (store_attempt.c.upload == upload) & store_attempt.c.ended.is_(None)
    connection.execute(update(store_attempt).where(of_upload, which).values(ended=NOW))


def check_attempt(connection: Connection, upload: str, token: str) -> None:
    """TokenLost where an attempt has ended, as another has taken it over; it can't end before the transaction does."""
    mine = (store_attempt.c.upload == upload) & (store_attempt.c.token == token)
    goes_on = select(store_attempt.c.token).where(mine, store_attempt.c.ended.is_(None))
    if connection.execute(goes_on.with_for_update(read=True)).first() is None:
        raise TokenLost(f"Upload {upload} has been taken over by another process.")


def add_objects(connection: Connection, objects: Iterable[StoredObject]) -> dict[str, int]:
    """Note objects that came; the number of each, by its key."""
    rows = [{"key": stored.key, "bytes": stored.size} for stored in objects]
    if not rows:
        return {}
    added = insert(stored_object).returning(stored_object.c.key, stored_object.c.id)
    return {row.key: row.id for row in connection.execute(added, rows)}


def drop_manifests(connection: Connection, where: ColumnElement[bool], grace_ms: int = 0) -> None:
    """Let the copies of trees be deleted and, where these stay, be written anew."""
    mine = (where, stored_tree.c.manifest.is_not(None))
    keys = connection.execute(select(stored_tree.c.manifest).where(*mine)).scalars().all()
    delete_later(connection, keys, grace_ms)
    connection.execute(update(stored_tree).where(*mine).values(manifest=None))


def delete_later(connection: Connection, keys: Iterable[str | None], grace_ms: int) -> None:
    """Let objects be deleted that no tree ever named, so long from now, or as soon as they were to be before."""
    due = NOW + grace_ms
    for some in split_values(keys):
        rows = insert_or(stored_object).values([{"key": key, "bytes": _UNKNOWN_BYTES, "due": due} for key in some])
        sooner = {"due": func.least(stored_object.c.due, rows.excluded.due)}
        is_to_go = stored_object.c.due.is_not(None)  # else a tree names it
        connection.execute(rows.on_conflict_do_update(index_elements=["key"], set_=sooner, where=is_to_go))

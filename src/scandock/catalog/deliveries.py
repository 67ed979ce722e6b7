"""Who is to be told of an import's outcome: noted within the transaction that writes the outcome."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, literal, or_, select
from sqlalchemy.types import String

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import delivery, reception, subscription
from scandock.catalog.tables import session, tree


def enqueue(catalog: Catalog, connection: Connection, upload_id: int, state: str) -> None:
    """Have the outcome told to those who asked for this state of their own imports, or of a project's.

    A project's are those that named it, and those that have put a session into it. An import that is tried again is
    told of again.
    """
    connection.execute(delete(delivery).where(delivery.c.upload_id == upload_id))
    mine = select(reception.c.account_id).where(reception.c.upload_id == upload_id)
    named = select(reception.c.project_id).where(
        reception.c.upload_id == upload_id, reception.c.project_id.is_not(None)
    )
    placed = (
        select(session.c.project_id).join(tree, tree.c.id == session.c.tree_id).where(tree.c.upload_id == upload_id)
    )
    chosen = select(
        subscription.c.id, literal(upload_id), literal("waiting", String(8)), literal(0), catalog.now()
    ).where(
        subscription.c.states.like(f"%,{state},%"),
        or_(
            subscription.c.account_id.in_(mine),
            subscription.c.project_id.in_(named),
            subscription.c.project_id.in_(placed),
        ),
    )
    connection.execute(
        insert(delivery).from_select(["subscription_id", "upload_id", "state", "attempts", "next_at"], chosen)
    )

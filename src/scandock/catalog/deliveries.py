"""Who is to be told of an import's outcome, or of damage: noted within the transaction that writes it."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, delete, insert, literal, or_, select, true, update
from sqlalchemy.types import String

from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.server_tables import account, delivery, member, reception, subscription
from scandock.catalog.tables import project, session, tree
from scandock.model.request_limits import DAMAGE_MESSAGE_SECONDS

GATHER_MS: Final = 60_000
"""How long damage is gathered before the first message: a disk that dies takes more than one file."""

PAUSE_MS: Final = DAMAGE_MESSAGE_SECONDS * 1000
"""Between two messages of damage to one receiver; each tells of all that there is."""


def enqueue(catalog: Catalog, connection: Connection, upload_id: int, state: str) -> None:
    """Have the outcome told to those who asked for this state of their own imports, or of a project's.

    A project's are those that named it, and those that have put a session into it. An import that is tried again is
    told of again.
    """
    connection.execute(delete(delivery).where(delivery.c.upload_id == upload_id))
    connection.execute(_enqueuing(sqlite=catalog.sqlite), {"upload": upload_id, "wanted": f"%,{state},%"})


@cache
def _enqueuing(*, sqlite: bool) -> Insert:
    """What is told to whom, of an upload that has ended."""
    upload = bindparam("upload", type_=delivery.c.upload_id.type)
    mine = select(reception.c.account_id).where(reception.c.upload_id == upload)
    named = select(reception.c.project_id).where(reception.c.upload_id == upload, reception.c.project_id.is_not(None))
    placed = select(session.c.project_id).join(tree, tree.c.id == session.c.tree_id).where(tree.c.upload_id == upload)
    chosen = select(
        subscription.c.id, upload, literal("waiting", String(8)), literal(0), database_now(sqlite=sqlite)
    ).where(
        subscription.c.states.like(bindparam("wanted", type_=String)),
        or_(
            subscription.c.account_id.in_(mine),
            subscription.c.project_id.in_(named),
            subscription.c.project_id.in_(placed),
        ),
    )
    return insert(delivery).from_select(["subscription_id", "upload_id", "state", "attempts", "next_at"], chosen)


def enqueue_damage(catalog: Catalog, connection: Connection, project_name: str, *, mail: bool) -> None:
    """Have damage in a project told: to who asked for it, and with `mail` to administrators who have not.

    Who waits to be told already is told of this as well.
    """
    owners = (
        select(member.c.account_id)
        .join(project, project.c.id == member.c.project_id)
        .where(project.c.name == project_name, member.c.role == "owner")
    )
    of_project = select(project.c.id).where(project.c.name == project_name)
    is_subscribed = subscription.c.states.like("%,damaged,%")
    subscribed = (
        select(subscription.c.id)
        .outerjoin(account, account.c.id == subscription.c.account_id)
        .where(
            is_subscribed,
            or_(
                subscription.c.project_id.in_(of_project),
                ~account.c.disabled & (account.c.admin | account.c.id.in_(owners)),
            ),
        )
    )
    for number in connection.execute(subscribed).scalars().all():
        _add_deliveries(catalog, connection, {"subscription_id": number})
    if not mail:
        return
    have_asked = select(subscription.c.account_id).where(is_subscribed, subscription.c.account_id.is_not(None))
    unasked = select(account.c.id).where(
        account.c.admin == true(), ~account.c.disabled, account.c.email != "", account.c.id.not_in(have_asked)
    )
    for number in connection.execute(unasked).scalars().all():
        _add_deliveries(catalog, connection, {"account_id": number})


def _add_deliveries(catalog: Catalog, connection: Connection, recipient: dict[str, int]) -> None:
    where = [delivery.c.upload_id.is_(None), *(delivery.c[name] == value for name, value in recipient.items())]
    before = connection.execute(select(delivery.c.id, delivery.c.state, delivery.c.done).where(*where)).first()
    now = int(connection.execute(select(catalog.now())).scalar_one())
    if before is None:
        connection.execute(insert(delivery).values(state="waiting", next_at=now + GATHER_MS, **recipient))
    elif before.state != "waiting":
        next_at = max(now + GATHER_MS, (before.done or 0) + PAUSE_MS)
        values = {"state": "waiting", "attempts": 0, "next_at": next_at, "error": "", "done": None}
        connection.execute(update(delivery).where(delivery.c.id == before.id).values(**values))

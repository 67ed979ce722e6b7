"""Who is told of outcomes: an account of its own imports, or a project of all of its, by e-mail or signed webhook."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field
from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from scandock.access.principal import raise_denied
from scandock.catalog.server_tables import delivery, subscription
from scandock.catalog.tables import project, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import CodedUsage
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.model.left_out import LeftOut
from scandock.model.verdicts import FINAL
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.mail import check_address
from scandock.services.message_errors import MailOff
from scandock.services.webhooks import check_url

STATES: Final = (*(state.value for state in FINAL), "damaged")
"""Outcomes of imports, and that stored files are damaged."""

KINDS: Final = ("email", "webhook")
MAX_SUBSCRIPTIONS: Final = 20
"""Subscriptions of one account, or of one project."""


class KindUnknown(CodedUsage):
    CODE = "kind_unknown"
    MEANING = "A subscription is an email or a webhook."
    SENTENCE = "A subscription is an email or a webhook."
    REMEDY = "Choose one of them."


class StatesUnknown(CodedUsage):
    CODE = "states_unknown"
    MEANING = "That names no outcome, or one that there is not."
    SENTENCE = "That names no outcome, or one that there is not."
    REMEDY = "Are: {states}."

    def __init__(self, states: str) -> None:
        self._fill({"states": states})


class SubscriptionsTooMany(CodedUsage):
    CODE = "subscriptions_many"
    STATUS = 409
    MEANING = "There are as many subscriptions as there can be: remove one first."
    SENTENCE = "There are {max_subscriptions} already."
    REMEDY = "Remove one first."

    def __init__(self, max_subscriptions: int) -> None:
        self._fill({"max_subscriptions": max_subscriptions})


@dataclass(frozen=True, kw_only=True)
class Subscription(JsonRecord):
    """Who is told of outcomes; a webhook's `secret` is told once, when it is made."""

    id: str
    project: str | None
    kind: Literal["email", "webhook"]
    target: str
    states: list[str]
    waiting: int
    failed: int
    created: Moment
    secret: LeftOut[str] = field(default=None, repr=False)

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        return cls(
            id=row["uuid"],
            project=row["project"],
            kind=row["kind"],
            target=row["target"],
            states=row["states"].strip(",").split(","),
            waiting=row["waiting"],
            failed=row["failed"],
            created=row["created"],
        )


@dataclass(frozen=True, kw_only=True)
class Delivery(JsonRecord):
    """What was sent, waits or failed."""

    import_: Annotated[str | None, Field(alias="import")]
    state: str
    attempts: int
    next: MaybeMoment
    error: str | None
    done: MaybeMoment

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        return cls(
            import_=row["uuid"],
            state=row["state"],
            attempts=row["attempts"],
            next=row["next_at"] if row["state"] == "waiting" else None,
            error=row["error"],
            done=row["done"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRecord:
    """A subscription, its number in the catalog, and whose it is."""

    number: int
    account_id: int | None
    """None of a project's."""
    subscription: Subscription

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `_select_subscriptions`."""
        return cls(number=row["id"], account_id=row["account_id"], subscription=Subscription.from_row(row))


def subscribe(
    context: ServiceContext, *, kind: str, target: str, states: Sequence[str], project_name: str | None = None
) -> Subscription:
    """Ask to be told: of one's own imports, or (as its owner) of a project's. A webhook's secret is shown here alone.

    Raises KindUnknown, StatesUnknown, MailAddressInvalid, SubscriptionsTooMany, and Usage `url_invalid`, `mail_off`.
    """
    if kind not in KINDS:
        raise KindUnknown
    if not states or not set(states) <= set(STATES):
        raise StatesUnknown(", ".join(STATES))
    if kind == "email":
        if not context.settings.notify.smtp_host:
            raise MailOff
        check_address(target)
    else:
        check_url(target, context.settings.notify)
    secret = secrets.token_urlsafe(32) if kind == "webhook" else ""
    number = new_uuid()
    with context.catalog.write() as connection:
        owner = _find_owner(connection, context, project_name)
        many = connection.execute(
            select(func.count()).where(*(subscription.c[name] == value for name, value in owner.items()))
        ).scalar_one()
        if many >= MAX_SUBSCRIPTIONS:
            raise SubscriptionsTooMany(MAX_SUBSCRIPTIONS)
        connection.execute(
            insert(subscription).values(
                uuid=number,
                kind=kind,
                target=target,
                secret=secret,
                states="," + ",".join(each_state for each_state in STATES if each_state in states) + ",",
                created=context.catalog.now(),
                **owner,
            )
        )
        details = {"kind": kind, "states": sorted(states)}
        context.note(connection, AuditAction.SUBSCRIBE, number, project_name or "", details, kind="subscription")
        made = _find(connection, number).subscription
    return replace(made, secret=secret or None)


def _find_owner(connection: Connection, context: ServiceContext, project_name: str | None) -> dict[str, int]:
    if project_name is None:
        rights.check(connection, context.principal, Action.ACCOUNT_EDIT, None)
        if context.principal.account_id is None:
            raise_denied(AccessDecision.SIGN_IN)
        return {"account_id": context.principal.account_id}
    rights.check(connection, context.principal, Action.SETTINGS_EDIT, project_name)
    number = connection.execute(select(project.c.id).where(project.c.key == project_name.casefold())).scalar_one()
    return {"project_id": number}


def list_subscriptions(
    connection: Connection, context: ServiceContext, project_name: str | None = None
) -> list[Subscription]:
    """One's own subscriptions, or those of a project, with how their last deliveries went."""
    owner = _find_owner(connection, context, project_name)
    rows = connection.execute(
        _select_subscriptions()
        .where(*(subscription.c[name] == value for name, value in owner.items()))
        .order_by(subscription.c.id)
    ).mappings()
    return [Subscription.from_row(row) for row in rows]


def _select_subscriptions() -> Any:  # noqa: ANN401  a Select
    waiting_count = (
        select(func.count())
        .where(delivery.c.subscription_id == subscription.c.id, delivery.c.state == "waiting")
        .scalar_subquery()
    )
    failed = (
        select(func.count())
        .where(delivery.c.subscription_id == subscription.c.id, delivery.c.state == "failed")
        .scalar_subquery()
    )
    return select(
        subscription, project.c.name.label("project"), waiting_count.label("waiting"), failed.label("failed")
    ).outerjoin(project, project.c.id == subscription.c.project_id)


def _find(connection: Connection, uuid: str) -> SubscriptionRecord:
    row = connection.execute(_select_subscriptions().where(subscription.c.uuid == uuid)).mappings().first()
    if row is None:
        raise_denied(AccessDecision.HIDDEN)
    return SubscriptionRecord.from_row(row)


def _find_accessible(connection: Connection, context: ServiceContext, uuid: str) -> SubscriptionRecord:
    """A subscription that the principal may see and end: their own, or a project's as its owner."""
    record = _find(connection, uuid)
    if record.subscription.project is not None:
        rights.check(connection, context.principal, Action.SETTINGS_EDIT, record.subscription.project)
    elif record.account_id != context.principal.account_id or not context.principal.signed_in:
        raise_denied(AccessDecision.HIDDEN)
    else:
        rights.check(connection, context.principal, Action.ACCOUNT_EDIT, None)
    return record


def unsubscribe(context: ServiceContext, uuid: str) -> None:
    """Tell nothing more; what waits to be sent is not."""
    with context.catalog.write() as connection:
        record = _find_accessible(connection, context, uuid)
        connection.execute(delete(subscription).where(subscription.c.id == record.number))
        project_name = record.subscription.project or ""
        context.note(connection, AuditAction.UNSUBSCRIBE, uuid, project_name, kind="subscription")


def list_deliveries(connection: Connection, context: ServiceContext, uuid: str, limit: int = 50) -> list[Delivery]:
    """The newest deliveries of a subscription: what was sent, what waits, what failed and why."""
    record = _find_accessible(connection, context, uuid)
    rows = connection.execute(
        select(delivery, upload.c.uuid)
        .outerjoin(upload, upload.c.id == delivery.c.upload_id)
        .where(delivery.c.subscription_id == record.number)
        .order_by(delivery.c.id.desc())
        .limit(limit)
    ).mappings()
    return [Delivery.from_row(row) for row in rows]

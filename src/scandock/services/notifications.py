"""Send outcomes of imports, and damage, to subscribers (`subscriptions.py`); failed sends are tried again.

What is to be told is noted with the outcome itself (`catalog/deliveries.py`); a worker sends it from there, several at
once (`workers/message_sender.py`), so that a slow receiver keeps no other waiting (`DeliverySlots`). A delivery is
taken by pushing its next attempt away, so that two workers don't send it twice, and one that dies loses nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, update

from scandock.catalog.deliveries import PAUSE_MS
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, delivery, reception, subscription
from scandock.catalog.tables import upload
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS
from scandock.model.errors import ScandockError
from scandock.model.import_report import ImportReport, parse_outcome
from scandock.model.imported import ImportedSession
from scandock.model.upload_log import log_step
from scandock.queue.retry import is_due
from scandock.rules.upload_summary import summarize_kept_files
from scandock.services.damage import DamageFigures, read_damage_figures
from scandock.services.mail import send_mail
from scandock.services.notify_settings import NotifySettings
from scandock.services.outbound_connections import connection_error_reason
from scandock.services.records import Damage
from scandock.services.webhooks import post_signed
from scandock.web import urls

if TYPE_CHECKING:
    from scandock.services.settings import Settings

Payload = Mapping[str, object]
"""What a webhook is sent, as JSON."""

RETRY_PAUSES: Final = (60, 300, 1_800, 7_200, 28_800)
"""Seconds before the second and each further attempt; then it has failed."""

LONGEST_PAUSE_MS: Final = DAY_MS
"""More than anything ever has to wait."""

CLAIM_SECONDS: Final = 300
"""How long a delivery is left alone that somebody sends just now; longer where an attempt may take as long."""

MAX_PER_OWNER: Final = request_limits.MESSAGES_PER_OWNER
"""Deliveries at once for one account, or one project: the slow receivers of one keep no other's waiting."""

MAX_MAILS: Final = request_limits.MAILS_AT_ONCE
"""Mails at once: all of them go through the site's own mail server."""


@dataclass(slots=True)
class DeliveryCounts:
    """What one call has sent."""

    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedImport:
    """The import of whose outcome is told."""

    uuid: str
    archive: str
    state: str
    code: str
    message: str
    finished: int | None
    report: ImportReport | None
    """None of one that has no more than its end."""

    @property
    def sessions(self) -> list[ImportedSession]:
        return self.report.sessions if self.report is not None else []

    @property
    def entries(self) -> dict[str, int]:
        return self.report.entries if self.report is not None else {}

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of what is due, of a delivery that has an import."""
        outcome = parse_outcome(row["report"]) if row["report"] else None
        return cls(
            uuid=row["uuid"],
            archive=row["archive"],
            state=row["state"],
            code=row["code"],
            message=row["message"],
            finished=row["finished"],
            report=outcome if isinstance(outcome, ImportReport) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that this process sends now."""

    id: int
    attempts: int
    """Those before this one."""
    subscription_id: int | None
    """None of a mail to an administrator who has no subscription."""
    account_id: int | None
    project_id: int | None
    subscription: str
    """Its id; empty of a mail without one, as its secret is."""
    kind: str
    target: str
    secret: str
    ended: EndedImport | None
    """The import; None where damage is told of."""
    damage: DamageFigures | None = None

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of what is due."""
        return cls(
            id=row["id"],
            attempts=row["attempts"],
            subscription_id=row["subscription_id"],
            account_id=row["account_id"],
            project_id=row["project_id"],
            subscription=row["subscription"] or "",
            kind=row["kind"],
            target=row["target"],
            secret=row["secret"] or "",
            ended=EndedImport.from_row(row) if row["upload_id"] is not None else None,
        )

    @property
    def owners(self) -> tuple[int | None, int | None]:
        """The account and the project that it is for."""
        return self.account_id, self.project_id


class DeliverySlots:
    """What is being sent: one delivery at a time for a subscription, few for an owner, and some mails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending: list[ClaimedDelivery] = []

    @contextmanager
    def taken(self, catalog: Catalog, seconds: float) -> Iterator[ClaimedDelivery | None]:
        """The next delivery that is due and has a lane, in that lane; None where there is none."""
        with self._lock:
            claimed = _claim_delivery(catalog, seconds, self._free()) if _is_due(catalog) else None
            if claimed is not None:
                self._sending.append(claimed)
        try:
            yield claimed
        finally:
            if claimed is not None:
                with self._lock:
                    self._sending.remove(claimed)

    def _free(self) -> list[ColumnElement[bool]]:
        """Conditions that leave out what has no lane now."""
        sending = [claimed.subscription_id for claimed in self._sending]
        conditions: list[ColumnElement[bool]] = [or_(subscription.c.id.is_(None), subscription.c.id.not_in(sending))]
        for at, name in enumerate(("account_id", "project_id")):
            owners = Counter(owner for claimed in self._sending if (owner := claimed.owners[at]) is not None)
            full = [owner for owner, count in owners.items() if count >= MAX_PER_OWNER]
            conditions.append(or_(subscription.c[name].is_(None), subscription.c[name].not_in(full)))
        if sum(claimed.kind == "email" for claimed in self._sending) >= MAX_MAILS:
            conditions.append(subscription.c.kind != "email")  # nor to an account, which has no subscription
        return conditions


def send_due_deliveries(
    catalog: Catalog,
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
    slots: DeliverySlots | None = None,
    on_claimed: Callable[[], None] = lambda: None,
) -> DeliveryCounts:
    """Send what is due and has a lane, one after another, the longest waiting first. Never raises for a target.

    `on_claimed` is called before each is sent: somebody else may go on with the next meanwhile.
    """
    notify_settings = settings.notify
    slots = slots or DeliverySlots()
    counts = DeliveryCounts()
    while not stop():
        with slots.taken(catalog, notify_settings.seconds) as claimed:
            if claimed is None:
                break
            on_claimed()
            _try_delivery(catalog, claimed, notify_settings, counts)
    return counts


def _try_delivery(
    catalog: Catalog, claimed: ClaimedDelivery, notify_settings: NotifySettings, counts: DeliveryCounts
) -> None:
    try:
        _send_delivery(claimed, notify_settings)
    except (ScandockError, OSError, ValueError) as error:
        _postpone(
            catalog, claimed, str(error) if isinstance(error, ScandockError) else connection_error_reason(error), counts
        )
        return
    with catalog.write() as connection:
        values: dict[str, object] = {"state": "sent", "error": "", "done": catalog.now()}
        if claimed.damage is not None and _read_damage(connection, claimed).newest > claimed.damage.newest:
            values |= {"state": "waiting", "attempts": 0, "next_at": catalog.now() + PAUSE_MS}  # more came meanwhile
        connection.execute(update(delivery).where(delivery.c.id == claimed.id).values(**values))
    counts.sent += 1
    _log_delivery(claimed, "outcome sent")


def _log_delivery(claimed: ClaimedDelivery, message: str, **facts: Any) -> None:  # noqa: ANN401
    """Tell the log of a delivery of an import's outcome; of damage the worker does."""
    if claimed.ended is not None:
        log_step(
            message,
            claimed.ended.uuid,
            delivery=claimed.id,
            by=claimed.kind,
            attempt=claimed.attempts + 1,
            **facts,
        )


def _read_damage(connection: Connection, claimed: ClaimedDelivery) -> DamageFigures:
    """What is damaged of all that who is told answers for."""
    return read_damage_figures(connection, project_id=claimed.project_id, account_id=claimed.account_id)


def _is_due(catalog: Catalog) -> bool:
    """Whether anything is due, asked without waiting for the catalog's writers."""
    with catalog.read() as connection:
        due = select(delivery.c.id).where(delivery.c.state == "waiting", _due_condition(catalog.now())).limit(1)
        return connection.execute(due).first() is not None


def _due_condition(now: Any) -> ColumnElement[bool]:  # noqa: ANN401  a number, or the catalog's expression
    return is_due(delivery.c.next_at, now, LONGEST_PAUSE_MS)


def _claim_delivery(
    catalog: Catalog, seconds: float, conditions: Sequence[ColumnElement[bool]]
) -> ClaimedDelivery | None:
    """The next delivery that is due, taken for a while, with all that is to be told."""
    with catalog.write() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        addressee = account.alias("teller")
        row = connection.execute(
            select(
                delivery.c.id, delivery.c.attempts, delivery.c.subscription_id, delivery.c.upload_id,
                func.coalesce(subscription.c.account_id, delivery.c.account_id).label("account_id"),
                subscription.c.project_id, subscription.c.uuid.label("subscription"),
                func.coalesce(subscription.c.kind, "email").label("kind"),
                func.coalesce(subscription.c.target, addressee.c.email).label("target"), subscription.c.secret,
                upload.c.uuid, upload.c.archive, upload.c.state,
                upload.c.code, upload.c.message, upload.c.report, upload.c.finished, account.c.name.label("account"),
            )
            .outerjoin(subscription, subscription.c.id == delivery.c.subscription_id)
            .outerjoin(addressee, addressee.c.id == delivery.c.account_id)
            .outerjoin(upload, upload.c.id == delivery.c.upload_id)
            .outerjoin(reception, reception.c.upload_id == upload.c.id)
            .outerjoin(account, account.c.id == reception.c.account_id)
            .where(delivery.c.state == "waiting", _due_condition(now), *conditions)
            .order_by(delivery.c.next_at, delivery.c.id)
            .limit(1)
            .with_for_update(of=delivery, skip_locked=True)
        ).mappings().first()  # fmt: skip
        if row is None:
            return None
        claimed = ClaimedDelivery.from_row(row)
        connection.execute(
            update(delivery)
            .where(delivery.c.id == claimed.id)
            .values(attempts=delivery.c.attempts + 1, next_at=now + int(max(CLAIM_SECONDS, seconds + 60) * 1000))
        )
        if claimed.ended is None:
            return replace(claimed, damage=_read_damage(connection, claimed))
        return claimed


def _postpone(catalog: Catalog, claimed: ClaimedDelivery, error: str, counts: DeliveryCounts) -> None:
    attempt = claimed.attempts
    is_last = attempt >= len(RETRY_PAUSES)
    with catalog.write() as connection:
        values: dict[str, object] = {"error": error[:500]}
        if is_last:
            values |= {"state": "failed", "done": catalog.now()}
        else:
            values["next_at"] = catalog.now() + RETRY_PAUSES[attempt] * 1000
        connection.execute(update(delivery).where(delivery.c.id == claimed.id).values(**values))
    _log_delivery(claimed, "outcome not sent", again_in=None if is_last else RETRY_PAUSES[attempt])
    counts.failed += is_last


def _send_delivery(claimed: ClaimedDelivery, settings: NotifySettings) -> None:
    if claimed.damage is not None and not claimed.damage.files:
        return  # it was healed meanwhile
    if claimed.kind == "email":
        subject, text = format_email(claimed, settings)
        send_mail(settings, claimed.target, subject, text)
    else:
        post_signed(settings, claimed.target, claimed.secret, claimed.subscription, build_payload(claimed, settings))


def format_email(claimed: ClaimedDelivery, settings: NotifySettings) -> tuple[str, str]:
    """Subject and text of the e-mail."""
    if claimed.damage is not None:
        return format_damage_email(claimed.damage, settings)
    assert claimed.ended is not None
    return format_import_email(claimed.ended, settings)


def format_import_email(ended: EndedImport, settings: NotifySettings) -> tuple[str, str]:
    """Subject and text of the e-mail: plain words, the figures, a link. Labels only where the site allows them."""
    sessions = ended.sessions
    lines = [_STATE_SENTENCES[ended.state]]
    if settings.labels:
        lines += ["", f"Archive: {ended.archive}"]
        if ended.message:
            lines.append(ended.message)
    states = Counter(session.state for session in sessions)
    count, place = summarize_kept_files(ended.entries, states)
    lines += ["", f"Sessions: {len(sessions)}" + _format_counts(states), f"Files {place}: {count}"]
    if settings.labels:
        lines += [f"- {session.project} / {session.label}: {session.state}" for session in sessions if session.label]
    if ended.code:
        lines.append(f"Code: {ended.code}")
    lines += ["", f"Import: {ended.uuid}"]
    if settings.public_url:
        lines.append(settings.public_url + urls.import_page(ended.uuid))
    return f"Scandock: import {ended.state}", "\n".join(lines) + "\n"


_STATE_SENTENCES: Final = {
    "placed": "The import is done: every session stands where it was to go.",
    "held": "The import is done, and a session waits in the prearchive for a decision.",
    "partly": "The import is done, but not everything could be taken.",
    "refused": "The import was refused: nothing was stored.",
    "failed": "The import failed by a fault of the server. The upload is kept; it can be tried again.",
    "cancelled": "The import was cancelled: nothing was stored.",
}


def _format_counts(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {name}' for name, count in sorted(counts.items()))})" if counts else ""


def build_payload(claimed: ClaimedDelivery, settings: NotifySettings) -> Payload:
    """What a webhook is sent."""
    if claimed.damage is not None:
        return build_damage_payload(claimed.damage, settings)
    assert claimed.ended is not None
    return build_import_payload(claimed.ended, settings)


def build_import_payload(ended: EndedImport, settings: NotifySettings) -> Payload:
    """What a webhook is sent of an outcome."""
    names = ("uri", "project", "subject", "label", "state", "code", "files") if settings.labels else ("state", "files")
    content: dict[str, object] = {
        "event": "import.ended",
        "import": ended.uuid,
        "state": ended.state,
        "code": ended.code,
        "finished": ended.finished,
        "entries": ended.entries,
        "bytes": ended.report.to_json()["bytes"] if ended.report is not None else {},
        "sessions": [{name: getattr(session, name) for name in names} for session in ended.sessions],
        "url": settings.public_url + urls.api_import(ended.uuid) if settings.public_url else None,
        "page": settings.public_url + urls.import_page(ended.uuid) if settings.public_url else None,
    }
    if settings.labels:
        content["archive"] = ended.archive
        content["message"] = ended.message
    return content


DAMAGE_SENTENCES: Final = {
    "changed": "other bytes than were stored",
    "missing": "gone",
    "unreadable": "can't be read",
    "folder_missing": "the whole folder is gone",
}


def format_damage_email(damage: DamageFigures, settings: NotifySettings) -> tuple[str, str]:
    """Subject and text of the e-mail."""
    lines = [
        "Stored files are damaged: they are not what was stored, or can't be read.",
        "",
        f"Files: {damage.files}",
        f"Sessions: {damage.sessions}",
    ]
    if settings.labels:
        lines += [f"- {_format_name(damaged)}: {DAMAGE_SENTENCES[damaged.kind]}" for damaged in damage.named]
        if damage.files > len(damage.named):
            lines.append(f"- and {damage.files - len(damage.named)} more")
    lines += ["", "Look at the disk. Importing the same archives again heals the files."]
    if settings.public_url:
        lines.append(f"{settings.public_url}{damage.page}")
    return "Scandock: stored files are damaged", "\n".join(lines) + "\n"


def build_damage_payload(damage: DamageFigures, settings: NotifySettings) -> Payload:
    """What a webhook is sent of damage."""
    content: dict[str, object] = {
        "event": "damage.found",
        "files": damage.files,
        "sessions": damage.sessions,
        "found": damage.found,
        "url": f"{settings.public_url}{urls.API_DAMAGE}" if settings.public_url else None,
    }
    if settings.labels:
        content["damage"] = [damaged.to_json() for damaged in damage.named]
    return content


def _format_name(damaged: Damage) -> str:
    return " / ".join(part for part in (damaged.project, damaged.label, damaged.path) if part)

"""Told when it is done: outcomes are sent to who asked for them (`subscribing.py`), again with growing pauses.

What is to be told is noted with the outcome itself (`catalog/deliveries.py`); a worker sends it from there, several at
once (`workers/message_sender.py`), so that a slow receiver keeps no other waiting (`Lanes`). A delivery is taken by pushing
its next attempt away, so that two workers don't send it twice, and one that dies loses nothing.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from scandock.catalog.deliveries import PAUSE_MS
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, delivery, reception, subscription
from scandock.catalog.tables import upload
from scandock.model import request_limits
from scandock.model.durations import DAY_MS
from scandock.model.errors import ScandockError
from scandock.model.upload_log import log_step
from scandock.queue.retry import is_due
from scandock.rules.upload_summary import summarize_kept_files
from scandock.services.damage import Figures, figures_of
from scandock.services.damage_messages import damage_letter, damage_payload
from scandock.services.mail import send_mail
from scandock.services.notify_settings import NotifySettings
from scandock.services.outgoing import reason
from scandock.services.webhooks import post_signed
from scandock.web import urls

if TYPE_CHECKING:
    from scandock.services.settings import Settings

PAUSES: Final = (60, 300, 1_800, 7_200, 28_800)
"""Seconds before the second and each further attempt; then it has failed."""

LONGEST_PAUSE_MS: Final = DAY_MS
"""More than anything ever has to wait."""

TAKEN_SECONDS: Final = 300
"""How long a delivery is left alone that somebody sends just now; longer where an attempt may take as long."""

PER_OWNER: Final = request_limits.MESSAGES_PER_OWNER
"""Deliveries at once for one account, or one project: the slow receivers of one keep no other's waiting."""

MAILS: Final = request_limits.MAILS_AT_ONCE
"""Mails at once: all of them go through the site's own mail server."""


@dataclass(slots=True)
class Sent:
    """What one call has sent."""

    sent: int = 0
    failed: int = 0


class Lanes:
    """What is being sent: one delivery at a time for a subscription, few for an owner, and some mails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending: list[dict[str, Any]] = []

    @contextmanager
    def taken(self, catalog: Catalog, seconds: float) -> Iterator[dict[str, Any] | None]:
        """The next delivery that is due and has a lane, in that lane; None where there is none."""
        with self._lock:
            found = _take(catalog, seconds, self._free()) if _is_due(catalog) else None
            if found is not None:
                self._sending.append(found)
        try:
            yield found
        finally:
            if found is not None:
                with self._lock:
                    self._sending.remove(found)

    def _free(self) -> list[ColumnElement[bool]]:
        """Conditions that leave out what has no lane now."""
        sending = [one["subscription_id"] for one in self._sending]
        free: list[ColumnElement[bool]] = [or_(subscription.c.id.is_(None), subscription.c.id.not_in(sending))]
        for name in ("account_id", "project_id"):
            owners = Counter(one[name] for one in self._sending if one[name] is not None)
            full = [owner for owner, count in owners.items() if count >= PER_OWNER]
            free.append(or_(subscription.c[name].is_(None), subscription.c[name].not_in(full)))
        if sum(one["kind"] == "email" for one in self._sending) >= MAILS:
            free.append(subscription.c.kind != "email")  # nor to an account, which has no subscription
        return free


def send_due(
    catalog: Catalog,
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
    lanes: Lanes | None = None,
    on_taken: Callable[[], None] = lambda: None,
) -> Sent:
    """Send what is due and has a lane, one after another, the longest waiting first. Never raises for a target.

    `on_taken` is called before each is sent: somebody else may go on with the next meanwhile.
    """
    wanted = settings.notify
    lanes = lanes or Lanes()
    done = Sent()
    while not stop():
        with lanes.taken(catalog, wanted.seconds) as taken:
            if taken is None:
                break
            on_taken()
            _try(catalog, taken, wanted, done)
    return done


def _try(catalog: Catalog, taken: dict[str, Any], wanted: NotifySettings, done: Sent) -> None:
    try:
        _send(taken, wanted)
    except (ScandockError, OSError, ValueError) as error:
        _put_off(catalog, taken, str(error) if isinstance(error, ScandockError) else reason(error), done)
        return
    with catalog.write() as connection:
        values: dict[str, Any] = {"state": "sent", "error": "", "done": catalog.now()}
        if "damage" in taken and _damage_of(connection, taken).newest > taken["damage"].newest:
            values |= {"state": "waiting", "attempts": 0, "next_at": catalog.now() + PAUSE_MS}  # more came meanwhile
        connection.execute(update(delivery).where(delivery.c.id == taken["id"]).values(**values))
    done.sent += 1
    _log(taken, "outcome sent")


def _log(taken: dict[str, Any], what: str, **facts: Any) -> None:  # noqa: ANN401
    """Tell the log of a delivery of an import's outcome; of damage the worker does."""
    if taken["uuid"] is not None:
        log_step(what, taken["uuid"], delivery=taken["id"], by=taken["kind"], attempt=taken["attempts"] + 1, **facts)


def _damage_of(connection: Connection, taken: dict[str, Any]) -> Figures:
    """What is damaged of all that who is told answers for."""
    return figures_of(connection, project_id=taken["project_id"], account_id=taken["account_id"])


def _is_due(catalog: Catalog) -> bool:
    """Whether anything is due, asked without waiting for the catalog's writers."""
    with catalog.read() as connection:
        due = select(delivery.c.id).where(delivery.c.state == "waiting", _has_come(catalog.now())).limit(1)
        return connection.execute(due).first() is not None


def _has_come(now: Any) -> ColumnElement[bool]:  # noqa: ANN401  a number, or the catalog's expression
    return is_due(delivery.c.next_at, now, LONGEST_PAUSE_MS)


def _take(catalog: Catalog, seconds: float, free: Sequence[ColumnElement[bool]]) -> dict[str, Any] | None:
    """The next delivery that is due, taken for a while, with all that is to be told."""
    with catalog.write() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        teller = account.alias("teller")
        row = connection.execute(
            select(
                delivery.c.id, delivery.c.attempts, delivery.c.subscription_id, delivery.c.upload_id,
                func.coalesce(subscription.c.account_id, delivery.c.account_id).label("account_id"),
                subscription.c.project_id, subscription.c.uuid.label("subscription"),
                func.coalesce(subscription.c.kind, "email").label("kind"),
                func.coalesce(subscription.c.target, teller.c.email).label("target"), subscription.c.secret,
                upload.c.uuid, upload.c.archive, upload.c.state,
                upload.c.code, upload.c.message, upload.c.report, upload.c.finished, account.c.name.label("account"),
            )
            .outerjoin(subscription, subscription.c.id == delivery.c.subscription_id)
            .outerjoin(teller, teller.c.id == delivery.c.account_id)
            .outerjoin(upload, upload.c.id == delivery.c.upload_id)
            .outerjoin(reception, reception.c.upload_id == upload.c.id)
            .outerjoin(account, account.c.id == reception.c.account_id)
            .where(delivery.c.state == "waiting", _has_come(now), *free)
            .order_by(delivery.c.next_at, delivery.c.id)
            .limit(1)
            .with_for_update(of=delivery, skip_locked=True)
        ).mappings().first()  # fmt: skip
        if row is None:
            return None
        connection.execute(
            update(delivery)
            .where(delivery.c.id == row["id"])
            .values(attempts=delivery.c.attempts + 1, next_at=now + int(max(TAKEN_SECONDS, seconds + 60) * 1000))
        )
        found = dict(row)
        if found["upload_id"] is None:
            found["damage"] = _damage_of(connection, found)
        return found


def _put_off(catalog: Catalog, taken: dict[str, Any], why: str, done: Sent) -> None:
    attempt = taken["attempts"]
    over = attempt >= len(PAUSES)
    with catalog.write() as connection:
        values: dict[str, Any] = {"error": why[:500]}
        if over:
            values |= {"state": "failed", "done": catalog.now()}
        else:
            values["next_at"] = catalog.now() + PAUSES[attempt] * 1000
        connection.execute(update(delivery).where(delivery.c.id == taken["id"]).values(**values))
    _log(taken, "outcome not sent", again_in=None if over else PAUSES[attempt])
    done.failed += over


def _send(taken: dict[str, Any], settings: NotifySettings) -> None:
    if "damage" in taken and not taken["damage"].files:
        return  # it was healed meanwhile
    if taken["kind"] == "email":
        subject, text = letter(taken, settings)
        send_mail(settings, taken["target"], subject, text)
    else:
        post_signed(settings, taken["target"], taken["secret"], taken["subscription"], payload(taken, settings))


def _figures(taken: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    report = json.loads(taken["report"]) if taken["report"] else {}
    return report, report.get("sessions") or []


def letter(taken: dict[str, Any], settings: NotifySettings) -> tuple[str, str]:
    """Subject and text of the e-mail: plain words, the figures, a link. Labels only where the site allows them."""
    if "damage" in taken:
        return damage_letter(taken["damage"], settings)
    report, sessions = _figures(taken)
    state = taken["state"]
    lines = [f"{_WORDS[state]}"]
    if settings.labels:
        lines += ["", f"Archive: {taken['archive']}"]
        if taken["message"]:
            lines.append(taken["message"])
    where = Counter(str(one.get("state")) for one in sessions)
    count, place = summarize_kept_files(report.get("entries") or {}, where)
    lines += ["", f"Sessions: {len(sessions)}" + _listed(where), f"Files {place}: {count}"]
    if settings.labels:
        lines += [f"- {one['project']} / {one['label']}: {one['state']}" for one in sessions if one.get("label")]
    if taken["code"]:
        lines.append(f"Code: {taken['code']}")
    lines += ["", f"Import: {taken['uuid']}"]
    if settings.public_url:
        lines.append(settings.public_url + urls.import_page(taken["uuid"], "receipt"))
    return f"Scandock: import {state}", "\n".join(lines) + "\n"


_WORDS: Final = {
    "placed": "The import is done: every session stands where it was to go.",
    "held": "The import is done, and a session waits in the prearchive for a decision.",
    "partly": "The import is done, but not everything could be taken.",
    "refused": "The import was refused: nothing was stored.",
    "failed": "The import failed by a fault of the server. The upload is kept; it can be tried again.",
    "cancelled": "The import was cancelled: nothing was stored.",
}


def _listed(where: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {name}' for name, count in sorted(where.items()))})" if where else ""


def payload(taken: dict[str, Any], settings: NotifySettings) -> dict[str, Any]:
    """What a webhook is sent."""
    if "damage" in taken:
        return damage_payload(taken["damage"], settings)
    report, sessions = _figures(taken)
    told: dict[str, Any] = {
        "event": "import.ended",
        "import": taken["uuid"],
        "state": taken["state"],
        "code": taken["code"],
        "finished": taken["finished"],
        "entries": report.get("entries") or {},
        "bytes": report.get("bytes") or {},
        "sessions": [{"state": one.get("state"), "files": one.get("files")} for one in sessions],
        "url": settings.public_url + urls.api_import(taken["uuid"]) if settings.public_url else None,
    }
    if settings.labels:
        told["archive"] = taken["archive"]
        told["message"] = taken["message"]
        told["sessions"] = [
            {name: one.get(name) for name in ("uri", "project", "subject", "label", "state", "code", "files")}
            for one in sessions
        ]
    return told

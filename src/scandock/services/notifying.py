"""Told when it is done: outcomes are sent to who asked for them (`subscribing.py`), again with growing pauses.

What is to be told is noted with the outcome itself (`catalog/deliveries.py`); a worker sends it from there. A delivery
is taken by pushing its next attempt away, so that two workers don't send it twice, and one that dies loses nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, delivery, reception, subscription
from scandock.catalog.tables import upload
from scandock.model.errors import ScandockError
from scandock.services.mail import send_mail
from scandock.services.notify_settings import NotifySettings, notify_settings
from scandock.services.webhooks import post_signed

if TYPE_CHECKING:
    from scandock.services.settings import Settings

PAUSES: Final = (60, 300, 1_800, 7_200, 28_800)
"""Seconds before the second and each further attempt; then it has failed."""

TAKEN_SECONDS: Final = 300
"""How long a delivery is left alone that somebody sends just now."""


@dataclass(slots=True)
class Sent:
    """What one call has sent."""

    sent: int = 0
    put_off: int = 0
    failed: int = 0


def send_due(catalog: Catalog, settings: Settings, stop: Callable[[], bool] = lambda: False, most: int = 50) -> Sent:
    """Send what is due, the longest waiting first; called by a worker every few seconds. Never raises for a target."""
    wanted = notify_settings(settings)
    done = Sent()
    for _ in range(most):
        if stop():
            break
        taken = _take(catalog)
        if taken is None:
            break
        try:
            _send(taken, wanted)
        except (ScandockError, OSError, ValueError) as error:
            _put_off(catalog, taken, str(error) or type(error).__name__, done)
        else:
            with catalog.write() as connection:
                connection.execute(
                    update(delivery)
                    .where(delivery.c.id == taken["id"])
                    .values(state="sent", error="", done=catalog.now())
                )
            done.sent += 1
    return done


def _take(catalog: Catalog) -> dict[str, Any] | None:
    """The next delivery that is due, taken for a while, with all that is to be told."""
    with catalog.write() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        row = connection.execute(
            select(
                delivery.c.id, delivery.c.attempts, subscription.c.uuid.label("subscription"), subscription.c.kind,
                subscription.c.target, subscription.c.secret, upload.c.uuid, upload.c.archive, upload.c.state,
                upload.c.code, upload.c.message, upload.c.report, upload.c.finished, account.c.name.label("account"),
            )
            .join(subscription, subscription.c.id == delivery.c.subscription_id)
            .join(upload, upload.c.id == delivery.c.upload_id)
            .outerjoin(reception, reception.c.upload_id == upload.c.id)
            .outerjoin(account, account.c.id == reception.c.account_id)
            .where(delivery.c.state == "waiting", delivery.c.next_at <= now)
            .order_by(delivery.c.next_at, delivery.c.id)
            .limit(1)
            .with_for_update(of=delivery, skip_locked=True)
        ).mappings().first()  # fmt: skip
        if row is None:
            return None
        connection.execute(
            update(delivery)
            .where(delivery.c.id == row["id"])
            .values(attempts=delivery.c.attempts + 1, next_at=now + TAKEN_SECONDS * 1000)
        )
        return dict(row)


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
    done.failed += over
    done.put_off += not over


def _send(taken: dict[str, Any], settings: NotifySettings) -> None:
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
    report, sessions = _figures(taken)
    state = taken["state"]
    lines = [f"{_WORDS[state]}"]
    if settings.labels:
        lines += ["", f"Archive: {taken['archive']}"]
        if taken["message"]:
            lines.append(taken["message"])
    stored = (report.get("entries") or {}).get("stored", 0)
    where = Counter(str(one.get("state")) for one in sessions)
    lines += ["", f"Sessions: {len(sessions)}" + _listed(where), f"Files stored: {stored}"]
    if settings.labels:
        lines += [f"- {one['project']} / {one['label']}: {one['state']}" for one in sessions if one.get("label")]
    if taken["code"]:
        lines.append(f"Code: {taken['code']}")
    lines += ["", f"Import: {taken['uuid']}"]
    if settings.public_url:
        lines.append(f"{settings.public_url}/imports/{taken['uuid']}/receipt")
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
        "url": f"{settings.public_url}/api/v1/imports/{taken['uuid']}" if settings.public_url else None,
    }
    if settings.labels:
        told["archive"] = taken["archive"]
        told["message"] = taken["message"]
        told["sessions"] = [
            {name: one.get(name) for name in ("uri", "project", "subject", "label", "state", "code", "files")}
            for one in sessions
        ]
    return told

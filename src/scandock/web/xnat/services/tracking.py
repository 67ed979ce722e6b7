"""Keys by which XNAT's clients follow an import, and what is told of it (xnat-behaviour.md 6.1).

Nothing is stored but the key and its import: the entries are the import's own events, and its end is the import's own
outcome. So there always is one, whatever was killed or deleted meanwhile. What is done at once has its own words
(`archive_tracking`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, insert, select

from scandock.access.principal import AccessDenied, Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import tracked
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.queue.event_data import (
    AttemptBegun,
    CancelRequested,
    ImportQueued,
    RetryPlanned,
    SessionPublished,
    StageBegun,
)
from scandock.services.import_records import Import
from scandock.services.imports import read_import, read_import_request
from scandock.services.progress import UploadEvent, read_events_after
from scandock.web.xnat.services.archive_tracking import TrackedEntry, read_tracked_outcome, tracked_entry
from scandock.web.xnat.services.outcomes import make_outcome

MAX_KEY: Final = 255
_MAX_EVENTS: Final = 5_000
DELETED: Final = "The import was deleted; what it had stored stays."
_STAGES: Final = {
    "opening": "Importing file",
    "reading": "Reading images",
    "deciding": "Creating sessions",
    "placing": "Importing sessions to their destination",
    "syncing": "Making sessions durable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedImport:
    """What is told of a key."""

    key: str
    payload: str | None
    """JSON with `entryList`."""
    succeeded: bool | None
    """None while it goes on."""
    final: str | None


def check_key(key: str) -> str:
    """A key as a client names it. Usage for one that can't be kept."""
    if len(key) > MAX_KEY or not key.isprintable():
        raise RequestInvalid(
            "The key of the listener is too long, or has characters that can't be shown.",
            f"Take at most {MAX_KEY} letters, digits and signs.",
        )
    return key


def track_import(catalog: Catalog, principal: Principal, key: str, uuid: str) -> None:
    """Let a key tell of an import from now on; one that was used before tells of the new one."""
    with catalog.write() as connection:
        number = connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar()
        values = {"account_id": principal.account_id, "key": key, "upload_id": number, "created": catalog.now()}
        connection.execute(insert(tracked).values(**values))


def read_tracked(catalog: Catalog, principal: Principal, key: str) -> TrackedImport | None:
    """What is told of a key; None for one that is unknown, or another's, whoever asks."""
    with catalog.read() as connection:
        row = connection.execute(
            select(tracked, catalog.now().label("now"), upload.c.id, upload.c.uuid, upload.c.archive, upload.c.state)
            .outerjoin(upload, upload.c.id == tracked.c.upload_id)
            .where(tracked.c.account_id == principal.account_id, tracked.c.key == key)
            .order_by(tracked.c.number.desc())
            .limit(1)
        ).first()
        if row is None:
            return None
        if row.alive_until is not None:
            payload_text, succeeded, final = read_tracked_outcome(row)
            return TrackedImport(key=key, payload=payload_text, succeeded=succeeded, final=final)
        payload = _make_payload(connection, row.id, row.archive) if row.id is not None else None
    tracked_import = None if row.uuid is None else _find_import(catalog, principal, row.uuid)
    if tracked_import is None:
        return TrackedImport(key=key, payload=payload, succeeded=row.state == ImportState.PLACED, final=DELETED)
    if tracked_import.state in UNFINISHED:
        return TrackedImport(key=key, payload=payload, succeeded=None, final=None)
    outcome = make_outcome(tracked_import, read_import_request(catalog, principal, row.uuid))
    return TrackedImport(key=key, payload=payload, succeeded=outcome.good, final=outcome.final_message)


def _find_import(catalog: Catalog, principal: Principal, uuid: str) -> Import | None:
    """The import's object; None where it was deleted."""
    try:
        return read_import(catalog, principal, uuid)
    except AccessDenied:
        return None


def _make_payload(connection: Connection, upload_id: int, archive: str) -> str | None:
    entries = list(_iter_entries(read_events_after(connection, 0, upload_id=upload_id, limit=_MAX_EVENTS), archive))
    return json.dumps({"entryList": entries}) if entries else None


def _iter_entries(events: Iterable[UploadEvent], archive: str) -> Iterable[TrackedEntry]:
    """What was told of an import in the words of the original's events; its outcome is no entry (6.1)."""
    for event in events:
        entry = _describe_event(event, archive)
        if entry is not None:
            yield tracked_entry(event.at, *entry)


def _describe_event(event: UploadEvent, archive: str) -> tuple[str, str] | None:
    data = event.data
    if isinstance(data, ImportQueued):
        return "Waiting", "The upload is kept and waits for its import"
    if isinstance(data, AttemptBegun):
        return "InProgress", "Determining destination"
    if isinstance(data, StageBegun):
        words = _STAGES.get(data.stage, data.stage)
        return "InProgress", f"{words} ({archive} )" if data.stage == "opening" else words
    if isinstance(data, SessionPublished):
        in_conflict = data.state == "conflict"
        return ("Warning", f"Held for a decision: {data.uri}") if in_conflict else ("InProgress", f"Placed: {data.uri}")
    if isinstance(data, RetryPlanned):
        return "Warning", data.message
    if isinstance(data, CancelRequested):
        return "Warning", "Cancelling"
    return None

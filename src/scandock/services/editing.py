"""Changing what may be changed of what stands: settings and titles, labels, and what people say of a scan.

Every change names the state that it was decided on, by an ETag (`If-Match`): one that has changed meanwhile is left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from scandock.access import members
from scandock.catalog.project_names import lock_project_names
from scandock.catalog.projects import title_columns
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import project, scan, session, subject
from scandock.model.errors import Usage
from scandock.model.json_records import JsonRecord
from scandock.model.request_errors import ValueInvalid
from scandock.publishing.intents import SessionRow
from scandock.publishing.locks import LockName, locks_of, session_locks, subject_lock
from scandock.publishing.operations import run_operation
from scandock.rules.errors import ProjectIdReserved
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.permissions import Accessibility, Action
from scandock.rules.project_fields import name_key
from scandock.services import browsing, contents, rights
from scandock.services.moving import (
    Desk,
    Outcome,
    check_no_assessor,
    labelled,
    subject_warnings,
    switch,
    usable,
)
from scandock.services.project_names import NameKind, check_free
from scandock.services.records import Project, Scan, Subject
from scandock.services.session_errors import ChangedMeanwhile, FieldUnknown, LabelTaken

PROJECT_FIELDS: dict[str, tuple[str, tuple[object, ...] | None]] = {
    "name": ("title", None),
    "prearchive_code": ("prearchive_code", (0, 4, 5)),
    "identified": ("identified", ("accept", "warn", "hold")),
    "petmr": ("petmr", ("petmr", "pet")),
    "separate_secondary": ("separate_secondary", (True, False)),
    "quarantine": ("quarantine", (True, False)),
}
"""What may be changed of a project: its column, and its values where not every text will do."""

QUALITIES = ("usable", "questionable", "unusable")
MAX_TEXT = 4_000


def etag(item: JsonRecord) -> str:
    """The ETag of an item: two are the same when all that is shown of it is."""
    raw = json.dumps(item.to_json(), sort_keys=True, separators=(",", ":")).encode()
    return f'"{hashlib.sha256(raw).hexdigest()[:32]}"'


def check_match(item: JsonRecord, if_match: str | None) -> None:
    """Usage `changed_meanwhile` where a change was decided on another state of the item; None: on any."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(item) not in {one.strip() for one in if_match.split(",")}:
        raise ChangedMeanwhile("It was changed since you read it.", "Read it again, then decide.")


def edit_project(desk: Desk, name: str, changes: Mapping[str, Any], if_match: str | None = None) -> Project:
    """Change a project's title or settings (`PROJECT_FIELDS`). Denied; Usage `field_unknown`, `value_invalid`,
    and `title_taken` for a title that is another project's name.
    """
    opened = changes.get("accessibility")
    values = _project_values({key: value for key, value in changes.items() if key != "accessibility"})
    with desk.catalog.write() as connection:
        action = Action.PROJECT_EDIT if set(changes) <= {"name"} else Action.SETTINGS_EDIT
        rights.check(connection, desk.principal, action, name)
        if "title" in values:
            lock_project_names(desk.catalog, connection)
        before = browsing.find_project(connection, desk.principal, name)
        if before.id == UNASSIGNED:
            raise ProjectIdReserved(f"{UNASSIGNED} has no settings.", "Choose another project.")
        check_match(before, if_match)
        if "title" in values:
            if name_key(values["title"]) != name_key(before.name):
                number = connection.execute(select(project.c.id).where(project.c.name == before.id)).scalar_one()
                check_free(connection, NameKind.TITLE, values["title"], project_id=number)
            values |= title_columns(values["title"])
        if values:
            connection.execute(
                update(project).where(project.c.name == before.id).values(**values, revision=project.c.revision + 1)
            )
            said = sorted(set(changes) - {"accessibility"})
            desk.note(connection, "project_edit", before.id, before.id, {"fields": said}, kind="project")
        if opened is not None:
            _open(desk, connection, before.id, opened)
        return browsing.find_project(connection, desk.principal, name)


def _open(desk: Desk, connection: Connection, name: str, wanted: str) -> None:
    """Say who sees a project without a role in it."""
    if wanted not in set(Accessibility):
        raise _invalid("accessibility", wanted, tuple(Accessibility))
    before = members.set_accessibility(connection, name, Accessibility(wanted))
    desk.note(connection, "access_set", name, name, {"before": before.value, "now": wanted}, kind="project")


def _project_values(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for key, value in changes.items():
        if key not in PROJECT_FIELDS:
            known = ", ".join((*PROJECT_FIELDS, "accessibility"))
            raise FieldUnknown(f"{key[:40]!r} can't be changed.", f"These can: {known}.")
        column, allowed = PROJECT_FIELDS[key]
        same = allowed is None or any(value == one and type(value) is type(one) for one in allowed)
        if not same or (allowed is None and not _is_text(value)):
            raise _invalid(key, value, allowed)
        values[column] = value
    return values


def _invalid(name: str, value: object, allowed: tuple[object, ...] | None) -> Usage:
    """Why a value is refused, with those that are right; `allowed` None: any text."""
    if allowed is None:
        remedy = f"It has at most {MAX_TEXT:,} characters, no NUL."
        return ValueInvalid(f"{name} can't have that value.", remedy)
    *most, last = (str(one).lower() for one in allowed)
    shown = repr(value[:40]) if isinstance(value, str) else "that"
    return ValueInvalid(f"{name} can't be {shown}.", f"Right is {', '.join(most)} or {last}.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def rename_subject(
    desk: Desk,
    uuid: str,
    label: str,
    if_match: str | None = None,
    *,
    write: Callable[[Connection], object] = lambda connection: None,  # noqa: ARG005
) -> Subject:
    """Give a subject another label, and so its sessions' URIs; no file moves. Usage `label_taken`.

    `write` changes more of it: all is done, or nothing.
    """
    new = usable(label)
    assert new is not None
    with desk.catalog.read() as connection:
        before = browsing.find_subject(connection, desk.principal, uuid)

    def names(_: Connection) -> set[LockName]:
        return {subject_lock(before.project, one) for one in (before.label, new)}

    with (
        run_operation(desk.catalog, desk.store, "edit") as running,
        running.reserve_names({before.project}, names) as connection,
    ):
        before = browsing.find_subject(connection, desk.principal, uuid)
        rights.check(connection, desk.principal, Action.SUBJECT_EDIT, before.project)
        check_match(before, if_match)
        row = connection.execute(select(subject.c.id, subject.c.project_id).where(subject.c.uuid == uuid)).one()
        taken = connection.execute(
            select(subject.c.id).where(
                subject.c.project_id == row.project_id, subject.c.key == label_key(new), subject.c.id != row.id
            )
        ).first()
        if taken is not None:
            raise LabelTaken("There is a subject of that label already.", "Choose another label.")
        now = desk.catalog.now()
        named = update(subject).values(label=new, key=label_key(new), modified=now)
        connection.execute(named.where(subject.c.id == row.id))
        connection.execute(update(session).where(session.c.subject_id == row.id).values(subject=new, modified=now))
        desk.note(connection, "edit", uuid, before.project, {"fields": ["label"]}, kind="subject")
        write(connection)
        return browsing.find_subject(connection, desk.principal, uuid)


def edit_session(
    desk: Desk,
    uuid: str,
    *,
    label: str | None = None,
    subject_label: str | None = None,
    quarantined: bool | None = None,
    if_match: str | None = None,
    dry_run: bool = False,
    more: Callable[[Connection, SessionRecord], Mapping[str, Any]] = lambda connection, source: {},  # noqa: ARG005
    write: Callable[[Connection, SessionRecord], object] = lambda connection, source: None,  # noqa: ARG005
) -> Outcome:
    """Give an archived session another label, or another subject of its project; put it into quarantine, or activate
    it, which is the owners' (xnat-behaviour.md 5.5). Usage `label_taken`, Denied.

    `more`: what else its row is to say, by fields of `SessionRow`; `write` changes other rows of it. All of it is done,
    or nothing: what either raises refuses the whole.
    """
    label, subject_label = usable(label), usable(subject_label)
    with desk.catalog.read() as connection:
        source = rights.session_for(connection, desk.principal, uuid, Action.SESSION_EDIT, place="archive")

    def names(_: Connection) -> set[LockName]:
        there = session_locks(
            source.project,
            label=label or source.label,
            subject=subject_label or source.subject,
            study_uid=source.study_uid,
        )
        return locks_of(source) | there

    with run_operation(desk.catalog, desk.store, "edit") as running:
        with running.reserve_names({source.project}, names) as connection:
            source = rights.session_for(connection, desk.principal, uuid, Action.SESSION_EDIT, place="archive")
            check_match(browsing.find_session(connection, desk.principal, uuid), if_match)
            if source.quarantined and quarantined is False:
                rights.check(connection, desk.principal, Action.SESSION_ACTIVATE, source.project)
            if label is not None and set(labelled(connection, source.project_id, label)) - {uuid}:
                raise LabelTaken("There is a session of that label already.", "Choose another label.")
            if label is not None and label_key(label) != label_key(source.label):
                check_no_assessor(connection, source.project_id, label)
            wanted = subject_label or source.subject
            warnings = subject_warnings(connection, source.project, wanted, source) if subject_label else ()
            row = SessionRow.of(
                source,
                label=label or source.label,
                subject=wanted,
                quarantined=source.quarantined if quarantined is None else quarantined,
                **more(connection, source),
            )
        said = {"label": label, "subject": subject_label, "quarantined": quarantined}
        return switch(
            desk,
            running,
            source,
            row,
            source.project,
            warnings=warnings,
            dry_run=dry_run,
            action="edit",
            details={"fields": [name for name, value in said.items() if value is not None]},
            write=lambda connection: write(connection, source),
        )


def edit_scan(desk: Desk, uuid: str, scan_id: str, changes: Mapping[str, Any], if_match: str | None = None) -> Scan:
    """Say the type, quality or note of a scan; None takes back what was said. Usage `scan_unknown`, `value_invalid`."""
    values = scan_values(changes)
    with desk.catalog.write() as connection:
        source = rights.session_for(
            connection, desk.principal, uuid, Action.SESSION_EDIT, waiting=Action.PREARCHIVE_EDIT
        )
        check_match(contents.find_scan(connection, desk.principal, uuid, scan_id), if_match)
        known = connection.execute(
            select(scan.c.scan_id).where(scan.c.tree_id == source.tree_id, scan.c.scan_id == scan_id)
        ).scalar_one()
        where = (scan_edit.c.session_id == source.id, scan_edit.c.scan_id == known)
        values["modified"] = desk.catalog.now()
        if connection.execute(update(scan_edit).where(*where).values(**values)).rowcount == 0:
            connection.execute(insert(scan_edit).values(session_id=source.id, scan_id=known, **values))
        connection.execute(update(session).where(session.c.id == source.id).values(modified=desk.catalog.now()))
        desk.note(connection, "edit", uuid, source.project, {"scan": known, "fields": sorted(changes)})
        return contents.find_scan(connection, desk.principal, uuid, scan_id)


def scan_values(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What may be said of a scan. Usage `field_unknown`, `value_invalid`."""
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in ("type", "quality", "note"):
            raise FieldUnknown(f"{key[:40]!r} can't be changed.", "These can: type, quality, note.")
        if value is not None and (not _is_text(value) or (key == "quality" and value not in QUALITIES)):
            raise _invalid(key, value, QUALITIES if key == "quality" else None)
        values[key] = value
    return values

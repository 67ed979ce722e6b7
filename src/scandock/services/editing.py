"""Changing what may be changed of what stands: settings and titles, labels, and what people say of a scan.

Every change names the state that it was decided on, by an ETag (`If-Match`): one that has changed meanwhile is left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, cast

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
from scandock.rules.petmr import PET_MR_CHOICES
from scandock.rules.project_fields import name_key
from scandock.services import browsing, rights, session_contents
from scandock.services.context import ServiceContext
from scandock.services.moving import (
    check_label,
    check_no_assessor,
    find_sessions_by_label,
    publish_session_row,
    subject_warnings,
)
from scandock.services.outcomes import Outcome
from scandock.services.project_names import NameKind, check_name_free
from scandock.services.records import Project, Scan, Subject
from scandock.services.session_errors import ChangedMeanwhile, FieldUnknown, LabelTaken

PROJECT_FIELDS: dict[str, tuple[str, tuple[object, ...] | None]] = {
    "name": ("title", None),
    "prearchive_code": ("prearchive_code", (0, 4, 5)),
    "identified": ("identified", ("accept", "warn", "hold")),
    "petmr": ("petmr", PET_MR_CHOICES),
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


def check_if_match(item: JsonRecord, if_match: str | None) -> None:
    """Usage `changed_meanwhile` where a change was decided on another state of the item; None: on any."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(item) not in {tag.strip() for tag in if_match.split(",")}:
        raise ChangedMeanwhile("It was changed since you read it.", "Read it again, then decide.")


def edit_project(
    context: ServiceContext, name: str, changes: Mapping[str, Any], if_match: str | None = None
) -> Project:
    """Change a project's title or settings (`PROJECT_FIELDS`). AccessDenied; Usage `field_unknown`, `value_invalid`,
    and `title_taken` for a title that is another project's name.
    """
    accessibility = changes.get("accessibility")
    values = _check_project_values({key: value for key, value in changes.items() if key != "accessibility"})
    with context.catalog.write() as connection:
        action = Action.PROJECT_EDIT if set(changes) <= {"name"} else Action.SETTINGS_EDIT
        rights.check(connection, context.principal, action, name)
        if "title" in values:
            lock_project_names(context.catalog, connection)
        before = browsing.find_project(connection, context.principal, name)
        if before.id == UNASSIGNED:
            raise ProjectIdReserved(f"{UNASSIGNED} has no settings.", "Choose another project.")
        check_if_match(before, if_match)
        if "title" in values and name_key(values["title"]) != name_key(before.name):
            number = connection.execute(select(project.c.id).where(project.c.name == before.id)).scalar_one()
            check_name_free(connection, NameKind.TITLE, values["title"], project_id=number)
        if values:
            columns = {**values, **(title_columns(values["title"]) if "title" in values else {})}
            connection.execute(
                update(project).where(project.c.name == before.id).values(**columns, revision=project.c.revision + 1)
            )
            changed_fields = sorted(set(changes) - {"accessibility"})
            context.note(connection, "project_edit", before.id, before.id, {"fields": changed_fields}, kind="project")
        if accessibility is not None:
            _set_accessibility(context, connection, before.id, accessibility)
        return browsing.find_project(connection, context.principal, name)


def _set_accessibility(context: ServiceContext, connection: Connection, name: str, accessibility: str) -> None:
    """Say who sees a project without a role in it."""
    if accessibility not in set(Accessibility):
        raise _invalid_value("accessibility", accessibility, tuple(Accessibility))
    before = members.set_accessibility(connection, name, Accessibility(accessibility))
    context.note(connection, "access_set", name, name, {"before": before.value, "now": accessibility}, kind="project")


class ProjectValues(TypedDict, total=False):
    """Columns of `project` that people set."""

    title: str
    prearchive_code: int
    identified: str
    petmr: str
    separate_secondary: bool
    quarantine: bool


def _check_project_values(changes: Mapping[str, object]) -> ProjectValues:
    values = {}
    for key, value in changes.items():
        if key not in PROJECT_FIELDS:
            known = ", ".join((*PROJECT_FIELDS, "accessibility"))
            raise FieldUnknown(f"{key[:40]!r} can't be changed.", f"These can: {known}.")
        column, allowed = PROJECT_FIELDS[key]
        same = allowed is None or any(value == choice and type(value) is type(choice) for choice in allowed)
        if not same or (allowed is None and not _is_text(value)):
            raise _invalid_value(key, value, allowed)
        values[column] = value
    return cast("ProjectValues", values)


def _invalid_value(name: str, value: object, allowed: tuple[object, ...] | None) -> Usage:
    """Why a value is refused, with those that are right; `allowed` None: any text."""
    if allowed is None:
        remedy = f"It has at most {MAX_TEXT:,} characters, no NUL."
        return ValueInvalid(f"{name} can't have that value.", remedy)
    *choices, last = (str(choice).lower() for choice in allowed)
    shown_value = repr(value[:40]) if isinstance(value, str) else "that"
    return ValueInvalid(f"{name} can't be {shown_value}.", f"Right is {', '.join(choices)} or {last}.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def rename_subject(
    context: ServiceContext,
    uuid: str,
    label: str,
    if_match: str | None = None,
    *,
    write: Callable[[Connection], object] = lambda connection: None,  # noqa: ARG005
) -> Subject:
    """Give a subject another label, and so its sessions' URIs; no file moves. Usage `label_taken`.

    `write` changes more of it: all is done, or nothing.
    """
    new = check_label(label)
    assert new is not None
    with context.catalog.read() as connection:
        before = browsing.find_subject(connection, context.principal, uuid)

    def names(_: Connection) -> set[LockName]:
        return {subject_lock(before.project, each_label) for each_label in (before.label, new)}

    with (
        run_operation(context.catalog, context.store, "edit") as running,
        running.reserve_names({before.project}, names) as connection,
    ):
        before = browsing.find_subject(connection, context.principal, uuid)
        rights.check(connection, context.principal, Action.SUBJECT_EDIT, before.project)
        check_if_match(before, if_match)
        row = connection.execute(select(subject.c.id, subject.c.project_id).where(subject.c.uuid == uuid)).one()
        existing = connection.execute(
            select(subject.c.id).where(
                subject.c.project_id == row.project_id, subject.c.key == label_key(new), subject.c.id != row.id
            )
        ).first()
        if existing is not None:
            raise LabelTaken("There is a subject of that label already.", "Choose another label.")
        now = context.catalog.now()
        new_values = update(subject).values(label=new, key=label_key(new), modified=now)
        connection.execute(new_values.where(subject.c.id == row.id))
        connection.execute(update(session).where(session.c.subject_id == row.id).values(subject=new, modified=now))
        context.note(connection, "edit", uuid, before.project, {"fields": ["label"]}, kind="subject")
        write(connection)
        return browsing.find_subject(connection, context.principal, uuid)


def edit_session(
    context: ServiceContext,
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
    it, which is the owners' (xnat-behaviour.md 5.5). Usage `label_taken`, AccessDenied.

    `more`: what else its row is to say, by fields of `SessionRow`; `write` changes other rows of it. All of it is done,
    or nothing: what either raises refuses the whole.
    """
    label, subject_label = check_label(label), check_label(subject_label)
    with context.catalog.read() as connection:
        source = rights.find_session_for(connection, context.principal, uuid, Action.SESSION_EDIT, place="archive")

    lock_names = locks_of(source) | session_locks(
        source.project, label=label or source.label, subject=subject_label or source.subject, study_uid=source.study_uid
    )
    with run_operation(context.catalog, context.store, "edit") as running:
        with running.reserve_names({source.project}, lambda _: lock_names) as connection:
            source = rights.find_session_for(connection, context.principal, uuid, Action.SESSION_EDIT, place="archive")
            check_if_match(browsing.find_session(connection, context.principal, uuid), if_match)
            if source.quarantined and quarantined is False:
                rights.check(connection, context.principal, Action.SESSION_ACTIVATE, source.project)
            if label is not None and set(find_sessions_by_label(connection, source.project_id, label)) - {uuid}:
                raise LabelTaken("There is a session of that label already.", "Choose another label.")
            if label is not None and label_key(label) != label_key(source.label):
                check_no_assessor(connection, source.project_id, label)
            new_subject = subject_label or source.subject
            warnings = subject_warnings(connection, source.project, new_subject, source) if subject_label else ()
            row = SessionRow.of(
                source,
                label=label or source.label,
                subject=new_subject,
                quarantined=source.quarantined if quarantined is None else quarantined,
                **more(connection, source),
            )
        changes = {"label": label, "subject": subject_label, "quarantined": quarantined}
        return publish_session_row(
            context,
            running,
            source,
            row,
            source.project,
            warnings=warnings,
            dry_run=dry_run,
            action="edit",
            details={"fields": [name for name, value in changes.items() if value is not None]},
            write=lambda connection: write(connection, source),
        )


def edit_scan(
    context: ServiceContext, uuid: str, scan_id: str, changes: Mapping[str, Any], if_match: str | None = None
) -> Scan:
    """Say the type, quality or note of a scan; None takes back what was said. Usage `scan_unknown`, `value_invalid`."""
    values = check_scan_values(changes)
    with context.catalog.write() as connection:
        source = rights.find_session_for(
            connection, context.principal, uuid, Action.SESSION_EDIT, prearchive_action=Action.PREARCHIVE_EDIT
        )
        check_if_match(session_contents.find_scan(connection, context.principal, uuid, scan_id), if_match)
        scan_row = connection.execute(
            select(scan.c.scan_id).where(scan.c.tree_id == source.tree_id, scan.c.scan_id == scan_id)
        ).scalar_one()
        where = (scan_edit.c.session_id == source.id, scan_edit.c.scan_id == scan_row)
        columns = {**values, "modified": context.catalog.now()}
        if connection.execute(update(scan_edit).where(*where).values(**columns)).rowcount == 0:
            connection.execute(insert(scan_edit).values(session_id=source.id, scan_id=scan_row, **columns))
        connection.execute(update(session).where(session.c.id == source.id).values(modified=context.catalog.now()))
        context.note(connection, "edit", uuid, source.project, {"scan": scan_row, "fields": sorted(changes)})
        return session_contents.find_scan(connection, context.principal, uuid, scan_id)


def check_scan_values(changes: Mapping[str, Any]) -> dict[str, str | None]:
    """What may be said of a scan. Usage `field_unknown`, `value_invalid`."""
    values: dict[str, str | None] = {}
    for key, value in changes.items():
        if key not in ("type", "quality", "note"):
            raise FieldUnknown(f"{key[:40]!r} can't be changed.", "These can: type, quality, note.")
        if value is not None and (not _is_text(value) or (key == "quality" and value not in QUALITIES)):
            raise _invalid_value(key, value, QUALITIES if key == "quality" else None)
        values[key] = value
    return values

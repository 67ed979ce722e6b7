"""Committing and archiving prearchive sessions as XNAT's clients ask for it (xnat-behaviour.md 5.5 to 5.7).

What can't be archived stays in the prearchive, whole: a commit never fails for that, and archiving says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from sqlalchemy import Connection, select, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession
from scandock.catalog.sessions import note_listing
from scandock.catalog.tables import project, session, subject, tree, upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.import_types import Overwrite
from scandock.model.xnat_ids import experiment_number, subject_number
from scandock.publishing.errors import SessionBusy
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import run_operation
from scandock.rules.choices import is_still_held
from scandock.rules.errors import LabelUnusable
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import UNASSIGNED, clean_label, label_key
from scandock.rules.notices import Notice, make_notice
from scandock.rules.permissions import Action
from scandock.rules.session_fields import ScanSelector
from scandock.services import rights
from scandock.services.archiving import archive_session, hold_session
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome
from scandock.services.prearchive import rebuild_session
from scandock.services.session_creation import (
    ScanRequest,
    SessionChange,
    change_session,
    check_scans,
    edited_row_values,
    to_column_values,
)
from scandock.services.session_errors import ScanUnknown
from scandock.services.session_parts import ScanPart, find_scans

ARCHIVE_REFUSALS: Final = frozenset(
    {
        "session_exists", "type_differs", "patient_mismatch", "sop_clash", "held_undecided", "label_taken",
        "study_elsewhere", "subject_differs",
    }
)  # fmt: skip
"""Codes of what the archive has against a session: a commit leaves it where it is."""

_HOLDING_CODES: Final = frozenset({"session_exists", "type_differs", "patient_mismatch"})
"""Of these what holds a session that was to be archived, so that a person decides. A label or a subject that was named
amiss does not: nothing is wrong with the session.
"""


@dataclass(frozen=True, slots=True)
class ScanParameters:
    """What is said of one scan of a session that is archived, as a PUT of that scan says it."""

    place: ScanSelector
    said: ScanRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveParameters:
    """How a session is to be archived. Labels are as they were sent."""

    overwrite: Overwrite | None = None
    subject: str | None = None
    session: str | None = None
    auto: bool | None = None
    """Of a commit: whether to archive; None: as the project's code says (5.5)."""
    one_patient: bool = False
    """Of archiving: several PatientIDs in it are one subject's, as who asks says."""
    quarantine: bool = False
    """Whether it is in quarantine once it is archived, also where it is archived later."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What is said of the session besides, by the names of its attributes (`rules.session_fields`)."""
    scans: Sequence[ScanParameters] = ()
    """What is said of its scans, once it is archived."""


_RETRIED_CODES: Final = ("session_exists", "type_differs")
"""What a session is held for that goes by what the archive has, and by the overwrite that is asked for."""


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit came to."""

    archived: Outcome | None = None
    """None where it stays in the prearchive."""
    why: str = ""
    """Why it stays, where it was to be archived."""


def commit_session(context: ServiceContext, source: SessionRecord, parameters: ArchiveParameters) -> CommitResult:
    """Write a session's attributes anew, and archive it where the project's code or the request says so.

    It stays in the prearchive where it is held, bound to stay, or refused by what is archived already. What was held
    for that alone is tried anew, as the archive or the wish may have changed. Code 5 overwrites (5.5); else an
    `overwrite` that was named when it came, by the newest import of several, holds here too: what was to change no
    session changes none. AccessDenied, Usage `session_busy`.
    """
    rebuild_session(context, source.uuid)
    _write_attributes(context, source.uuid, parameters.fields, quarantine=parameters.quarantine)
    with context.catalog.read() as connection:
        code, request = _read_project_and_import(connection, source)
    is_archived = parameters.auto if parameters.auto is not None else code >= 4
    if not is_archived:
        return CommitResult()
    overwrite: Overwrite = parameters.overwrite or source.overwrite or request.overwrite or "append"
    if source.project == UNASSIGNED:
        return CommitResult(why="What belongs to no project can't be archived. Move it to a project first.")
    if source.held[0] not in ("", *_RETRIED_CODES):
        return CommitResult(why=" ".join(source.held[1:]).strip())
    archive_parameters = ArchiveParameters(
        overwrite="delete" if code == 5 else overwrite,
        subject=parameters.subject,
        session=parameters.session,
        quarantine=parameters.quarantine,
        fields=parameters.fields,
        scans=parameters.scans,
    )
    try:
        return CommitResult(archive_with_parameters(context, source, archive_parameters))
    except Usage as error:
        if error.code not in ARCHIVE_REFUSALS:
            raise
        return CommitResult(why=f"{error.message} {error.remedy}".strip())


def archive_with_parameters(
    context: ServiceContext, source: SessionRecord, parameters: ArchiveParameters, *, dry_run: bool = False
) -> Outcome:
    """Archive a session. Without `overwrite`, one that is archived already is left alone, as the original has it.

    A label, in the request or in that of the import, makes a session of its own (rules.md, "Which session" 5); a
    label or subject that settles what the session was held for decides that. Usage as
    `services.archiving.archive_session` raises.
    """
    with context.catalog.read() as connection:
        _, request = _read_project_and_import(connection, source)
        scans = _match_scans(connection, context, source, parameters.scans)
        subject_label = _find_subject_label(connection, source, parameters.subject)
        label = _find_session_label(connection, source, parameters.session) or _requested_label(source, request)
    decided = bool(source.held[0]) and not is_still_held(
        source.held[0],
        project=False,
        label=label is not None and label_key(label) != label_key(source.label),
        subject=subject_label is not None and label_key(subject_label) != label_key(source.subject),
    )

    def archive(*, dry_run: bool) -> Outcome:
        return archive_session(
            context,
            source.uuid,
            overwrite=parameters.overwrite or "none",
            label=label,
            subject=subject_label,
            decided=decided,
            xnat_rules=True,
            of_subject=source.subject if parameters.session else None,
            one_patient=parameters.one_patient,
            quarantine=parameters.quarantine,
            said=parameters.fields,
            dry_run=dry_run,
        )

    try:
        if scans and not dry_run and archive(dry_run=True).waits:  # nobody can say anything of it while it waits
            _write_scans(context, source.uuid, scans)
        outcome = archive(dry_run=dry_run)
    except Usage as error:
        if error.code in _HOLDING_CODES and not dry_run and not source.held[0]:
            with contextlib.suppress(Usage):
                hold_session(context, source, _make_notice(error, source, label or source.label))
        raise
    if not dry_run and not outcome.waits:
        _write_attributes(context, outcome.into or outcome.session, parameters.fields)
        _write_scans(context, outcome.into or outcome.session, scans)
    return outcome


def _match_scans(
    connection: Connection, context: ServiceContext, source: SessionRecord, scan_parameters: Sequence[ScanParameters]
) -> list[tuple[ScanPart, ScanRequest]]:
    """The scans of which something is said, with that. Fields of another type than a scan's are none of its.

    AccessDenied, Usage `scan_unknown`, `value_invalid`: before anything is archived.
    """
    if not scan_parameters:
        return []
    rights.check(connection, context.principal, Action.SESSION_EDIT, source.project)
    rows = find_scans(connection, source)
    matches = []
    for parameters in scan_parameters:
        scan_place = parameters.place
        candidates = (
            [row for row in rows if row.scan_id == scan_place.scan_id]
            if scan_place.scan_id
            else rows[scan_place.number :]
        )
        row = next(iter(candidates), None)
        if row is None:
            scan_name = repr(scan_place.scan_id[:128]) if scan_place.scan_id else f"[{scan_place.number}]"
            raise ScanUnknown(
                f"The session has no scan {scan_name}.",
                f"It has {len(rows)}, counted from 0 as GET .../scans lists them.",
            )
        if parameters.said.xsi_type in ("", row.xsi_type):
            matches.append((row, replace(parameters.said, id=row.scan_id)))
    check_scans(scan_request for _, scan_request in matches)
    return matches


def _write_scans(context: ServiceContext, uuid: str, scans: Sequence[tuple[ScanPart, ScanRequest]]) -> None:
    """Write what is said of scans, wherever they are now: those that joined a session may be called otherwise there."""
    if not scans:
        return
    with context.catalog.read() as connection:
        scan_rows = find_scans(connection, _find_editable(connection, context, uuid))
    by_series = {row.series_uid: row.scan_id for row in scan_rows if row.series_uid}
    ids = {row.scan_id for row in scan_rows}
    requests = [
        replace(scan_request, id=by_series.get(row.series_uid or "", scan_request.id)) for row, scan_request in scans
    ]
    change_session(
        context, uuid, SessionChange(scans=[scan_request for scan_request in requests if scan_request.id in ids])
    )


def _make_notice(error: Usage, source: SessionRecord, label: str) -> Notice:
    """Why a session is held that the archive has something against."""
    if error.code == "session_exists":
        return make_notice("session_exists", label=label, project=source.project)
    return Notice(code=error.code, message=error.message, remedy=error.remedy)


def _write_attributes(
    context: ServiceContext, uuid: str, fields: Mapping[str, str], *, quarantine: bool = False
) -> None:
    """Write attributes that somebody said into a session, wherever it stands; an empty text takes one back.

    `quarantine` is kept for when it is archived: a wish to look first is not lost with a commit that leaves it.
    """
    if not fields and not quarantine:
        return
    with context.catalog.read() as connection:
        source = _find_editable(connection, context, uuid)
    with (
        run_operation(context.catalog, context.store, "edit") as running,
        running.reserve_names({source.project}, lambda _: locks_of(source)) as connection,
    ):
        source = _find_editable(connection, context, uuid)
        connection.execute(
            update(session)
            .where(session.c.id == source.id)
            .values(
                **to_column_values(edited_row_values(source, fields)),
                quarantined=source.quarantined or quarantine,
                modified=context.catalog.now(),
            )
        )
        note_listing(connection, source.id)
        changed_fields = sorted(fields) + ["quarantined"] * quarantine
        context.note(connection, "edit", uuid, source.project, {"fields": changed_fields})


def _find_editable(connection: Connection, context: ServiceContext, uuid: str) -> SessionRecord:
    return rights.find_session_for(
        connection, context.principal, uuid, Action.SESSION_EDIT, prearchive_action=Action.PREARCHIVE_EDIT
    )


def _clean_label(text: str | None) -> str | None:
    """A label as the original makes it from what was sent. Usage `label_unusable`."""
    if text is None or not text.strip():
        return None
    label = clean_label(text)
    if not label:
        raise LabelUnusable("unable to deduce session label", "Name one with a letter or digit.")
    return label


def _requested_label(source: SessionRecord, request: ImportRequest) -> str | None:
    """The session's label where its import named it in this dialect."""
    requested = request.session if request.dialect else None
    return source.label if requested and label_key(clean_label(requested)) == label_key(source.label) else None


def _find_subject_label(connection: Connection, source: SessionRecord, text: str | None) -> str | None:
    """The label of a subject that is named by its label or its id (5.7, step 4)."""
    number = subject_number(text) if text else None
    if number is not None:
        label = connection.execute(
            select(subject.c.label).where(subject.c.id == number, subject.c.project_id == source.project_id)
        ).scalar()
        if label is not None:
            return str(label)
    return _clean_label(text)


def _find_session_label(connection: Connection, source: SessionRecord, text: str | None) -> str | None:
    """The label of an archived session that is named by its id, else the label that the text is (1.4, `EXPT_ID`)."""
    number = experiment_number(text) if text else None
    if number is not None:
        label = connection.execute(
            select(session.c.label)
            .join(accession, accession.c.uuid == session.c.uuid)
            .where(accession.c.number == number, session.c.project_id == source.project_id)
        ).scalar()
        if label is not None:
            return str(label)
    return _clean_label(text)


def _read_project_and_import(connection: Connection, source: SessionRecord) -> tuple[int, ImportRequest]:
    """The prearchive code of a session's project, and the request of the import that it came by."""
    row = connection.execute(
        select(project.c.prearchive_code, upload.c.request)
        .select_from(project)
        .join(tree, tree.c.id == source.tree_id)
        .join(upload, upload.c.id == tree.c.upload_id)
        .where(project.c.id == source.project_id)
    ).first()
    if row is None:
        raise SessionBusy("The session is being changed.", "Try again in a moment.")
    return row.prearchive_code, ImportRequest.from_json(row.request)

"""Committing and archiving prearchive sessions as XNAT's clients ask for it (xnat-behaviour.md 5.5 to 5.7).

What can't be archived stays in the prearchive, whole: a commit never fails for that, and archiving says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection, select, update

from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession
from scandock.catalog.tables import project, session, subject, tree, upload
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
from scandock.services.archiving import archive, hold
from scandock.services.making import SessionChange, WantedScan, change_session, check_scans, in_columns, said_by_hand
from scandock.services.moving import Desk, Outcome
from scandock.services.prearchive import rebuild
from scandock.services.session_errors import ScanUnknown
from scandock.services.session_parts import ScanPart, scans_of

STAYS: Final = frozenset(
    {
        "session_exists", "type_differs", "patient_mismatch", "sop_clash", "held_undecided", "label_taken",
        "study_elsewhere", "subject_differs",
    }
)  # fmt: skip
"""Codes of what the archive has against a session: a commit leaves it where it is."""

_HOLDS: Final = frozenset({"session_exists", "type_differs", "patient_mismatch"})
"""Of these what holds a session that was to be archived, so that a person decides. A label or a subject that was named
amiss does not: nothing is wrong with the session.
"""


@dataclass(frozen=True, slots=True)
class ScanWish:
    """What is said of one scan of a session that is archived, as a PUT of that scan says it."""

    place: ScanSelector
    said: WantedScan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
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
    """What is said of the session besides, by the names of its attributes (`rules.said_fields`)."""
    scans: Sequence[ScanWish] = ()
    """What is said of its scans, once it is archived."""


_TRIED_ANEW: Final = ("session_exists", "type_differs")
"""What a session is held for that goes by what the archive has, and by the overwrite that is asked for."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit came to."""

    archived: Outcome | None = None
    """None where it stays in the prearchive."""
    why: str = ""
    """Why it stays, where it was to be archived."""


def commit(desk: Desk, found: SessionRecord, wishes: Wishes) -> Committed:
    """Write a session's attributes anew, and archive it where the project's code or the request says so.

    It stays in the prearchive where it is held, bound to stay, or refused by what is archived already. What was held
    for that alone is tried anew, as the archive or the wish may have changed. Code 5 overwrites (5.5); else an
    `overwrite` that was named when it came, by the newest import of several, holds here too: what was to change no
    session changes none. Denied, Usage `session_busy`.
    """
    rebuild(desk, found.uuid)
    _say(desk, found.uuid, wishes.fields, quarantine=wishes.quarantine)
    with desk.catalog.read() as connection:
        code, request = _project_and_import(connection, found)
    wanted = wishes.auto if wishes.auto is not None else code >= 4
    if not wanted:
        return Committed()
    named: Overwrite = wishes.overwrite or found.overwrite or request.overwrite or "append"
    if found.project == UNASSIGNED:
        return Committed(why="What belongs to no project can't be archived. Move it to a project first.")
    if found.held[0] not in ("", *_TRIED_ANEW):
        return Committed(why=" ".join(found.held[1:]).strip())
    how = Wishes(
        overwrite="delete" if code == 5 else named,
        subject=wishes.subject,
        session=wishes.session,
        quarantine=wishes.quarantine,
        fields=wishes.fields,
        scans=wishes.scans,
    )
    try:
        return Committed(archive_as(desk, found, how))
    except Usage as error:
        if error.code not in STAYS:
            raise
        return Committed(why=f"{error.message} {error.remedy}".strip())


def archive_as(desk: Desk, found: SessionRecord, wishes: Wishes, *, dry_run: bool = False) -> Outcome:
    """Archive a session. Without `overwrite`, one that is archived already is left alone, as the original has it.

    A label, in the request or in that of the import, makes a session of its own (rules.md, "Which session" 5); a
    label or subject that settles what the session was held for decides that. Usage as `services.archiving.archive`
    raises.
    """
    with desk.catalog.read() as connection:
        _, request = _project_and_import(connection, found)
        scans = _scans_meant(connection, desk, found, wishes.scans)
        person = _subject(connection, found, wishes.subject)
        label = _session(connection, found, wishes.session) or _requested(found, request)
    decided = bool(found.held[0]) and not is_still_held(
        found.held[0],
        project=False,
        label=label is not None and label_key(label) != label_key(found.label),
        subject=person is not None and label_key(person) != label_key(found.subject),
    )
    try:
        outcome = archive(
            desk,
            found.uuid,
            overwrite=wishes.overwrite or "none",
            label=label,
            subject=person,
            decided=decided,
            apart=True,
            of_subject=found.subject if wishes.session else None,
            one_patient=wishes.one_patient,
            quarantine=wishes.quarantine,
            dry_run=dry_run,
        )
    except Usage as error:
        if error.code in _HOLDS and not dry_run and not found.held[0]:
            with contextlib.suppress(Usage):
                hold(desk, found, _held_as(error, found, label or found.label))
        raise
    if not dry_run:
        _say(desk, outcome.into or outcome.session, wishes.fields)
        _say_of_scans(desk, outcome.into or outcome.session, scans)
    return outcome


def _scans_meant(
    connection: Connection, desk: Desk, found: SessionRecord, wishes: Sequence[ScanWish]
) -> list[tuple[ScanPart, WantedScan]]:
    """The scans of which something is said, with that. Fields of another type than a scan's are none of its.

    Denied, Usage `scan_unknown`, `value_invalid`: before anything is archived.
    """
    if not wishes:
        return []
    rights.check(connection, desk.principal, Action.SESSION_EDIT, found.project)
    rows = scans_of(connection, found)
    meant = []
    for one in wishes:
        where = one.place
        meets = [row for row in rows if row.scan_id == where.scan_id] if where.scan_id else rows[where.number :]
        row = next(iter(meets), None)
        if row is None:
            which = repr(where.scan_id[:128]) if where.scan_id else f"[{where.number}]"
            raise ScanUnknown(
                f"The session has no scan {which}.",
                f"It has {len(rows)}, counted from 0 as GET .../scans lists them.",
            )
        if one.said.xsi_type in ("", row.xsi_type):
            meant.append((row, replace(one.said, id=row.scan_id)))
    check_scans(said for _, said in meant)
    return meant


def _say_of_scans(desk: Desk, uuid: str, scans: Sequence[tuple[ScanPart, WantedScan]]) -> None:
    """Write what is said of scans, wherever they are now: those that joined a session may be called otherwise there."""
    if not scans:
        return
    with desk.catalog.read() as connection:
        there = scans_of(connection, _editable(connection, desk, uuid))
    by_series = {row.series_uid: row.scan_id for row in there if row.series_uid}
    ids = {row.scan_id for row in there}
    now = [replace(said, id=by_series.get(row.series_uid or "", said.id)) for row, said in scans]
    change_session(desk, uuid, SessionChange(scans=[said for said in now if said.id in ids]))


def _held_as(error: Usage, found: SessionRecord, label: str) -> Notice:
    """Why a session is held that the archive has something against."""
    if error.code == "session_exists":
        return make_notice("session_exists", label=label, project=found.project)
    return Notice(code=error.code, message=error.message, remedy=error.remedy)


def _say(desk: Desk, uuid: str, fields: Mapping[str, str], *, quarantine: bool = False) -> None:
    """Write attributes that somebody said into a session, wherever it stands; an empty text takes one back.

    `quarantine` is kept for when it is archived: a wish to look first is not lost with a commit that leaves it.
    """
    if not fields and not quarantine:
        return
    with desk.catalog.read() as connection:
        source = _editable(connection, desk, uuid)
    with (
        run_operation(desk.catalog, desk.store, "edit") as running,
        running.reserve_names({source.project}, lambda _: locks_of(source)) as connection,
    ):
        source = _editable(connection, desk, uuid)
        connection.execute(
            update(session)
            .where(session.c.id == source.id)
            .values(
                **in_columns(said_by_hand(source, fields)),
                quarantined=source.quarantined or quarantine,
                modified=desk.catalog.now(),
            )
        )
        noted = sorted(fields) + ["quarantined"] * quarantine
        desk.note(connection, "edit", uuid, source.project, {"fields": noted})


def _editable(connection: Connection, desk: Desk, uuid: str) -> SessionRecord:
    return rights.session_for(connection, desk.principal, uuid, Action.SESSION_EDIT, waiting=Action.PREARCHIVE_EDIT)


def _label(text: str | None) -> str | None:
    """A label as the original makes it from what was sent. Usage `label_unusable`."""
    if text is None or not text.strip():
        return None
    made = clean_label(text)
    if not made:
        raise LabelUnusable("unable to deduce session label", "Name one with a letter or digit.")
    return made


def _requested(found: SessionRecord, request: ImportRequest) -> str | None:
    """The session's label where its import named it in this dialect."""
    named = request.session if request.dialect else None
    return found.label if named and label_key(clean_label(named)) == label_key(found.label) else None


def _subject(connection: Connection, found: SessionRecord, text: str | None) -> str | None:
    """The label of a subject that is named by its label or its id (5.7, step 4)."""
    number = subject_number(text) if text else None
    if number is not None:
        known = connection.execute(
            select(subject.c.label).where(subject.c.id == number, subject.c.project_id == found.project_id)
        ).scalar()
        if known is not None:
            return str(known)
    return _label(text)


def _session(connection: Connection, found: SessionRecord, text: str | None) -> str | None:
    """The label of an archived session that is named by its id, else the label that the text is (1.4, `EXPT_ID`)."""
    number = experiment_number(text) if text else None
    if number is not None:
        known = connection.execute(
            select(session.c.label)
            .join(accession, accession.c.uuid == session.c.uuid)
            .where(accession.c.number == number, session.c.project_id == found.project_id)
        ).scalar()
        if known is not None:
            return str(known)
    return _label(text)


def _project_and_import(connection: Connection, found: SessionRecord) -> tuple[int, ImportRequest]:
    """The prearchive code of a session's project, and the request of the import that it came by."""
    row = connection.execute(
        select(project.c.prearchive_code, upload.c.request)
        .select_from(project)
        .join(tree, tree.c.id == found.tree_id)
        .join(upload, upload.c.id == tree.c.upload_id)
        .where(project.c.id == found.project_id)
    ).first()
    if row is None:
        raise SessionBusy("The session is being changed.", "Try again in a moment.")
    return row.prearchive_code, ImportRequest.from_json(row.request)

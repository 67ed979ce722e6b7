"""What became of an import's sessions since it has ended: where each is now, what was done to it, when and by whom.

Who may read an import learns of its sessions what they could learn of them anyway. One that is out of their sight is
told in the same words whether it stands there or was deleted there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, case, literal, literal_column, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.engine import Catalog
from scandock.catalog.projects import DELETED_SEPARATOR
from scandock.catalog.server_tables import audit, reception, verification
from scandock.catalog.tables import joined_session, project, session, upload, upload_exception
from scandock.model.dataclass import dataclass
from scandock.model.imported import ImportedSession
from scandock.model.json_notices import Notices
from scandock.model.json_records import JsonRecord, Moment
from scandock.model.verdicts import Verdict
from scandock.rules.labels import UNASSIGNED
from scandock.rules.layout import IMAGE_RESOURCES
from scandock.rules.permissions import Action, is_allowed
from scandock.rules.receipt_codes import CODES
from scandock.services.damage import count_damaged_files
from scandock.services.import_records import Import
from scandock.services.imports import read_import
from scandock.services.pagination import CursorInvalid, Page
from scandock.services.session_contents import find_pictured_scans
from scandock.services.session_matching import LeftSession, match_sessions, visible_sessions
from scandock.web import urls

Now = Literal["archived", "prearchive", "needs_decision", "deleted", "out_of_sight", "refused", "unknown"]
ChangeKind = Literal["archived", "moved", "renamed", "joined", "decided", "rebuilt", "deleted", "restored", "purged"]

PAGE: Final = 200
"""Sessions of a page."""
BATCH: Final = 2_000
"""Sessions that one statement asks for."""
MAX_CHANGES: Final = 20_000
"""Lines of the audit that are read for a page, the newest: what was done to a session before is left out."""
MAX_EXCEPTIONS: Final = 200
"""Entries of an import that are named; its receipt has all."""
MAX_JOINS: Final = 50
"""How often a session that has joined another is followed."""

WORST_FIRST: Final = (Verdict.REFUSED, Verdict.UNPARSEABLE, Verdict.CONFLICT)
"""Verdicts of entries that need an eye."""
_ACTIONS: Final = ("archive", "move", "edit", "resolve", "rebuild", "restore", "delete", "purge")
_OF_SESSIONS: Final = audit.c.kind == literal_column("'session'")
"""As the index of such lines has it: with a value that is bound, SQLite would not know that it serves."""


@dataclass(frozen=True, kw_only=True)
class SessionPlace(JsonRecord):
    """Where an import left a session; null of one that was refused."""

    project: str | None
    subject: str | None
    label: str | None


@dataclass(frozen=True, kw_only=True)
class SessionChange(JsonRecord):
    """Something that was done to a session."""

    kind: ChangeKind
    at: Moment
    by: Annotated[str | None, Field(description="The account; null for who may not read the project's audit")]


@dataclass(frozen=True, kw_only=True)
class SessionStudy(JsonRecord):
    """What a session is: how much by the import's report, and whose by its attributes, for who may see it."""

    patient_name: str | None
    patient_id: str | None
    birth_date: str | None
    description: str | None
    date: str | None
    modalities: list[str]
    scans: int
    images: Annotated[int, Field(description="Frames of all scans")]
    files: Annotated[int, Field(description="DICOM and ECAT files of all scans")]


@dataclass(frozen=True, kw_only=True)
class SessionOutcome(JsonRecord):
    """A session of an import: how the import left it, and what became of it since."""

    NESTED = ("then", "changes", "study")

    position: Annotated[int, Field(description="Its place in the import's report, from 0")]
    study_uid: str | None
    state: Annotated[str, Field(description="archive, prearchive, conflict or refused, as the import left it")]
    code: str
    message: str
    warnings: Notices
    files: int
    new: Annotated[int | None, Field(description="Files that the import added; null of imports of before it was told")]
    bytes: int
    then: SessionPlace
    now: Now
    session: Annotated[str | None, Field(description="Its id; null where it is out of sight, deleted or refused")]
    project: str | None
    subject: str | None
    label: str | None
    page: Annotated[str | None, Field(description="The path of its page")]
    thumbnail: Annotated[str | None, Field(description="The path of a picture of its first scan with images")]
    changes: list[SessionChange]
    study: Annotated[SessionStudy | None, Field(description="Null of a refused one")]


class _Join(NamedTuple):
    """Which session has taken a session's files in, after all joins, and when the first of these was."""

    uuid: str
    into: str
    at: int


class _CurrentSession(NamedTuple):
    """A session that stands somewhere now."""

    uuid: str
    place: str
    label: str
    subject: str | None
    held_code: str
    tree_id: int
    attributes: str
    """JSON of them."""
    project: str
    visible: bool
    """Whether who asks may see it."""
    verified: int | None
    damaged: int


class _Line(NamedTuple):
    """A line of the audit about a session, and what may be known of it."""

    id: int
    at: int
    target: str
    action: str
    actor: str
    details: Mapping[str, Any]
    project: str
    """Its project's id at that time."""
    now: str | None
    """The name of the project's row now; None where there is none any more."""
    reads: bool
    """Whether who asks may see archived sessions of that project,"""
    waits: bool
    """sessions of its prearchive,"""
    names: bool
    """and who has done it."""


# -- asking ------------------------------------------------------------------------------------------------------------


def list_outcomes(
    catalog: Catalog, principal: Principal, uuid: str, cursor: str | None = None, limit: int | None = None
) -> Page[SessionOutcome]:
    """A page of an import's sessions, in the report's order; `limit` of them, or `PAGE`.

    AccessDenied as `read_import`; Usage `cursor_invalid`.
    """
    start, limit = _parse_cursor(cursor), limit or PAGE
    item = read_import(catalog, principal, uuid)
    with catalog.read() as connection:
        outcomes = read_outcomes(connection, principal, [item], start=start, limit=limit, details=True)[item.id]
    following = start + limit
    return Page(outcomes, str(following) if following < len(item.sessions) else None)


def _parse_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise CursorInvalid
    return int(cursor)


def count_outcomes(connection: Connection, principal: Principal, item: Import) -> dict[Now, int]:
    """How many of an import's sessions are where; what there is none of is left out."""
    counts: Counter[Now] = Counter()
    for start in range(0, len(item.sessions), BATCH):
        outcomes = read_outcomes(connection, principal, [item], start=start, limit=BATCH)[item.id]
        counts.update(outcome.now for outcome in outcomes)
    return dict(counts)


def read_outcomes(
    connection: Connection,
    principal: Principal,
    items: Sequence[Import],
    *,
    start: int = 0,
    limit: int = PAGE,
    details: bool = False,
) -> dict[str, list[SessionOutcome]]:
    """By import, what became of its sessions from the position `start` on, `limit` of each import at most.

    In a number of statements that does not grow with them. `details`: with their changes and their pictures.
    """
    lefts = [
        LeftSession(item.id, position, ImportedSession.from_json(session_json))
        for item in items
        for position, session_json in enumerate(item.sessions[start : start + limit], start)
    ]
    known = _find_uuids(connection, principal, lefts)
    joins = _read_joins(connection, known.values())
    rows = _read_current(connection, principal, {*known.values(), *(join.into for join in joins.values())})
    current = {uuid: uuid if uuid in rows or uuid not in joins else joins[uuid].into for uuid in known.values()}
    wanted = {*current, *current.values()} if details else {uuid for uuid in current.values() if uuid not in rows}
    lines = _read_lines(connection, principal, wanted, _ACTIONS if details else ("delete", "archive"))
    gone = any(uuid not in rows for uuid in current.values())
    own = _find_own(connection, principal, items) if details or gone else set()
    pictures = find_pictured_scans(connection, [row.tree_id for row in rows.values() if row.visible]) if details else {}
    outcomes: dict[str, list[SessionOutcome]] = {item.id: [] for item in items}
    for left in lefts:
        uuid = known.get((left.import_id, left.position))
        builder = _OutcomeBuilder(principal, left, own=left.import_id in own)
        if uuid is None:
            outcomes[left.import_id].append(builder.build_unmatched())
            continue
        row = rows.get(current[uuid])
        outcome = (
            builder.build_missing(lines.get(current[uuid], ())) if row is None else builder.build_present(row, pictures)
        )
        if details and outcome.now not in ("out_of_sight", "unknown"):
            join = joins.get(uuid) if current[uuid] != uuid else None
            builder.add_changes(outcome, lines.get(uuid, ()), lines.get(current[uuid], ()), join)
        outcomes[left.import_id].append(outcome)
    return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionLine:
    """An entry of an import that needs a person's eye."""

    path: str
    verdict: str
    code: str
    message: str
    remedy: str


def read_exceptions(
    connection: Connection, uuid: str, verdicts: Sequence[Verdict] = WORST_FIRST, limit: int = MAX_EXCEPTIONS
) -> list[ExceptionLine]:
    """The first of an import's entries that need an eye: what was refused, what can't be read, what differs."""
    order = case({verdict: n for n, verdict in enumerate(WORST_FIRST)}, value=upload_exception.c.verdict, else_=9)
    query = (
        select(upload_exception)
        .join(upload, upload.c.id == upload_exception.c.upload_id)
        .where(upload.c.uuid == uuid, upload_exception.c.verdict.in_(verdicts))
        .order_by(order, upload_exception.c.n)
        .limit(limit)
    )
    return [
        ExceptionLine(
            path=row.path,
            verdict=row.verdict,
            code=row.code,
            message=row.message,
            remedy=CODES[row.code].remedy if row.code in CODES else "",
        )
        for row in connection.execute(query)
    ]


# -- reading -----------------------------------------------------------------------------------------------------------


def _find_uuids(
    connection: Connection, principal: Principal, lefts: Sequence[LeftSession]
) -> dict[tuple[str, int], str]:
    """By import and position: the ids of the reports, and of older reports of those that can be found."""
    known = {(left.import_id, left.position): left.report.id for left in lefts if left.report.id is not None}
    older = [left for left in lefts if left.report.id is None]
    return {**known, **match_sessions(connection, principal, older)}


def _read_joins(connection: Connection, uuids: Iterable[str]) -> dict[str, _Join]:
    """Of those that have joined others, which these are in the end."""
    wanted = sorted(set(uuids))
    if not wanted:
        return {}
    steps = (
        select(
            joined_session.c.uuid.label("origin"), joined_session.c.into_uuid, joined_session.c.at,
            literal(1).label("step"),
        )
        .where(joined_session.c.uuid.in_(wanted))
        .cte("steps", recursive=True)
    )  # fmt: skip
    steps = steps.union_all(
        select(steps.c.origin, joined_session.c.into_uuid, joined_session.c.at, steps.c.step + 1)
        .join(joined_session, joined_session.c.uuid == steps.c.into_uuid)
        .where(steps.c.step < MAX_JOINS)
    )
    joins: dict[str, _Join] = {}
    for row in connection.execute(select(steps).order_by(steps.c.step)):
        at = joins[row.origin].at if row.origin in joins else row.at
        joins[row.origin] = _Join(row.origin, row.into_uuid, at)
    return joins


def _read_current(connection: Connection, principal: Principal, uuids: Iterable[str]) -> dict[str, _CurrentSession]:
    """What stands of sessions, by UUID."""
    wanted = sorted(uuids)
    if not wanted:
        return {}
    query = (
        select(
            session.c.uuid, session.c.place, session.c.label, session.c.subject, session.c.held_code,
            session.c.tree_id, session.c.attributes, project.c.name.label("project"),
            visible_sessions(principal).label("visible"), verification.c.finished.label("verified"),
            count_damaged_files(session.c.tree_id).label("damaged"),
        )
        .join(project, project.c.id == session.c.project_id)
        .outerjoin(verification, verification.c.tree_id == session.c.tree_id)
        .where(session.c.uuid.in_(wanted))
    )  # fmt: skip
    return {row.uuid: _CurrentSession(*row) for row in connection.execute(query)}


def _read_lines(
    connection: Connection, principal: Principal, uuids: Iterable[str], actions: Sequence[str]
) -> dict[str, list[_Line]]:
    """By session, what the audit says was done to it, the oldest first."""
    wanted = sorted(uuids)
    if not wanted:
        return {}
    query = (
        select(
            audit.c.id, audit.c.at, audit.c.target, audit.c.action, audit.c.actor, audit.c.account_id,
            audit.c.details, audit.c.project, project.c.name.label("now"),
            projects_where(principal, Action.SESSION_READ).label("reads"),
            projects_where(principal, Action.PREARCHIVE_READ).label("waits"),
            projects_where(principal, Action.AUDIT_READ).label("names"),
        )
        .outerjoin(project, project.c.uuid == audit.c.project_uuid)
        .where(_OF_SESSIONS, audit.c.target.in_(wanted), audit.c.action.in_(actions), audit.c.outcome == "done")
        .order_by(audit.c.id.desc())
        .limit(MAX_CHANGES)
    )  # fmt: skip
    is_admin = is_allowed(Action.AUDIT_READ, admin=principal.admin, scope=principal.scope)
    lines: dict[str, list[_Line]] = {}
    for row in reversed(connection.execute(query).all()):
        is_own = row.account_id is not None and row.account_id == principal.account_id
        gone = row.now is None
        lines.setdefault(row.target, []).append(
            _Line(
                id=row.id,
                at=row.at,
                target=row.target,
                action=row.action,
                actor=row.actor,
                details=_parse_details(row.details),
                project=row.project,
                now=row.now,
                reads=bool(not gone and row.reads),
                waits=bool(not gone and row.waits),
                names=is_own or bool(row.names if not gone else is_admin),
            )
        )
    return lines


def _parse_details(text: str) -> Mapping[str, Any]:
    details = json.loads(text) if text else {}
    return details if isinstance(details, dict) else {}


def _find_own(connection: Connection, principal: Principal, items: Sequence[Import]) -> set[str]:
    """Those of the imports that `principal` has uploaded."""
    if principal.account_id is None:
        return set()
    query = (
        select(upload.c.uuid)
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(upload.c.uuid.in_([item.id for item in items]), reception.c.account_id == principal.account_id)
    )
    return set(connection.execute(query).scalars())


# -- judging -----------------------------------------------------------------------------------------------------------


class _OutcomeBuilder:
    """Says of one session that an import left what somebody may know of it; `own`: they have uploaded that import."""

    def __init__(self, principal: Principal, left: LeftSession, *, own: bool) -> None:
        self._admin = is_allowed(Action.PREARCHIVE_READ, admin=principal.admin, scope=principal.scope)
        self._reads = is_allowed(Action.PREARCHIVE_READ, own=True, scope=principal.scope)
        self._left = left
        self._own = own

    def build_unmatched(self) -> SessionOutcome:
        """One that no id and no match names."""
        return self._outcome("unknown" if self._left.was_stored else "refused")

    def build_missing(self, lines: Sequence[_Line]) -> SessionOutcome:
        """One that stands nowhere any more."""
        deleted = next((line for line in reversed(lines) if line.action == "delete"), None)
        if deleted is None:
            return self._outcome("unknown")
        archived = self._left.report.state == "archive" or any(line.action == "archive" for line in lines)
        return self._outcome("deleted" if self._sees(deleted, archived=archived) else "out_of_sight")

    def build_present(self, row: _CurrentSession, pictures: Mapping[int, str]) -> SessionOutcome:
        """One that stands somewhere."""
        if not row.visible:
            return self._outcome("out_of_sight")
        now: Now = "archived" if row.place == "archive" else "needs_decision" if row.held_code else "prearchive"
        return self._outcome(now, row, pictures.get(row.tree_id))

    def _outcome(self, now: Now, row: _CurrentSession | None = None, scan_id: str | None = None) -> SessionOutcome:
        report = self._left.report
        page = thumbnail = None
        if row is not None:
            page = urls.page_of_session(row.place, row.uuid, row.project, row.label)
            version = "0" if row.damaged else f"{row.tree_id}.{row.verified or 0}"
            thumbnail = None if scan_id is None else urls.api_thumbnail(row.uuid, scan_id, version)
        return SessionOutcome(
            position=self._left.position,
            study_uid=report.study_uid,
            state=report.state,
            code=report.code,
            message=report.message,
            warnings=report.warnings,
            files=report.files,
            new=report.new,
            bytes=report.bytes,
            then=SessionPlace(project=report.project, subject=report.subject, label=report.label),
            now=now,
            session=row.uuid if row is not None else None,
            project=row.project if row is not None else None,
            subject=row.subject if row is not None else None,
            label=row.label if row is not None else None,
            page=page,
            thumbnail=thumbnail,
            changes=[],
            study=_describe_study(report, row),
        )

    def _sees(self, line: _Line, *, archived: bool) -> bool:
        """Whether a session that stood where a line was written could be seen there."""
        if self._admin:
            return True
        if line.now is None or DELETED_SEPARATOR in line.now:  # deleted since: nobody has a role in it any more
            return self._reads and line.project == self._left.report.project
        if line.now == UNASSIGNED:
            return self._own and self._reads
        return line.waits or (archived and line.reads)

    def add_changes(
        self, outcome: SessionOutcome, own: Sequence[_Line], of_other: Sequence[_Line], join: _Join | None
    ) -> None:
        """Say what was done: to the session itself and, from its join on, to the one that it has joined."""
        archived = self._left.report.state == "archive"
        changes: list[SessionChange] = []
        for line in (*own, *_lines_since(join, of_other)):
            archived = archived or line.action == "archive"
            kind = "joined" if join is not None and _joins(line, join) else _kind_of(line)
            if kind is not None and self._sees(line, archived=archived):
                changes.append(SessionChange(kind=kind, at=line.at, by=line.actor if line.names else None))
        if join is not None and not any(change.kind == "joined" for change in changes):
            changes.append(SessionChange(kind="joined", at=join.at, by=None))
        outcome.changes.extend(sorted(changes, key=lambda change: change.at))


def _describe_study(report: ImportedSession, row: _CurrentSession | None) -> SessionStudy | None:
    """What a session is; the patient, the description and the date of one that may be seen."""
    if row is None and not report.scans:
        return None
    attributes: Mapping[str, str] = {} if row is None else json.loads(row.attributes)
    sums = [(scan, one) for scan in report.scans for one in scan.resources if one.name.lower() in IMAGE_RESOURCES]
    ecat = {scan.id for scan, one in sums if one.name == "ECAT"}
    return SessionStudy(
        patient_name=attributes.get("dcmPatientName"),
        patient_id=attributes.get("dcmPatientId"),
        birth_date=attributes.get("dcmPatientBirthDate"),
        description=attributes.get("session_type"),
        date=attributes.get("date"),
        modalities=sorted({"ECAT" if scan.id in ecat else scan.modality or "" for scan in report.scans} - {""}),
        scans=len(report.scans),
        images=sum(scan.frames or 0 for scan in report.scans),
        files=sum(one.files for _, one in sums),
    )


def _lines_since(join: _Join | None, lines: Sequence[_Line]) -> Sequence[_Line]:
    """The line of a join, and those behind it."""
    if join is None:
        return ()
    first = next((n for n, line in enumerate(lines) if _joins(line, join)), None)
    return lines[first:] if first is not None else [line for line in lines if line.at > join.at]


def _joins(line: _Line, join: _Join) -> bool:
    """Whether a line is that of a session's join: of the other one, or its own where an import brought all of it."""
    return line.details.get("joined") == join.uuid or (line.target == join.uuid and "import" in line.details)


def _kind_of(line: _Line) -> ChangeKind | None:
    """What a line says was done to its session; None of what is told of another one, or is no change of a place."""
    details = line.details
    if "joined" in details:
        return None
    if line.action == "move":
        return "renamed" if details.get("from") == details.get("to") else "moved"
    if line.action == "edit":
        fields = details.get("fields")
        return "renamed" if isinstance(fields, list) and {"label", "subject"} & {*map(str, fields)} else None
    return _KINDS.get(line.action)


_KINDS: Final[Mapping[str, ChangeKind]] = {
    "archive": "archived",
    "resolve": "decided",
    "rebuild": "rebuilt",
    "delete": "deleted",
    "restore": "restored",
    "purge": "purged",
}

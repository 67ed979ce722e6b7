"""Looking at what is there: projects, subjects and sessions, as lists and one by one.

A list is one statement for its rows and at most one more for sums: never one a row. What a person may not see is no
row of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, exists, func, literal, or_, select

from scandock.access.principal import ANONYMOUS, Principal
from scandock.access.visibility import own_where, projects_where
from scandock.catalog.aliases import ALIASES
from scandock.catalog.engine import Catalog
from scandock.catalog.project_sums import count_contents
from scandock.catalog.server_tables import project_access, project_sums, verification
from scandock.catalog.tables import project, session, subject
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.rules.labels import UNASSIGNED
from scandock.rules.notices import CODES
from scandock.rules.permissions import REQUIREMENTS, Action
from scandock.services import rights
from scandock.services.damage import count_damaged_files
from scandock.services.pagination import Page, Sorting, check_choices, like_pattern, read_page, read_rows
from scandock.services.records import Project, Session, Subject, row_ids

PROJECT_SORTS = {"id": project.c.key, "created": project.c.created, "title": project.c.title}
SUBJECT_SORTS = {"label": subject.c.key, "created": subject.c.created}
SESSION_SORTS = {
    "label": session.c.key,
    "modified": session.c.modified,
    "created": session.c.created,
    "subject": session.c.subject,
    "files": session.c.files,
    "bytes": session.c.bytes,
    "scans": session.c.scans,
    "type": session.c.xsi_type,
    "date": session.c.date,
    "modality": session.c.modalities,
    "received": session.c.received,
}


MAX_MODALITIES: Final = 200
"""Texts of modalities that a project's list is filtered by; who seeks another one names it in the address."""
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Which rows of a list: an exact project and subject, a part of the label, and columns that must be equal."""

    project: str | None = None
    subject: str | None = None
    search: str = ""
    """In the label (of projects: id and title; of sessions: label or subject), anywhere and in any case."""
    prefix: str = ""
    """Of the label (of projects: the id)."""
    equal: Mapping[str, str] | None = None
    modality: str = ""
    """Of sessions: one that a scan of them has, in any case."""
    date_from: str = ""
    """Of sessions: the first day of their dates, as `2026-11-29`; those without a date are left out then."""
    date_to: str = ""
    """The last day."""
    received_since: int | None = None
    """Of sessions: the first moment at which they were received, in Unix milliseconds."""


# -- projects ----------------------------------------------------------------------------------------------------------


_OPENED = project_access.alias("opened")
"""Under a name of its own: the conditions of `projects_where` ask the same table, each for itself."""


def project_rows() -> Select[Any]:
    return (
        select(
            project.c.id, project.c.name, project.c.title, project.c.prearchive_code, project.c.identified,
            project.c.petmr, project.c.separate_secondary, project.c.quarantine, project.c.revision, project.c.created,
            project.c.attributes, ALIASES.label("aliases"), _OPENED.c.accessibility, project_sums.c.subjects,
            project_sums.c.sessions, project_sums.c.waiting, project_sums.c.files, project_sums.c.bytes,
        )
        .outerjoin(_OPENED, _OPENED.c.project_id == project.c.id)
        .outerjoin(project_sums, project_sums.c.project_id == project.c.id)
    )  # fmt: skip


def list_projects(connection: Connection, principal: Principal, filters: ListFilter, sorting: Sorting) -> Page[Project]:
    """The projects that the principal may see; of protected ones that they may not read, no sums."""
    query = project_rows().where(projects_where(principal, Action.PROJECT_SEE))
    readable = projects_where(principal, Action.PROJECT_READ).label("readable")
    query = query.add_columns(readable)
    if filters.search:
        text = like_pattern(filters.search.casefold())
        query = query.where(
            or_(project.c.key.like(text, escape="\\"), func.lower(project.c.title).like(text, escape="\\"))
        )
    if filters.prefix:
        query = query.where(project.c.key.like(like_pattern(filters.prefix.casefold(), prefix=True), escape="\\"))
    return read_page(connection, query, PROJECT_SORTS, project.c.id, sorting, Project.from_row)


def has_public_project(catalog: Catalog) -> bool:
    """Whether somebody who is not logged in may look at a project."""
    query = select(exists(select(project.c.id).where(projects_where(ANONYMOUS, Action.PROJECT_READ))))
    with catalog.read() as connection:
        return bool(connection.execute(query).scalar_one())


def find_project(connection: Connection, principal: Principal, name: str) -> Project:
    """One project. AccessDenied where it may not be known."""
    rights.check(connection, principal, Action.PROJECT_SEE, name)
    query = project_rows().add_columns(projects_where(principal, Action.PROJECT_READ).label("readable"))
    row = connection.execute(query.where(project.c.key == name.casefold())).mappings().one()
    return Project.from_row(row, partial(count_contents, connection))


# -- subjects ----------------------------------------------------------------------------------------------------------


def subject_rows() -> Select[Any]:
    return select(
        subject.c.id,
        subject.c.uuid,
        subject.c.label,
        subject.c.created,
        subject.c.attributes,
        project.c.name.label("project"),
    ).join(project, project.c.id == subject.c.project_id)


def list_subjects(connection: Connection, principal: Principal, filters: ListFilter, sorting: Sorting) -> Page[Subject]:
    """Subjects of the projects that the principal may read, with the sums of their sessions: two statements."""
    rights.check_scope(principal, Action.SUBJECT_READ)
    query = subject_rows().where(projects_where(principal, Action.SUBJECT_READ))
    if filters.project is not None:
        rights.check(connection, principal, Action.SUBJECT_READ, filters.project)
        query = query.where(project.c.key == filters.project.casefold())
    query = _filter_by_label(query, subject.c.key, filters)
    rows, following = read_rows(connection, query, SUBJECT_SORTS, subject.c.id, sorting)
    sums = _sum_subjects(connection, row_ids(rows))
    return Page([Subject.from_row(row, sums) for row in rows], following)


def find_subject(connection: Connection, principal: Principal, uuid: str) -> Subject:
    """One subject. AccessDenied where it may not be known."""
    row = connection.execute(subject_rows().where(subject.c.uuid == uuid)).mappings().first()
    rights.check(
        connection, principal, Action.SUBJECT_READ, Subject.from_row(row, {}).project if row is not None else ""
    )
    assert row is not None
    return Subject.from_row(row, _sum_subjects(connection, row_ids([row])))


def _sum_subjects(connection: Connection, ids: list[int]) -> dict[int, tuple[int, int, int]]:
    rows = connection.execute(
        select(session.c.subject_id, func.count(), func.sum(session.c.files), func.sum(session.c.bytes))
        .where(session.c.subject_id.in_(ids))
        .group_by(session.c.subject_id)
    )
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}


# -- sessions ----------------------------------------------------------------------------------------------------------


def shown_sessions() -> Select[Any]:
    """Sessions as `Session.from_row` reads them."""
    return (
        select(
            session.c.uuid, session.c.subject, session.c.label, session.c.place, session.c.timestamp, session.c.state,
            session.c.study_uid, session.c.xsi_type, session.c.attributes, session.c.warnings, session.c.held_code,
            session.c.held_message, session.c.held_remedy, session.c.tree_id, session.c.scans, session.c.files,
            session.c.bytes, session.c.created, session.c.modified, session.c.quarantined, session.c.received,
            session.c.modalities,
            project.c.name.label("project"), subject.c.uuid.label("subject_uuid"), verification.c.finished,
            count_damaged_files(session.c.tree_id).label("damaged"),
        )
        .join(project, project.c.id == session.c.project_id)
        .outerjoin(subject, subject.c.id == session.c.subject_id)
        .outerjoin(verification, verification.c.tree_id == session.c.tree_id)
    )  # fmt: skip


def list_sessions(
    connection: Connection, principal: Principal, filters: ListFilter, sorting: Sorting, *, place: str = "archive"
) -> Page[Session]:
    """Sessions of the archive or the prearchive that the principal may see; their own in `Unassigned` among them.

    `wanted.equal` takes state, type, modality, study_uid, subject_id and code.
    """
    action = Action.SESSION_READ if place == "archive" else Action.PREARCHIVE_READ
    rights.check_scope(principal, action)
    query = shown_sessions().where(session.c.place == place, visible_condition(principal, action))
    if filters.project is not None:
        if filters.project.casefold() != UNASSIGNED.casefold() or not principal.signed_in:
            rights.check(connection, principal, action, filters.project)
        query = query.where(session.c.project_id == _project_number(filters.project))  # by which indexes are
    if filters.subject is not None:
        query = query.where(session.c.subject == filters.subject)
    query = _filter_by_label(query, session.c.key, filters, func.lower(session.c.subject))
    for name, value in (filters.equal or {}).items():
        if name in _VALUES:
            check_choices(name, (value,), _VALUES[name])
        query = query.where(_SESSION_FILTERS[name] == value)
    query = query.where(*_listing_conditions(filters))
    return read_page(connection, query, SESSION_SORTS, session.c.id, sorting, Session.from_row)


def _listing_conditions(filters: ListFilter) -> list[ColumnElement[bool]]:
    """The conditions of modality, date and the time of reception. RequestInvalid where a day is none."""
    conditions: list[ColumnElement[bool]] = []
    if filters.modality:
        part = like_pattern(f"\\{filters.modality.upper()}\\")
        conditions.append(literal("\\").concat(session.c.modalities).concat("\\").like(part, escape="\\"))
    first, last = check_day(filters.date_from), check_day(filters.date_to)
    if first or last:
        conditions.append(session.c.date >= (first or "0"))
    if last:
        conditions.append(session.c.date <= last)
    if filters.received_since is not None:
        conditions.append(session.c.received >= filters.received_since)
    return conditions


def check_day(text: str) -> str:
    """A day as `2026-11-29`, or nothing. RequestInvalid where it is neither."""
    if text and not (_DAY.fullmatch(text) and _is_date(text)):
        raise RequestInvalid(f"{text[:40]!r} is not a date.", "Write dates as 2026-11-29.")
    return text


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _project_number(name: str) -> ScalarSelect[int]:
    """The number of the project of an id, in any case, within a statement."""
    of = project.alias()
    return select(of.c.id).where(of.c.key == name.casefold()).scalar_subquery()


def list_modalities(connection: Connection, project_name: str) -> list[str]:
    """The modalities of the archived sessions of a project that may be read, in order: what a list is filtered by.

    Each step asks the index for the next text that is another one, however many sessions have it.
    """
    number = _project_number(project_name)
    following = select(func.min(session.c.modalities)).where(
        session.c.project_id == number, session.c.place == "archive"
    )
    step = following.where(session.c.modalities > "").label("text")
    texts = select(step).cte("texts", recursive=True)
    texts = texts.union_all(
        select(following.where(session.c.modalities > texts.c.text).correlate(texts).scalar_subquery()).where(
            texts.c.text.is_not(None)
        )
    )
    rows = connection.execute(select(texts.c.text).where(texts.c.text.is_not(None)).limit(MAX_MODALITIES)).scalars()
    return sorted({modality for joined in rows for modality in joined.split("\\")})


_SESSION_FILTERS = {
    "state": session.c.state,
    "type": session.c.xsi_type,
    "study_uid": session.c.study_uid,
    "subject_id": subject.c.uuid,
    "code": session.c.held_code,
}


_VALUES = {"state": ("ready", "conflict"), "code": [code for code, one in CODES.items() if one.kind == "held"]}
"""Of filters that take none but these."""


def visible_condition(principal: Principal, action: Action) -> ColumnElement[bool]:
    """A condition that holds where `principal` may do `action`, or has uploaded it to `Unassigned`."""
    return or_(projects_where(principal, action), own_where(principal))


def find_session(connection: Connection, principal: Principal, uuid: str) -> Session:
    """One session, of the archive or the prearchive. AccessDenied where it may not be known."""
    rights.find_session_for(connection, principal, uuid, Action.SESSION_READ, prearchive_action=Action.PREARCHIVE_READ)
    return Session.from_row(connection.execute(shown_sessions().where(session.c.uuid == uuid)).mappings().one())


def count_waiting(connection: Connection, principal: Principal) -> dict[str, int]:
    """How many sessions wait that the principal may see, by project in the order of their ids; their own in
    `Unassigned` among them. What they may not see is not counted: a count that leads to no list misleads.
    """
    if not principal.signed_in or principal.scope not in REQUIREMENTS[Action.PREARCHIVE_READ].scopes:
        return {}
    rows = connection.execute(
        select(project.c.name, project_sums.c.waiting)
        .join(project_sums, project_sums.c.project_id == project.c.id)
        .where(projects_where(principal, Action.PREARCHIVE_READ), project_sums.c.waiting > 0)
        .order_by(project.c.key)
    )
    counts = {row.name: int(row.waiting) for row in rows}
    own_count = connection.execute(
        select(func.count())
        .select_from(session)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.name == UNASSIGNED,
            session.c.place == "prearchive",
            visible_condition(principal, Action.PREARCHIVE_READ),
        )
    ).scalar_one()
    return {**counts, UNASSIGNED: int(own_count)} if own_count else counts


def _filter_by_label(query: Select[Any], column: Any, filters: ListFilter, *also: Any) -> Select[Any]:  # noqa: ANN401  columns
    if filters.search:
        text = like_pattern(filters.search.casefold())
        query = query.where(or_(*(each_column.like(text, escape="\\") for each_column in (column, *also))))
    if filters.prefix:
        query = query.where(column.like(like_pattern(filters.prefix.casefold(), prefix=True), escape="\\"))
    return query

"""Subjects, as XNAT's clients list them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, func, literal, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.attributes import attribute
from scandock.catalog.server_tables import accession
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.xnat_ids import SUBJECT, subject_number
from scandock.rules.permissions import Action
from scandock.rules.subject_fields import SUBJECT_FIELDS
from scandock.services import rights
from scandock.web.xnat.services import experiments
from scandock.web.xnat.services.columns import (
    MAX_NAME,
    Column,
    Listing,
    Rows,
    format_moment,
    index_by_name,
    padded,
    read_rows,
    strip_types,
)

SUBJECT_TYPE: Final = "xnat:subjectData"
_EDITED: Final = func.coalesce(subject.c.modified, subject.c.created)
_MODIFIED: Final = func.coalesce(
    select(func.max(session.c.modified))
    .where(session.c.subject_id == subject.c.id, session.c.place == "archive", session.c.modified > _EDITED)
    .correlate(subject)
    .scalar_subquery(),
    _EDITED,
)
"""When it, or any of its sessions, was changed last."""

COLUMNS: Final = index_by_name(
    (
        Column("ID", padded(SUBJECT, subject.c.id), filter_value=subject.c.id, parse=subject_number),
        Column("label", subject.c.label),
        Column("project", project.c.name),
        Column("insert_date", subject.c.created, format_moment),
        Column("insert_user", literal("")),
        Column("last_modified", _MODIFIED, format_moment),
        Column("xsiType", literal(SUBJECT_TYPE)),
        Column("URI", padded(uris.subject_of_id(SUBJECT), subject.c.id)),
        *(Column(name, attribute(subject.c.attributes, name)) for name in SUBJECT_FIELDS.values()),
    )
)
_SESSION_COLUMN: Final = re.compile(r"(xnat:(?:\w+session|subjectassessor|experiment)data)/(.+)")


class _Subjects(Listing):
    """Subjects, whose columns of sessions are called by these' type: `xnat:mrsessiondata/id` makes a row for each."""

    def find(self, name: str) -> Column | None:
        of_type = _SESSION_COLUMN.fullmatch(name.strip().lower()) if len(name) <= MAX_NAME else None
        if of_type is None:
            return Listing.find(self, name)
        kind, rest = of_type.groups()
        column = experiments.SESSION_COLUMNS.get(strip_types(rest))
        if column is None:
            return None
        value = column.value
        if kind not in experiments.ABSTRACT:
            value = case((func.lower(session.c.xsi_type) == kind, value), else_=None)
        return replace(column, name=f"{kind}/{column.name.lower()}", value=value, filter_value=None, parse=None)


LISTING: Final = _Subjects(
    COLUMNS,
    default=("ID", "project", "label", "insert_date", "insert_user"),
    always=("ID", "label", "URI"),
    deeper={"demographics/": "", "meta/": ""},
    own="subject_",
)


def list_subjects(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    in_project: str | None = None,
) -> Rows:
    """The subjects of a project, or of all that one may read. AccessDenied where the project may not be read.

    A column of sessions makes a row for each of these that one may read, of the types that such columns name; one for
    a subject that has none.
    """
    chosen_columns, filters = LISTING.choose_columns(columns), list(filters)
    filtered = [column for name, value in filters if value and (column := LISTING.find(name)) is not None]
    of_types = {
        match[1]
        for each_column in (*chosen_columns, *filtered)
        if (match := _SESSION_COLUMN.fullmatch(each_column.key)) is not None
    }
    query = select_readable(principal)
    if of_types:
        query = (
            select(subject.c.id).select_from(_join_sessions(principal, of_types)).where(_readable_condition(principal))
        )
    if in_project is not None:
        rights.check(connection, principal, Action.SUBJECT_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    query = LISTING.apply_filters(query, filters).order_by(subject.c.id)
    return read_rows(connection, query.order_by(session.c.id) if of_types else query, chosen_columns)


def select_readable(principal: Principal) -> Select[tuple[int]]:
    """The subjects that one may read, as a query for `COLUMNS`. AccessDenied where a token is for other things."""
    rights.check_scope(principal, Action.SUBJECT_READ)
    joined = subject.join(project, project.c.id == subject.c.project_id)
    return select(subject.c.id).select_from(joined).where(_readable_condition(principal))


def _readable_condition(principal: Principal) -> ColumnElement[bool]:
    return projects_where(principal, Action.SUBJECT_READ)


def _join_sessions(principal: Principal, types: Collection[str]) -> FromClause:
    """Subjects with their archived sessions of some types that one may read."""
    of_subject = and_(
        session.c.subject_id == subject.c.id,
        session.c.place == "archive",
        projects_where(principal, Action.SESSION_READ),
    )
    if not experiments.ABSTRACT & set(types):
        of_subject = and_(of_subject, func.lower(session.c.xsi_type).in_(sorted(types)))
    source = subject.join(project, project.c.id == subject.c.project_id).outerjoin(session, of_subject)
    return source.outerjoin(accession, accession.c.uuid == session.c.uuid)

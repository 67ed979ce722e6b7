"""Subjects, as XNAT's clients list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Select, func, literal, select

from scandock.access.principal import Principal
from scandock.access.visible import projects_where
from scandock.catalog.tables import project, session, subject
from scandock.rules.permissions import Action
from scandock.rules.subject_fields import SUBJECT_FIELDS
from scandock.services import rights
from scandock.services.xnat.columns import Column, Listing, Rows, attribute, by_name, moment, padded, read
from scandock.services.xnat.ids import SUBJECT, subject_number

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

COLUMNS: Final = by_name(
    (
        Column("ID", padded(SUBJECT, subject.c.id), sought=subject.c.id, parse=subject_number),
        Column("label", subject.c.label),
        Column("project", project.c.name),
        Column("insert_date", subject.c.created, moment),
        Column("insert_user", literal("")),
        Column("last_modified", _MODIFIED, moment),
        Column("xsiType", literal(SUBJECT_TYPE)),
        Column("URI", padded(f"/data/subjects/{SUBJECT}", subject.c.id)),
        *(Column(name, attribute(subject.c.attributes, name)) for name in SUBJECT_FIELDS.values()),
    )
)
LISTING: Final = Listing(
    COLUMNS,
    default=("ID", "project", "label", "insert_date", "insert_user"),
    always=("ID", "label", "URI"),
    deeper={"demographics/": "", "meta/": ""},
)


def list_subjects(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    in_project: str | None = None,
) -> Rows:
    """The subjects of a project, or of all that one may read. Denied where the project may not be read."""
    query = readable(principal)
    if in_project is not None:
        rights.check(connection, principal, Action.SUBJECT_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    query = LISTING.narrowed(query, filters).order_by(subject.c.id)
    return read(connection, query, LISTING.chosen(columns))


def readable(principal: Principal) -> Select[tuple[int]]:
    """The subjects that one may read, as a query for `COLUMNS`. Denied where a token is for other things."""
    rights.check_scope(principal, Action.SUBJECT_READ)
    return _subjects().where(projects_where(principal, Action.SUBJECT_READ))


def _subjects() -> Select[tuple[int]]:
    return select(subject.c.id).select_from(subject.join(project, project.c.id == subject.c.project_id))

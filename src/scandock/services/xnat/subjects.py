"""Subjects, as XNAT's clients list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Select, literal, select

from scandock.access.principal import Principal
from scandock.access.visible import projects_where
from scandock.catalog.tables import project, subject
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.xnat.columns import Column, Listing, Rows, by_name, moment, read
from scandock.services.xnat.ids import subject_id, subject_number

SUBJECT_TYPE: Final = "xnat:subjectData"


def _uri(number: int) -> str:
    return f"/data/subjects/{subject_id(number)}"


COLUMNS: Final = by_name(
    (
        Column("ID", subject.c.id, subject_id, parse=subject_number),
        Column("label", subject.c.label),
        Column("project", project.c.name),
        Column("insert_date", subject.c.created, moment),
        Column("insert_user", literal("")),
        Column("group", literal("")),
        Column("xsiType", literal(SUBJECT_TYPE)),
        Column("URI", subject.c.id, _uri),
    )
)
LISTING: Final = Listing(
    COLUMNS, default=("ID", "project", "label", "insert_date", "insert_user"), always=("ID", "label", "URI")
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
    rights.check_scope(principal, Action.SUBJECT_READ)
    query = _subjects().where(projects_where(principal, Action.SUBJECT_READ))
    if in_project is not None:
        rights.check(connection, principal, Action.SUBJECT_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    query = LISTING.narrowed(query, filters).order_by(subject.c.id)
    return read(connection, query, LISTING.chosen(columns))


def _subjects() -> Select[tuple[int]]:
    return select(subject.c.id).select_from(subject.join(project, project.c.id == subject.c.project_id))

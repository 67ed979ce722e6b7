"""Image assessors as XNAT's clients list them: of one session, or all of some types that one may read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, func, literal, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.attributes import attribute
from scandock.catalog.server_tables import accession, assessor
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.xnat_ids import EXPERIMENT, experiment_number
from scandock.rules.assessor_documents import ABSTRACT
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.web.xnat.services import experiments
from scandock.web.xnat.services.columns import (
    MAX_NAME,
    MAX_VALUES,
    Column,
    Listing,
    Rows,
    format_moment,
    index_by_name,
    padded,
    read_rows,
    split_list,
    strip_types,
)

_NUMBER: Final = accession.alias("assessor_number")
_ID: Final = padded(EXPERIMENT, _NUMBER.c.number)
_PATH: Final = re.compile(r"[a-z][\w-]*:[\w.-]+/(?P<path>[\w./-]+)", re.ASCII)
_SESSION_COLUMNS: Final = ("session_ID", "session_label", "project", "project_ID", "project_name", "subject_ID",
                       "subject_label", "status", "quarantine_status")  # fmt: skip
_COLUMNS: Final = index_by_name(
    (
        Column("ID", _ID, filter_value=_NUMBER.c.number, parse=experiment_number),
        Column("label", assessor.c.label),
        Column("xsiType", assessor.c.xsi_type),
        Column("insert_date", assessor.c.created, format_moment),
        Column("last_modified", assessor.c.modified, format_moment),
        Column("insert_user", literal("")),
        Column("URI", padded(uris.experiment(EXPERIMENT), _NUMBER.c.number)),
        *(Column(name, attribute(assessor.c.fields, name)) for name in ("date", "time", "note")),
        *(
            experiments.SESSION_COLUMNS[name.lower()]
            for name in _SESSION_COLUMNS
            if name.lower() in experiments.SESSION_COLUMNS
        ),
        *(column for name, column in experiments.LISTING.columns.items() if name in ("subject_id", "subject_label")),
        replace(experiments.SESSION_COLUMNS["session_id"], name="imageSession_ID"),
    )
)


class _Assessors(Listing):
    """Assessors: a path that is no column is looked for in their documents."""

    def find(self, name: str) -> Column | None:
        column = Listing.find(self, name)
        if column is not None or len(name) > MAX_NAME:
            return column
        path = strip_types(name.strip().lower())
        match = _PATH.fullmatch(path)
        if match is None or path.startswith(tuple(self.deeper)):
            return None
        return Column(path, attribute(assessor.c.fields, match["path"]))


LISTING: Final = _Assessors(
    _COLUMNS,
    default=("ID", "project", "date", "xsiType", "label", "insert_date"),
    always=("ID", "URI"),
    deeper={
        "xnat:imagesessiondata/": "session_",
        "xnat:subjectassessordata/": "",
        "xnat:subjectdata/": "subject_",
        "xnat:projectdata/": "project_",
        "meta/": "",
    },
)


def split_assessor_types(types: str) -> tuple[str, str]:
    """Of types with commas between those that assessors have, and the others."""
    type_names = [name.strip() for name in split_list(types, "types", MAX_VALUES) if name.strip()]
    assessor_types = [name for name in type_names if _is_assessor_type(name.lower())]
    return ",".join(assessor_types), ",".join(name for name in type_names if name not in assessor_types)


def _is_assessor_type(type_name: str) -> bool:
    if type_name in experiments.ABSTRACT or not type_name:
        return False
    return type_name in ABSTRACT or not type_name.endswith("sessiondata")


def list_assessors(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    in_project: str | None = None,
    of_subject: int | None = None,
    of_session: int | None = None,
    types: str = "",
) -> Rows:
    """Assessors of a session, a subject (their rows' numbers), a project, or all that one may read. AccessDenied.

    `types`: XNAT's types with commas between; the abstract ones are every assessor.
    """
    rights.check_scope(principal, Action.SESSION_READ)
    shown_columns = LISTING.choose_columns(columns)
    if types and not any(entry.name == "xsiType" for entry in shown_columns):
        shown_columns.append(LISTING.columns["xsitype"])  # as listings of sessions have it
    source = (
        assessor.join(_NUMBER, _NUMBER.c.uuid == assessor.c.uuid)
        .join(session, session.c.uuid == assessor.c.session_uuid)
        .join(project, project.c.id == session.c.project_id)
        .join(accession, accession.c.uuid == session.c.uuid)
        .outerjoin(subject, subject.c.id == session.c.subject_id)
    )
    query = select(assessor.c.id).select_from(source)
    query = query.where(session.c.place == "archive", projects_where(principal, Action.SESSION_READ))
    type_names = {entry.strip().lower() for entry in split_list(types, "types", MAX_VALUES) if entry.strip()}
    if type_names and not type_names & ABSTRACT:
        query = query.where(func.lower(assessor.c.xsi_type).in_(sorted(type_names)))
    if in_project is not None:
        rights.check(connection, principal, Action.SESSION_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    if of_subject is not None:
        query = query.where(session.c.subject_id == of_subject)
    if of_session is not None:
        query = query.where(session.c.id == of_session)
    return read_rows(connection, LISTING.apply_filters(query, filters).order_by(assessor.c.id), shown_columns)

"""Image assessors as XNAT's clients list them: of one session, or all of some types that one may read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Select, func, literal, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.attributes import attribute
from scandock.catalog.server_tables import accession, assessor
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.request_errors import RequestInvalid
from scandock.model.request_limits import SCHEMA_TYPES, SHOWN_ASSESSORS_BYTES
from scandock.model.xnat_ids import EXPERIMENT, experiment_number
from scandock.rules.assessor_documents import ABSTRACT, AssessorDocument, check_path
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
_TYPE: Final = re.compile(r"[A-Za-z][\w-]*:[\w.-]+", re.ASCII)
_OF_ANY: Final = "xnat:imageAssessorData/"
_OF_ALL: Final = frozenset(
    {"id", "label", "project", "subject_id", "subject_label", "session_id", "session_label", "imagesession_id", "date",
     "time", "note", "insert_date", "insert_user", "last_modified"}
)  # fmt: skip
"""What assessors of each type have, whatever its namespace."""
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
        kind, _, path = name.strip().partition("/")
        if len(name) > MAX_NAME or not path:
            return Listing.find(self, name)
        low = strip_types(name.strip().lower())
        if low.startswith(tuple(self.deeper)) or not _TYPE.fullmatch(kind):
            return Listing.find(self, name)
        if "[" in path:
            check_path(path)
            return Column(name.strip(), assessor.c.document, partial(_value_at, path))
        of_all = path.lower().startswith("meta/") or path.lower() in _OF_ALL
        column = Listing.find(self, f"{_OF_ANY}{path}" if of_all else name)
        match = _PATH.fullmatch(low) if column is None else None
        return column if match is None else Column(low, attribute(assessor.c.fields, match["path"]))

    def apply_filters(self, query: Select[Any], filters: Iterable[tuple[str, str]]) -> Select[Any]:
        """As listings do; Usage `request_invalid` for a path that names one of several, which no statement finds."""
        filters = list(filters)
        for name, said in filters:
            column = self.find(name) if said else None
            if column is not None and column.value is assessor.c.document:
                raise RequestInvalid(
                    f"{name[:100]} can't be a filter.", "Ask for it as a column, and compare its rows."
                )
        return Listing.apply_filters(self, query, filters)


def _value_at(path: str, document: str) -> str:
    return AssessorDocument.from_json(document).value(path)


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


def types_in_use(connection: Connection, principal: Principal) -> list[str]:
    """The types of the assessors that one may read, in the order in which they came, as many as schemas have."""
    query = (
        select(assessor.c.xsi_type)
        .join(session, session.c.uuid == assessor.c.session_uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(session.c.place == "archive", projects_where(principal, Action.SESSION_READ))
        .group_by(assessor.c.xsi_type)
        .order_by(func.min(assessor.c.id))
        .limit(SCHEMA_TYPES)
    )
    return list(connection.execute(query).scalars())


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
    query = LISTING.apply_filters(query, filters)
    by_document = [entry.name for entry in shown_columns if entry.value is assessor.c.document]
    if by_document:
        _check_size(connection, query, by_document)
    return read_rows(connection, query.order_by(assessor.c.id), shown_columns)


def _check_size(connection: Connection, query: Select[Any], columns: Sequence[str]) -> None:
    """Usage `request_invalid` where more of documents would be read, by each of some columns, than for one answer."""
    total = func.coalesce(func.sum(func.length(assessor.c.document)), 0)
    size = connection.execute(query.with_only_columns(total, maintain_column_froms=True)).scalar_one()
    if size * len(columns) > SHOWN_ASSESSORS_BYTES:
        raise RequestInvalid(
            f"{columns[0][:100]} is asked for of assessors whose documents have {size:,} characters.",
            f"At most {SHOWN_ASSESSORS_BYTES:,} are read for all such columns: ask for fewer, or by ID.",
        )

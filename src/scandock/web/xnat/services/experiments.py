"""Experiments, which are archived sessions, as XNAT's clients list them; with their scans where those are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.attributes import attribute
from scandock.catalog.server_tables import accession, account, reception, scan_edit
from scandock.catalog.tables import project, resource, scan, session, subject, tree
from scandock.formats.ecat_fields import IMAGE_PARAMETERS, MAIN_PARAMETERS
from scandock.model import uris
from scandock.model.xnat_ids import EXPERIMENT, SUBJECT, experiment_number, subject_number
from scandock.rules.permissions import Action
from scandock.rules.scan_attributes import NAMES
from scandock.rules.session_fields import ADDED, SCAN_FIELDS
from scandock.rules.subject_fields import SUBJECT_FIELDS
from scandock.services import rights
from scandock.web.xnat.services.columns import (
    MAX_NAME,
    MAX_VALUES,
    Column,
    Listing,
    Rows,
    format_count,
    format_moment,
    index_by_name,
    padded,
    read_rows,
    split_list,
    strip_types,
)

ABSTRACT: Final = frozenset({"xnat:experimentdata", "xnat:subjectassessordata", "xnat:imagesessiondata"})
"""Types that every session is."""
SCAN_PREFIX: Final = "xnat:imagescandata/"


_ID: Final = padded(EXPERIMENT, accession.c.number)
_SUBJECT: Final = case((session.c.subject_id.is_not(None), padded(SUBJECT, session.c.subject_id)), else_="")
_STATUS: Final = case((session.c.quarantined, "quarantine"), else_="active")


def _session_attribute(name: str) -> ColumnElement[Any]:
    return attribute(session.c.attributes, name)


_SESSION: Final = (
    Column("ID", _ID, filter_value=accession.c.number, parse=experiment_number),
    Column("label", session.c.label),
    Column("project", project.c.name),
    Column("xsiType", session.c.xsi_type),
    Column("subject_ID", _SUBJECT, filter_value=session.c.subject_id, parse=subject_number),
    Column("subject_label", session.c.subject),
    Column("project_ID", project.c.name),
    Column("project_name", project.c.title),
    Column("session_ID", _ID, filter_value=accession.c.number, parse=experiment_number),
    Column("session_label", session.c.label),
    Column("status", _STATUS),
    Column("quarantine_status", _STATUS),
    Column("insert_date", session.c.created, format_moment),
    Column("last_modified", session.c.modified, format_moment),
    Column("insert_user", literal("")),
    Column("UID", session.c.study_uid),
    Column("URI", padded(uris.experiment(EXPERIMENT), accession.c.number)),
    *(
        Column(name, _session_attribute(name))
        for name in (
            "date", "time", "modality", "scanner", "scanner/manufacturer", "scanner/model", "operator",
            "acquisition_site", "session_type", "study_id", "dcmAccessionNumber", "dcmPatientId", "dcmPatientName",
            "dcmPatientBirthDate", "dcmPatientWeight", "fieldStrength", "tracer/name", "tracer/dose",
        )
    ),
    *(Column(f"subject_{name}", attribute(subject.c.attributes, name)) for name in SUBJECT_FIELDS.values()),
    *(
        Column(name, _session_attribute(name))
        for name in ("note", "age", "visit_id", "visit", "protocol", "investigator", "quality")
    ),
)  # fmt: skip


SESSION_COLUMNS: Final = index_by_name(one for one in _SESSION if not one.name.startswith("subject_"))
"""What is said of a session itself, as its subject's listing shows it too."""


def _scan_column(name: str, value: ColumnElement[Any], text: Callable[[Any], str] | None = None) -> Column:
    return Column(f"{SCAN_PREFIX}{name}", value, text)


_ECAT: Final = (*MAIN_PARAMETERS, *IMAGE_PARAMETERS)
SCAN_ATTRIBUTES: Final = (
    *SCAN_FIELDS.values(), *NAMES, *(f"parameters/{one.name.replace('.', '/')}" for one in _ECAT),
)  # fmt: skip
"""What headers, or people, say of scans."""
_SCAN: Final = (
    _scan_column("id", scan.c.scan_id),
    _scan_column("type", func.coalesce(scan_edit.c.type, scan.c.type)),
    _scan_column("quality", func.coalesce(scan_edit.c.quality, "usable")),
    _scan_column("note", func.coalesce(scan_edit.c.note, "")),
    _scan_column("frames", scan.c.frames, format_count),
    _scan_column("uid", scan.c.series_uid),
    _scan_column("modality", scan.c.modality),
    _scan_column("xsitype", scan.c.xsi_type),
    *(
        _scan_column(name.lower(), attribute(scan.c.attributes, name))
        for name in SCAN_ATTRIBUTES
        if name not in ("modality", "frames")
    ),
    _scan_column("file/label", resource.c.label),
)
SCAN_COLUMN_NAMES: Final = frozenset(one.name.removeprefix(SCAN_PREFIX).lower() for one in _SCAN)
"""The names of what is said of a scan, in lower case."""
_SCAN_TYPE: Final = re.compile(r"(xnat:\w+scandata)/(.+)", re.IGNORECASE)
ADDED_COLUMN: Final = re.compile(r"parameters/addParam\[name=([\w.-]{1,64})\](?:/addField)?", re.IGNORECASE)
"""A parameter of a scan that has no element of its own: one of several echo times."""


class _Experiments(Listing):
    """Sessions, whose columns of scans are called by the scans' type: `xnat:mrscandata/id` is empty for scans of CT."""

    def find(self, name: str) -> Column | None:
        of_type = _SCAN_TYPE.fullmatch(name.strip()) if len(name) <= MAX_NAME else None
        if of_type is None:
            return Listing.find(self, name)
        kind, rest = of_type[1].lower(), of_type[2]
        added = ADDED_COLUMN.fullmatch(rest)
        column = _added_column(added[1]) if added else self.columns.get(f"{SCAN_PREFIX}{strip_types(rest.lower())}")
        if column is None or f"{kind}/" == SCAN_PREFIX:
            return column
        value = case((func.lower(scan.c.xsi_type) == kind, column.value), else_=None)
        return replace(column, name=f"{kind}/{column.name.removeprefix(SCAN_PREFIX)}", value=value)


def _added_column(name: str) -> Column:
    edited, in_headers = attribute(scan_edit.c.parameters, name), attribute(scan.c.attributes, f"{ADDED}{name}")
    return _scan_column(f"parameters/addparam[name={name}]/addfield", func.coalesce(edited, in_headers))


def _is_scan_column(column: Column) -> bool:
    return _SCAN_TYPE.fullmatch(column.key) is not None


def is_file_column(column: Column) -> bool:
    """Whether a column is of a scan's resources, which only rows with these have (`select_readable`, `with_files`)."""
    match = _SCAN_TYPE.fullmatch(column.key)
    return match is not None and match[2].startswith("file/")


def _scan_types(columns: Iterable[Column]) -> set[str]:
    """The types of scans of which columns are; none where one of them is of every scan."""
    types = {column.key.partition("/")[0] for column in columns if _is_scan_column(column)}
    return set() if SCAN_PREFIX.removesuffix("/") in types else types


LISTING: Final = _Experiments(
    index_by_name((*_SESSION, *_SCAN)),
    default=("ID", "project", "date", "xsiType", "label", "insert_date"),
    always=("ID", "URI"),
    deeper={
        "scans/scan/": SCAN_PREFIX,
        "xnat:subjectdata/demographics/": "subject_",
        "xnat:demographicdata/": "subject_",
        "xnat:subjectdata/": "subject_",
        "xnat:projectdata/": "project_",
        "meta/": "",
    },
)


def list_experiments(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    in_project: str | None = None,
    of_subject: int | None = None,
    types: str = "",
    page: tuple[int, int | None] | None = None,
) -> Rows:
    """Archived sessions of a project, a subject (its row's number), or all that one may read. AccessDenied.

    `types`: XNAT's types with commas between; the abstract ones are every session. A column of scans makes a row for
    each scan of a session, as XNAT joins them: where all such columns are of some types (`xnat:mrScanData/type`), for
    each scan of these, and one row for a session that has none. `page`: offset and limit, so that only those rows are
    made.
    """
    listing = replace(
        LISTING, columns={**LISTING.columns, "insert_user": Column("insert_user", uploader_column(principal))}
    )
    chosen_columns, filters = listing.choose_columns(columns), list(filters)
    if types and not any(each_column.name == "xsiType" for each_column in chosen_columns):
        chosen_columns.append(listing.columns["xsitype"])  # which pyxnat reads wherever it asks for types
    filtered = [column for name, value in filters if value and (column := listing.find(name)) is not None]
    with_scans = any(_is_scan_column(each_column) for each_column in (*chosen_columns, *filtered))
    with_files = any(is_file_column(each_column) for each_column in (*chosen_columns, *filtered))
    of_types = _scan_types((*chosen_columns, *filtered))
    query = select_readable(principal, types, with_scans=with_scans, with_files=with_files, scan_types=of_types)
    if in_project is not None:
        rights.check(connection, principal, Action.SESSION_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    if of_subject is not None:
        query = query.where(session.c.subject_id == of_subject)
    query = listing.apply_filters(query, filters).order_by(session.c.id)
    query = query.order_by(scan.c.sort_key, scan.c.n) if with_scans else query
    query = query.order_by(resource.c.n) if with_files else query
    if page is None:
        return read_rows(connection, query, chosen_columns)
    return replace(read_rows(connection, query.offset(page[0]).limit(page[1]), chosen_columns), cut=True)


def uploader_column(principal: Principal) -> ColumnElement[str]:
    """Who brought a session, where `principal` may see its import; empty where more has come to it since.

    A tree knows the import that made it, and a session only the tree that it shows: the first is as old as itself.
    """
    if not principal.signed_in:
        return literal("")
    visible = projects_where(principal, Action.IMPORT_READ)
    if not principal.admin:
        visible = or_(visible, reception.c.account_id == principal.account_id)
    query = (
        select(account.c.name)
        .join(reception, reception.c.account_id == account.c.id)
        .join(tree, tree.c.upload_id == reception.c.upload_id)
        .where(tree.c.id == session.c.tree_id, tree.c.created <= session.c.created, visible)
        .correlate(session, project)
    )
    return func.coalesce(query.scalar_subquery(), "")


def select_readable(
    principal: Principal,
    types: str = "",
    *,
    with_scans: bool = False,
    with_files: bool = False,
    scan_types: Collection[str] = (),
) -> Select[tuple[int]]:
    """The archived sessions of some types that one may read, as a query for `LISTING`'s columns.

    Those of scans need `with_scans`, which makes a row for each scan (of `scan_types`, in lower case, where any are
    named), and those of their resources `with_files` besides, which makes one for each of these. AccessDenied where a
    token is for other things.
    """
    rights.check_scope(principal, Action.SESSION_READ)
    query = _select_experiments(with_scans=with_scans, with_files=with_files, scan_types=scan_types).where(
        session.c.place == "archive", projects_where(principal, Action.SESSION_READ)
    )
    type_names = {name.strip().lower() for name in split_list(types, "types", MAX_VALUES) if name.strip()}
    if type_names and not type_names & ABSTRACT:
        query = query.where(func.lower(session.c.xsi_type).in_(sorted(type_names)))
    return query


def _select_experiments(*, with_scans: bool, with_files: bool, scan_types: Collection[str]) -> Select[tuple[int]]:
    source = (
        session.join(project, project.c.id == session.c.project_id)
        .join(accession, accession.c.uuid == session.c.uuid)
        .outerjoin(subject, subject.c.id == session.c.subject_id)  # which databases leave out where no column is of it
    )
    if with_scans:
        of_session = scan.c.tree_id == session.c.tree_id
        if scan_types:
            of_session = and_(of_session, func.lower(scan.c.xsi_type).in_(sorted(scan_types)))
        source = source.outerjoin(scan, of_session).outerjoin(
            scan_edit, and_(scan_edit.c.session_id == session.c.id, scan_edit.c.scan_id == scan.c.scan_id)
        )
    if with_files:
        source = source.outerjoin(resource, and_(resource.c.tree_id == scan.c.tree_id, resource.c.scan_n == scan.c.n))
    return select(session.c.id).select_from(source)

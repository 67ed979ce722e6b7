"""What waits in the prearchive, as XNAT's clients list, address and find it (xnat-behaviour.md 5.2, 5.3, 5.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, literal, or_, select

from scandock.access.principal import Principal, ProjectRights, decide_access_of
from scandock.catalog.attributes import attribute
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import gradual_upload, reception
from scandock.catalog.tables import operation, project, reservation, session, upload
from scandock.model.request_errors import RequestInvalid
from scandock.model.uris import PrearchiveSessionUri, without_data
from scandock.model.verdicts import UNFINISHED
from scandock.publishing.locks import timestamp_lock_column
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.browsing import visible_condition
from scandock.services.gradual_uploads import visible_promises
from scandock.web import urls
from scandock.web.xnat.services.columns import (
    BLANK,
    Column,
    Listing,
    Rows,
    build_uri,
    format_moment,
    index_by_name,
    read_rows,
)

OPERATION_STATUSES: Final = {
    "archive": "ARCHIVING",
    "resolve": "ARCHIVING",
    "move": "MOVING",
    "delete": "DELETING",
    "rebuild": "BUILDING",
}
"""What a person's operation that holds a session now is called among XNAT's statuses."""


def parse_src(src: str) -> PrearchiveSessionUri:
    """The session that a `src` names, with or without `/data` before it. Usage `request_invalid`."""
    uri = urls.parse_source(src.strip())
    if uri is None:
        raise RequestInvalid("src uri is invalid.", "Right is /prearchive/projects/{project}/{timestamp}/{label}.")
    return uri


# -- listings ----------------------------------------------------------------------------------------------------------


def _is_receiving() -> ColumnElement[bool]:
    """Whether single objects of a session come that are not in it yet."""
    return exists(
        select(gradual_upload.c.upload_id)
        .join(upload, upload.c.id == gradual_upload.c.upload_id)
        .where(
            gradual_upload.c.project_id == session.c.project_id,
            gradual_upload.c.timestamp == session.c.timestamp,
            gradual_upload.c.key == session.c.key,
            upload.c.state.in_(UNFINISHED),
        )
        .correlate(session)
    )


def _status_column() -> ColumnElement[Any]:
    """A session that nobody holds is READY, or CONFLICT where it waits for a decision.

    One that an import holds, or that single objects come for, is RECEIVING.
    """
    operations = [(operation.c.kind == kind, status) for kind, status in OPERATION_STATUSES.items()]
    return case(
        *operations,
        (or_(reservation.c.name.is_not(None), _is_receiving()), "RECEIVING"),
        (session.c.state == "conflict", "CONFLICT"),
        else_="READY",
    )


_CODE: Final = project.c.prearchive_code
COLUMNS: Final = (
    Column("project", project.c.name),
    Column("timestamp", session.c.timestamp),
    Column("lastmod", session.c.modified, format_moment),
    Column("uploaded", session.c.created, format_moment),
    Column("scan_date", attribute(session.c.attributes, "date")),
    Column("scan_time", attribute(session.c.attributes, "time")),
    Column("subject", session.c.subject),
    Column("folderName", session.c.label),
    Column("name", session.c.label),
    Column("tag", session.c.study_uid),
    Column("status", _status_column()),
    Column(
        "url",
        build_uri(
            without_data(PrearchiveSessionUri(BLANK, BLANK, BLANK).uri),
            project.c.name,
            session.c.timestamp,
            session.c.label,
        ),
    ),
    Column("autoarchive", case((_CODE == 5, "AutoArchiveOverwrite"), (_CODE == 4, "AutoArchive"), else_="Manual")),
    Column("prevent_anon", literal("false")),
    Column("prevent_auto_commit", literal("false")),
    Column("VISIT", attribute(session.c.attributes, "visit")),
    Column("PROTOCOL", attribute(session.c.attributes, "protocol")),
    *(Column(name, literal("")) for name in ("SOURCE", "TIMEZONE")),
)
_OF_PROMISES: Final[dict[str, ColumnElement[Any]]] = {
    "timestamp": gradual_upload.c.timestamp,
    "lastmod": func.coalesce(reception.c.heard, upload.c.created),
    "uploaded": upload.c.created,
    "subject": gradual_upload.c.subject,
    "folderName": gradual_upload.c.label,
    "name": gradual_upload.c.label,
    "tag": gradual_upload.c.study_uid,
    "status": literal("RECEIVING"),
    "url": build_uri(
        without_data(PrearchiveSessionUri(BLANK, BLANK, BLANK).uri),
        project.c.name,
        gradual_upload.c.timestamp,
        gradual_upload.c.label,
    ),
    **dict.fromkeys(("scan_date", "scan_time", "VISIT", "PROTOCOL"), literal("")),
}
"""Of sessions that are still to be built of single objects: what is of the session itself."""
_NAMES: Final = tuple(one.name for one in COLUMNS)
LISTING: Final = Listing(
    index_by_name(COLUMNS), default=_NAMES, always=("project", "timestamp", "folderName", "name", "status", "url")
)

_PROMISES: Final = replace(
    LISTING,
    columns=index_by_name(replace(column, value=_OF_PROMISES.get(column.name, column.value)) for column in COLUMNS),
)
"""The same columns of those."""


def list_prearchive_sessions(
    connection: Connection,
    principal: Principal,
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
    *,
    in_projects: Sequence[str] = (),
    recent: bool = False,
) -> Rows:
    """Sessions that wait in some projects, or (none named) in all whose prearchive one may see; one's own in
    `Unassigned` among them, and those that are still to be built of single objects. AccessDenied where none of those
    named may be seen. `recent`: the one changed last comes first.
    """
    filters = list(filters)
    rights.check_scope(principal, Action.PREARCHIVE_READ)
    includes_unassigned = principal.signed_in and any(name.casefold() == UNASSIGNED.casefold() for name in in_projects)
    if in_projects and not includes_unassigned:
        project_rights = ProjectRights(connection)
        decisions = (decide_access_of(principal, Action.PREARCHIVE_READ, name, project_rights) for name in in_projects)
        if AccessDecision.ALLOWED not in decisions:
            rights.check(connection, principal, Action.PREARCHIVE_READ, in_projects[0])
    query = _select_sessions().where(visible_condition(principal, Action.PREARCHIVE_READ))
    promises = _select_promises().where(visible_promises(principal, Action.PREARCHIVE_READ))
    if in_projects:
        named = project.c.key.in_([name.casefold() for name in in_projects])
        query, promises = query.where(named), promises.where(named)
    query, promises = LISTING.apply_filters(query, filters), _PROMISES.apply_filters(promises, filters)
    order = (session.c.modified.desc(), session.c.id.desc()) if recent else (session.c.id,)
    sessions = read_rows(connection, query.order_by(*order), LISTING.choose_columns(columns))
    promises = promises.order_by(gradual_upload.c.upload_id.desc() if recent else gradual_upload.c.upload_id)
    to_build = read_rows(connection, promises, _PROMISES.choose_columns(columns)).rows
    if not to_build:
        return sessions
    both = (to_build, sessions.rows) if recent else (sessions.rows, to_build)
    return Rows(sessions.names, [row for rows in both for row in rows])


def _select_promises() -> Select[tuple[int]]:
    """Sessions that are still to be built and of which nothing stands yet, each by its first upload."""
    first = gradual_upload.alias()
    same = (
        first.c.project_id == gradual_upload.c.project_id,
        first.c.timestamp == gradual_upload.c.timestamp,
        first.c.key == gradual_upload.c.key,
    )
    before = (
        select(first.c.upload_id)
        .where(*same, first.c.upload_id < gradual_upload.c.upload_id)
        .where(first.c.upload_id.in_(select(upload.c.id).where(upload.c.state.in_(UNFINISHED)).correlate(None)))
    )
    stands = select(session.c.id).where(
        session.c.place == "prearchive",
        session.c.project_id == gradual_upload.c.project_id,
        session.c.timestamp == gradual_upload.c.timestamp,
        session.c.key == gradual_upload.c.key,
    )
    source = (
        gradual_upload.join(project, project.c.id == gradual_upload.c.project_id)
        .join(upload, upload.c.id == gradual_upload.c.upload_id)
        .join(reception, reception.c.upload_id == gradual_upload.c.upload_id)
    )
    return (
        select(gradual_upload.c.upload_id)
        .select_from(source)
        .where(~exists(before.correlate(gradual_upload)), ~exists(stands.correlate(gradual_upload)))
    )


def list_column_names() -> list[str]:
    """The columns of `read_session_row`."""
    return [column.name for column in LISTING.choose_columns(None)]


def read_session_row(connection: Connection, record: SessionRecord) -> Rows:
    """One session as the listing has it; who may see it is the caller's to check."""
    return read_rows(connection, _select_sessions().where(session.c.id == record.id), LISTING.choose_columns(None))


def _select_sessions() -> Select[tuple[int]]:
    """Sessions that wait, with the operation that holds their timestamp now, if one does (`publishing.reserve`)."""
    source = (
        session.join(project, project.c.id == session.c.project_id)
        .outerjoin(reservation, reservation.c.name == timestamp_lock_column(project.c.name, session.c.timestamp))
        .outerjoin(operation, operation.c.id == reservation.c.operation_id)
    )
    return select(session.c.id).select_from(source).where(session.c.place == "prearchive")

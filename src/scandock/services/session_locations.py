"""Where the sessions of an import stand now, after people have decided, renamed, moved or deleted them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, or_, select, union

from scandock.access.principal import Principal
from scandock.access.visibility import own_where, sessions_where
from scandock.catalog.tables import project, session, tree, upload
from scandock.model import uris
from scandock.model.imported import ImportedSession
from scandock.services.import_records import Import

_COLUMNS: Final = (
    session.c.uuid, session.c.place, session.c.label, session.c.timestamp, session.c.study_uid, session.c.held_code,
    project.c.name.label("project"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLocation:
    """One session as it stands now."""

    id: str
    project: str
    label: str
    archived: bool
    held: bool
    """Whether it waits for a decision."""


def locate_sessions(
    connection: Connection, principal: Principal, items: Sequence[Import], max_shown: int
) -> dict[str, dict[str, SessionLocation]]:
    """By the import's id and the address at which it left a session: where that one stands, if `principal` may know.

    In one statement for all. A session is known by the upload that its files came by, however it is called since;
    where another upload's have taken their place, by its study in its project.
    """
    left_by_import = {item.id: list(_is_in_prearchive(item.brought(max_shown))) for item in items}
    left_by_import = {uuid: left_session for uuid, left_session in left_by_import.items() if left_session}
    if not left_by_import:
        return {}
    studies = {
        left_session.study_uid
        for left_sessions in left_by_import.values()
        for _, left_session in left_sessions
        if left_session.study_uid
    }
    projects = {
        left_session.project.casefold()
        for left_sessions in left_by_import.values()
        for _, left_session in left_sessions
        if left_session.project
    }
    both = union(_of_uploads(principal, left_by_import, studies), _of_studies(principal, projects, studies))
    by_study: dict[str | None, list[Any]] = {}
    for row in connection.execute(both):
        by_study.setdefault(row.study_uid, []).append(row)

    def rows_of(left_session: ImportedSession) -> list[Any]:
        return [row for key in {left_session.study_uid, None} for row in by_study.get(key, ())]

    return {
        uuid: {
            uri: _build_location(row)
            for uri, left_session in left_sessions
            if (row := _find_best_row(uuid, uri, left_session, rows_of(left_session))) is not None
        }
        for uuid, left_sessions in left_by_import.items()
    }


def _is_in_prearchive(sessions: Iterable[ImportedSession]) -> Iterator[tuple[str, ImportedSession]]:
    """Those that were left waiting, with their addresses."""
    for left_session in sessions:
        if left_session.uri is not None and left_session.state != "archive":
            yield left_session.uri, left_session


def _select_sessions(principal: Principal) -> Select[Any]:
    return (
        select(*_COLUMNS, upload.c.uuid.label("came"))
        .join(project, project.c.id == session.c.project_id)
        .join(tree, tree.c.id == session.c.tree_id)
        .outerjoin(upload, upload.c.id == tree.c.upload_id)
        .where(_visible_condition(principal))
    )


def _of_uploads(principal: Principal, uuids: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    condition = session.c.study_uid.in_(sorted(studies)) | session.c.study_uid.is_(None)
    return _select_sessions(principal).where(upload.c.uuid.in_(sorted(uuids)), condition)


def _of_studies(principal: Principal, projects: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    within = select(project.c.id).where(project.c.key.in_(sorted(projects)))
    return _select_sessions(principal).where(session.c.project_id.in_(within), session.c.study_uid.in_(sorted(studies)))


def _visible_condition(principal: Principal) -> Any:  # noqa: ANN401  a condition
    """Who sees an import sees where its sessions went, as far as they may look there: in `Unassigned` at their own."""
    return or_(sessions_where(principal), (session.c.place == "prearchive") & own_where(principal))


def _find_best_row(uuid: str, uri: str, left_session: ImportedSession, rows: Iterable[Any]) -> Any:  # noqa: ANN401  a row, or None
    """The likeliest: at its very address; else of its upload, what waits before what is archived; else its study."""
    address = uris.parse_session(uri)
    stamp = address.timestamp if isinstance(address, uris.PrearchiveSessionUri) else None

    def rank(row: Any) -> tuple[bool, bool, bool]:  # noqa: ANN401
        at = row.place == "prearchive" and (row.timestamp, row.label) == (stamp, address.label)
        return (not at, row.came != uuid, row.place == "archive")

    def same(row: Any) -> bool:  # noqa: ANN401
        if left_session.study_uid is not None and row.study_uid is not None:
            return bool(row.study_uid == left_session.study_uid) and (
                row.came == uuid or row.project == left_session.project
            )
        return bool(
            row.came == uuid and (row.label == left_session.label or (stamp is not None and row.timestamp == stamp))
        )

    return min(filter(same, rows), key=rank, default=None)


def _build_location(row: Any) -> SessionLocation:  # noqa: ANN401
    return SessionLocation(
        id=row.uuid,
        project=row.project,
        label=row.label,
        archived=row.place == "archive",
        held=bool(row.held_code),
    )

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
class Stands:
    """One session as it stands now."""

    id: str
    project: str
    label: str
    archived: bool
    held: bool
    """Whether it waits for a decision."""


def whereabouts(
    connection: Connection, principal: Principal, items: Sequence[Import], shown: int
) -> dict[str, dict[str, Stands]]:
    """By the import's id and the address at which it left a session: where that one stands, if `principal` may know.

    In one statement for all. A session is known by the upload that its files came by, however it is called since;
    where another upload's have taken their place, by its study in its project.
    """
    looked = {one.id: list(_left(one.brought(shown))) for one in items}
    looked = {uuid: told for uuid, told in looked.items() if told}
    if not looked:
        return {}
    studies = {told.study_uid for some in looked.values() for _, told in some if told.study_uid}
    projects = {told.project.casefold() for some in looked.values() for _, told in some if told.project}
    both = union(_of_uploads(principal, looked, studies), _of_studies(principal, projects, studies))
    by_study: dict[str | None, list[Any]] = {}
    for row in connection.execute(both):
        by_study.setdefault(row.study_uid, []).append(row)

    def rows_of(told: ImportedSession) -> list[Any]:
        return [row for key in {told.study_uid, None} for row in by_study.get(key, ())]

    return {
        uuid: {uri: _stands(row) for uri, told in some if (row := _row_of(uuid, uri, told, rows_of(told))) is not None}
        for uuid, some in looked.items()
    }


def _left(sessions: Iterable[ImportedSession]) -> Iterator[tuple[str, ImportedSession]]:
    """Those that were left waiting, with their addresses."""
    for told in sessions:
        if told.uri is not None and told.state != "archive":
            yield told.uri, told


def _sessions(principal: Principal) -> Select[Any]:
    return (
        select(*_COLUMNS, upload.c.uuid.label("came"))
        .join(project, project.c.id == session.c.project_id)
        .join(tree, tree.c.id == session.c.tree_id)
        .outerjoin(upload, upload.c.id == tree.c.upload_id)
        .where(_visible(principal))
    )


def _of_uploads(principal: Principal, uuids: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    asked = session.c.study_uid.in_(sorted(studies)) | session.c.study_uid.is_(None)
    return _sessions(principal).where(upload.c.uuid.in_(sorted(uuids)), asked)


def _of_studies(principal: Principal, projects: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    within = select(project.c.id).where(project.c.key.in_(sorted(projects)))
    return _sessions(principal).where(session.c.project_id.in_(within), session.c.study_uid.in_(sorted(studies)))


def _visible(principal: Principal) -> Any:  # noqa: ANN401  a condition
    """Who sees an import sees where its sessions went, as far as they may look there: in `Unassigned` at their own."""
    return or_(sessions_where(principal), (session.c.place == "prearchive") & own_where(principal))


def _row_of(uuid: str, uri: str, told: ImportedSession, rows: Iterable[Any]) -> Any:  # noqa: ANN401  a row, or None
    """The likeliest: at its very address; else of its upload, what waits before what is archived; else its study."""
    there = uris.parse_session(uri)
    stamp = there.timestamp if isinstance(there, uris.PrearchiveSession) else None

    def rank(row: Any) -> tuple[bool, bool, bool]:  # noqa: ANN401
        at = row.place == "prearchive" and (row.timestamp, row.label) == (stamp, there.label)
        return (not at, row.came != uuid, row.place == "archive")

    def same(row: Any) -> bool:  # noqa: ANN401
        if told.study_uid is not None and row.study_uid is not None:
            return bool(row.study_uid == told.study_uid) and (row.came == uuid or row.project == told.project)
        return bool(row.came == uuid and (row.label == told.label or (stamp is not None and row.timestamp == stamp)))

    return min(filter(same, rows), key=rank, default=None)


def _stands(row: Any) -> Stands:  # noqa: ANN401
    return Stands(
        id=row.uuid,
        project=row.project,
        label=row.label,
        archived=row.place == "archive",
        held=bool(row.held_code),
    )

"""Finding the sessions of reports from before these had their ids: by where they were left, by upload and by study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, or_, select, union

from scandock.access.principal import Principal
from scandock.access.visibility import own_where, sessions_where
from scandock.catalog.tables import project, session, tree, upload
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.imported import ImportedSession

_COLUMNS: Final = (
    session.c.uuid, session.c.place, session.c.label, session.c.timestamp, session.c.study_uid,
    project.c.name.label("project"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftSession:
    """A session as an import left it."""

    import_id: str
    position: int
    """In the import's report."""
    report: ImportedSession

    @property
    def was_stored(self) -> bool:
        """Whether anything of it was; it has no address else."""
        return self.report.uri is not None


def visible_sessions(principal: Principal) -> ColumnElement[bool]:
    """A condition: who sees an import sees where its sessions went, as far as they may look there; in `Unassigned` at
    their own.
    """
    return or_(sessions_where(principal), (session.c.place == "prearchive") & own_where(principal))


def match_sessions(
    connection: Connection, principal: Principal, lefts: Sequence[LeftSession]
) -> dict[tuple[str, int], str]:
    """By import and position, the UUIDs of the sessions that `principal` may see and that these likely are.

    In one statement for all. A session is known by the upload that its files came by, however it is called since;
    where another upload's have taken their place, by its study in its project.
    """
    lefts = [left for left in lefts if left.was_stored]
    if not lefts:
        return {}
    studies = {left.report.study_uid for left in lefts if left.report.study_uid}
    projects = {left.report.project.casefold() for left in lefts if left.report.project}
    uploads = {left.import_id for left in lefts}
    both = union(_of_uploads(principal, uploads, studies), _of_studies(principal, projects, studies))
    by_study: dict[str | None, list[Any]] = {}
    for row in connection.execute(both):
        by_study.setdefault(row.study_uid, []).append(row)
    matches = {}
    for left in lefts:
        rows = [row for key in {left.report.study_uid, None} for row in by_study.get(key, ())]
        row = _find_best_row(left, rows)
        if row is not None:
            matches[left.import_id, left.position] = str(row.uuid)
    return matches


def _select_sessions(principal: Principal) -> Select[Any]:
    return (
        select(*_COLUMNS, upload.c.uuid.label("came"))
        .join(project, project.c.id == session.c.project_id)
        .join(tree, tree.c.id == session.c.tree_id)
        .outerjoin(upload, upload.c.id == tree.c.upload_id)
        .where(visible_sessions(principal))
    )


def _of_uploads(principal: Principal, uuids: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    condition = session.c.study_uid.in_(sorted(studies)) | session.c.study_uid.is_(None)
    return _select_sessions(principal).where(upload.c.uuid.in_(sorted(uuids)), condition)


def _of_studies(principal: Principal, projects: Iterable[str], studies: Iterable[str]) -> Select[Any]:
    within = select(project.c.id).where(project.c.key.in_(sorted(projects)))
    return _select_sessions(principal).where(session.c.project_id.in_(within), session.c.study_uid.in_(sorted(studies)))


def _find_best_row(left: LeftSession, rows: Iterable[Any]) -> Any:  # noqa: ANN401  a row, or None
    """The likeliest: at its very address; else of its upload, in the place where it was left; else its study."""
    report, address = left.report, uris.parse_session(left.report.uri or "")
    stamp = address.timestamp if isinstance(address, uris.PrearchiveSessionUri) else None
    place = "archive" if stamp is None else "prearchive"

    def rank(row: Any) -> tuple[bool, bool, bool]:  # noqa: ANN401
        at = row.place == place and row.label == address.label and (stamp is None or row.timestamp == stamp)
        return (not at, row.came != left.import_id, row.place != place)

    def is_same(row: Any) -> bool:  # noqa: ANN401
        if report.study_uid is not None and row.study_uid is not None:
            return bool(row.study_uid == report.study_uid) and (
                row.came == left.import_id or row.project == report.project
            )
        return bool(
            row.came == left.import_id and (row.label == report.label or (stamp is not None and row.timestamp == stamp))
        )

    return min(filter(is_same, rows), key=rank, default=None)

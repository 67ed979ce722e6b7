"""What stands in the archive beside what came: of sessions that wait for a decision, three statements for them all.

Objects are told by their SOP UID and the bytes of their files, other files by their bytes alone. Two files of one
object that differ only in what no image is made of (preamble, file meta header) count as different here: deciding
reads them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, Connection, and_, case, func, literal, not_, or_, select, union_all

from scandock.catalog.session_lookups import is_same_study, of_study
from scandock.catalog.tables import file, project, session
from scandock.rules import petmr

CONTESTED: Final = frozenset({"sop_clash", "session_exists", "type_differs", "study_elsewhere", "subject_differs"})
"""Codes of sessions that are held because of one that is archived."""
MAX_FILES: Final = 50_000
"""Files of both sides beyond which they are not compared one by one for a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two sessions."""

    uuid: str
    project: str
    label: str
    subject: str
    date: str
    scans: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sessions side by side; counts are None where the sessions are too big to compare for a page."""

    came: Side
    stands: Side | None
    """The archived one; None where what came clashes within itself."""
    same: int | None
    """Files of what came that are there already, byte for byte or by what their objects were before they were
    de-identified; with `differ` and `only_came` all that came."""
    differ: int | None
    """Files of objects that are there with other bytes."""
    replaced: int | None
    """Archived files of these objects."""
    only_came: int | None
    only_stands: int | None
    inner: int | None
    """Objects of which what came has several versions itself."""
    spare: int | None
    """Files of these beyond the first."""

    @property
    def unequal(self) -> bool:
        """Whether a person has to say which version of an object is kept, as far as it is known."""
        return bool(self.differ or self.inner)


def compare_sessions(connection: Connection, uuids: Sequence[str]) -> dict[str, Comparison]:
    """By the id of the session that came; those that nothing contests are left out."""
    rows = connection.execute(_select_sides().where(session.c.uuid.in_(uuids), session.c.held_code.in_(CONTESTED)))
    sources = {row.id: row for row in map(_Found._make, rows)}
    if not sources:
        return {}
    archived = _find_archived(connection, list(sources.values()))
    small = {
        number: (row.tree_id, archived[number].tree_id if number in archived else None)
        for number, row in sources.items()
        if row.files + (archived[number].files if number in archived else 0) <= MAX_FILES
    }
    counts = _count_objects(connection, small)
    return {
        row.uuid: _build_comparison(row, archived.get(number), counts.get(number)) for number, row in sources.items()
    }


def _build_comparison(row: _Found, archived: _Found | None, counts: tuple[int, ...] | None) -> Comparison:
    same, differ, replaced, only_came, only_stands, inner, spare = counts or (None,) * 7
    return Comparison(
        came=_build_side(row),
        stands=_build_side(archived) if archived is not None else None,
        same=same,
        differ=differ,
        replaced=replaced,
        only_came=only_came,
        only_stands=only_stands,
        inner=inner,
        spare=spare,
    )


class _Found(NamedTuple):
    """A session as `_select_sides` finds it."""

    id: int
    uuid: str
    project_id: int
    key: str
    label: str
    subject: str
    study_uid: str | None
    attributes: str
    scans: int
    files: int
    bytes: int
    tree_id: int
    study_side: petmr.Side
    study_key: str
    project: str


def _select_sides() -> Any:  # noqa: ANN401  a select of many columns
    return select(
        session.c.id, session.c.uuid, session.c.project_id, session.c.key, session.c.label, session.c.subject,
        session.c.study_uid, session.c.attributes, session.c.scans, session.c.files, session.c.bytes,
        session.c.tree_id, session.c.side, session.c.study_key, project.c.name.label("project"),
    ).join(project, project.c.id == session.c.project_id)  # fmt: skip


def _build_side(row: _Found) -> Side:
    return Side(
        uuid=row.uuid,
        project=row.project,
        label=row.label,
        subject=row.subject,
        date=json.loads(row.attributes).get("date", ""),
        scans=row.scans,
        files=row.files,
        bytes=row.bytes,
    )


def _find_archived(connection: Connection, sources: list[_Found]) -> dict[int, _Found]:
    """By the number of the session that came, the archived one of its study, else of its label."""
    condition = or_(
        *(
            and_(
                session.c.project_id == row.project_id,
                or_(session.c.key == row.key, of_study(row)),
            )
            for row in sources
        )
    )
    rows = [
        _Found._make(row) for row in connection.execute(_select_sides().where(session.c.place == "archive", condition))
    ]
    by_project: dict[int, list[_Found]] = defaultdict(list)
    for row in rows:
        by_project[row.project_id].insert(0, row)
    by_label = {(row.project_id, row.key): row for row in rows}
    archived = {}
    for row in sources:
        same_study = (
            one
            for one in by_project[row.project_id]
            if is_same_study(row, one) and petmr.shares_side(one.study_side, row.study_side)
        )
        match = next(same_study, None) or by_label.get((row.project_id, row.key))
        if match is not None:
            archived[row.id] = match
    return archived


def _count_objects(connection: Connection, trees: dict[int, tuple[int, int | None]]) -> dict[int, tuple[int, ...]]:
    """By the number of the session that came: same, different, archived ones that differ, only in what came, only in
    what stands, several within what came.
    """
    sides = [
        _select_files(number, side, tree, both[1])
        for number, both in trees.items()
        for side, tree in enumerate(both)
        if tree is not None
    ]
    if not sides:
        return {}
    each: CTE = union_all(*sides).cte("each")
    by_object = (
        select(
            each.c.pair,
            func.min(each.c.side).label("first"),
            func.max(each.c.side).label("last"),
            func.count(each.c.sha256.distinct()).label("versions"),
            func.count(case((each.c.side == 0, each.c.sha256)).distinct()).label("within"),
            func.count(case((each.c.side == 0, 1))).label("came"),
            func.count(case((each.c.side == 1, 1))).label("stood"),
            func.count(each.c.origin.distinct()).label("origins"),
            func.count(each.c.origin).label("with_origin"),
        )
        .group_by(each.c.pair, each.c.sop_uid, case((each.c.sop_uid.is_(None), each.c.sha256)))
        .cte("by_object")
    )
    both = and_(by_object.c.first == 0, by_object.c.last == 1)
    of_one_origin = and_(by_object.c.origins == 1, by_object.c.with_origin == by_object.c.came + by_object.c.stood)
    is_same = or_(by_object.c.versions == 1, of_one_origin)
    rows = connection.execute(
        select(
            by_object.c.pair,
            _sum_files(by_object.c.came, and_(both, is_same)),
            _sum_files(by_object.c.came, and_(both, not_(is_same))),
            _sum_files(by_object.c.stood, and_(both, not_(is_same))),
            _sum_files(by_object.c.came, by_object.c.last == 0),
            _sum_files(by_object.c.stood, by_object.c.first == 1),
            _sum_files(literal(1), by_object.c.within > 1),
            _sum_files(by_object.c.came - 1, by_object.c.within > 1),
        ).group_by(by_object.c.pair)
    )
    return {row[0]: tuple(int(value) for value in row[1:]) for row in rows}


def _select_files(number: int, side: int, tree: int, archived: int | None) -> Any:  # noqa: ANN401  a select
    """The files of one side; what is archived of the same original tells which object one is of what came."""
    columns = literal(number).label("pair"), literal(side).label("side")
    if side == 1 or archived is None:
        return select(*columns, file.c.sop_uid, file.c.sha256, file.c.origin).where(file.c.tree_id == tree)
    there = file.alias()
    same = (
        select(there.c.origin, func.min(there.c.sop_uid).label("sop_uid"))
        .where(there.c.tree_id == archived, there.c.origin.is_not(None))
        .group_by(there.c.origin)
        .subquery()
    )
    sop_uid = func.coalesce(same.c.sop_uid, file.c.sop_uid).label("sop_uid")
    return (
        select(*columns, sop_uid, file.c.sha256, file.c.origin)
        .outerjoin(same, same.c.origin == file.c.origin)
        .where(file.c.tree_id == tree)
    )


def _sum_files(count: Any, condition: Any) -> Any:  # noqa: ANN401  expressions
    """The sum of a count over the objects of which a condition holds: files of what came add up to all that came."""
    return func.sum(case((condition, count), else_=0))

"""What stands in the archive beside what came: of sessions that wait for a decision.

Objects are told by their SOP UID and the bytes of their files, other files by their bytes alone. Two files of one
object that differ only in what no image is made of (preamble, file meta header) count as different here: deciding
reads them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, or_, select

from scandock.catalog.session_lookups import is_same_study, of_study
from scandock.catalog.tables import project, session
from scandock.catalog.trees import files_of
from scandock.model.dataclass import dataclass
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
    counts = {}
    for number, (tree, archived) in trees.items():
        came = _read_files(connection, tree)
        stood = _read_files(connection, archived) if archived is not None else []
        if came or stood:
            counts[number] = _compare_files(came, stood)
    return counts


class _File(NamedTuple):
    """What a file is compared by: all that is held of each, as there are many."""

    sop_uid: str | None
    sha256: bytes
    origin: bytes | None


def _read_files(connection: Connection, tree_id: int) -> list[_File]:
    return [_File(row.sop_uid, row.sha256, row.origin) for row in files_of(connection, tree_id)]


@dataclass(slots=True)
class _Object:
    """The files of both sides that are of one object: of what came, and of what stands."""

    came: list[_File] = field(default_factory=list)
    stood: list[_File] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether all have the same bytes, or were the same object before they were de-identified."""
        rows = [*self.came, *self.stood]
        origins = {row.origin for row in rows}
        return len({row.sha256 for row in rows}) == 1 or (len(origins) == 1 and None not in origins)


def _compare_files(came: Sequence[_File], stood: Sequence[_File]) -> tuple[int, ...]:
    """Counts of files as `_count_objects` has them.

    What is archived of the same original tells which object one is of what came.
    """
    uids: dict[bytes, str] = {}
    for row in stood:
        if row.origin is not None and row.sop_uid is not None:
            uids[row.origin] = min(row.sop_uid, uids.get(row.origin, row.sop_uid))
    objects: dict[str | bytes, _Object] = defaultdict(_Object)
    for row in came:
        objects[uids.get(row.origin or b"") or row.sop_uid or row.sha256].came.append(row)
    for row in stood:
        objects[row.sop_uid or row.sha256].stood.append(row)
    same = different = archived_different = only_came = only_stood = several = more = 0
    for each in objects.values():
        if not each.stood:
            only_came += len(each.came)
        elif not each.came:
            only_stood += len(each.stood)
        elif each.is_same:
            same += len(each.came)
        else:
            different += len(each.came)
            archived_different += len(each.stood)
        if len({row.sha256 for row in each.came}) > 1:
            several += 1
            more += len(each.came) - 1
    return same, different, archived_different, only_came, only_stood, several, more

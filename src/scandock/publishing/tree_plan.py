"""What the next tree of a session holds: decided whole as a plan, then made by `build_trees` alone.

A published tree is never written to. Imports, merges, choices among objects that differ and changes by hand all plan
the tree that a session gets next (docs/design/0003-placing.md). A dry run plans it too, and builds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from itertools import chain, islice
from typing import Final, NamedTuple

from sqlalchemy import Connection

from scandock.catalog.dicom_listings import InstanceCounter, count_instances
from scandock.catalog.engine import Catalog
from scandock.catalog.file_rows import FileAnnotations, FileRow
from scandock.catalog.trees import (
    BATCH,
    ResourceRow,
    ScanRow,
    add_files,
    annotate_files,
    copy_few_files,
    copy_files,
    mend_files,
    write_files,
    write_structure,
)
from scandock.catalog.verified_files import add_digests, forget_verified
from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.publishing.intents import OwnResourcesRow, Placement, SessionRow, new_tree
from scandock.queue.leases import Lease, check_lease
from scandock.store.handles import StagedPart
from scandock.store.paths import RelPath, TreePath
from scandock.store.port import Mark, Stage

_OF_IMAGES: Final = frozenset({"DICOM", "secondary", "ECAT"})
"""Resources whose frames are those of their scan."""


TREES: Final = 50
"""Whose rows one transaction writes at most: what stands beside the files takes 2 ms of each."""


class ResourceSums(NamedTuple):
    """What a resource holds."""

    files: int
    bytes: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTree:
    """The tree that a session has now."""

    name: TreePath
    tree_id: int
    last: int
    """The highest number of its files, -1 where it has none."""
    files: Callable[[], Iterable[tuple[int, RelPath]]]
    """Number and path of each of its files, streamed; those that the plan drops may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePlan:
    """A tree that is to be: what it takes over of `base`, without `drop`, and what comes, by `staged` and `add`.

    Files are streamed, since there may be a million; each of the two may be asked for more than once.
    """

    root: RelPath
    """The folder of the stage in which it is put together."""
    scans: Sequence[ScanRow]
    """All of the new tree, with their sums."""
    resources: Sequence[ResourceRow]
    """All of the new tree, with their sums."""
    base: BaseTree | None = None
    drop: Collection[int] = frozenset()
    """Numbers of the base's files that the new tree does not hold. All others keep their number and path."""
    add: Callable[[], Iterable[FileRow]] = tuple
    """The files that come, numbered behind the base's."""
    md5s: Mapping[int, bytes] = field(default_factory=dict)
    """By number, the MD5s of files that come, as far as they are known."""
    staged: Callable[[], Iterable[StagedPart]] = tuple
    """How they get their places, in this order. A file that stays gets its bytes here too, where it is `unlinked`."""
    unlinked: Collection[int] = frozenset()
    """Numbers of files that stay but are not taken over from the base: they are gone there, or come anew."""
    mended: Collection[int] = frozenset()
    """Numbers of files that stay and whose bytes come anew, as the stored ones are damaged."""
    unverified: Collection[int] = frozenset()
    """Numbers of files that stay and are to be verified soon."""
    words: Mapping[int, FileAnnotations] = field(default_factory=dict)
    """By number, what people newly say of files that stay."""

    @property
    def takes_out(self) -> bool:
        """Whether the base has bytes that the new tree does not have, so that it goes to the trash."""
        return bool(self.drop or self.mended)

    @property
    def is_of_new_files(self) -> bool:
        """Whether all its files are those that come."""
        return self.base is None and not self.mended

    @property
    def scan_of_resources(self) -> dict[int, int | None]:
        """The number of each resource -> that of its scan."""
        return {resource.n: resource.scan_n for resource in self.resources}


class BuiltTree(NamedTuple):
    """A tree that waits to be shown: nothing points at its rows, and nothing of it is synced."""

    plan: TreePlan
    tree_id: int
    mark: Mark

    def placement(
        self, name: TreePath, row: SessionRow | OwnResourcesRow, *, base_mark: Mark | None = None, n: int = 0
    ) -> Placement:
        """How it gets its name, and `row` what the catalog says of it then; `base_mark` is of what stands there."""
        plan = self.plan
        return Placement(
            n=n,
            name=name,
            staged=plan.root,
            mark=self.mark,
            tree_id=self.tree_id,
            base_tree_id=plan.base.tree_id if plan.base is not None else None,
            base_mark=base_mark,
            keep_base=plan.takes_out,
            session=row,
        )


def set_sums(scans: Iterable[ScanRow], resources: Iterable[ResourceRow], sums: Mapping[int, ResourceSums]) -> None:
    """Write the sums of resources, by their number, into them and their scans; one without any has no file."""
    by_n = {scan.n: scan for scan in scans}
    for scan in by_n.values():
        scan.files = scan.bytes = scan.frames = 0
    for resource in resources:
        resource.files, resource.bytes, frames = sums.get(resource.n, ResourceSums(0, 0, 0))
        if resource.scan_n is not None:
            scan = by_n[resource.scan_n]
            scan.files += resource.files
            scan.bytes += resource.bytes
            scan.frames += frames if resource.label in _OF_IMAGES else 0


def build_trees(
    catalog: Catalog, stage: Stage, lease: Lease, plans: Sequence[TreePlan], check: Callable[[], None]
) -> list[BuiltTree]:
    """Put trees together in the stage, and write their rows, at which nothing points; they are still to be sealed.

    `check` is called between steps and may raise. TokenLost; Fault `tree_damaged` where a base is not as it was stored.
    """
    marks = []
    for plan in plans:
        check()
        marks.append(_compose(stage, plan))
    reach("arranged")
    tree_ids = _write_rows(catalog, lease, plans, check)
    reach("rows")
    return [BuiltTree(plan, tree_id, mark) for plan, tree_id, mark in zip(plans, tree_ids, marks, strict=True)]


def _compose(stage: Stage, plan: TreePlan) -> Mark:
    base = plan.base
    if base is None:
        return stage.compose(plan.root, plan.staged())
    kept = (path for n, path in base.files() if n not in plan.drop and n not in plan.unlinked)
    return stage.compose(plan.root, plan.staged(), base=base.name, kept=kept)


def _write_rows(catalog: Catalog, lease: Lease, plans: Sequence[TreePlan], check: Callable[[], None]) -> list[int]:
    """Write the rows of the trees of plans, as many trees in one transaction as it takes whole; their numbers.

    Each transaction proves the lease: who takes over removes the trees, and their numbers may be others' by then.
    """
    tree_ids: list[int] = []
    small: list[tuple[TreePlan, list[FileRow]]] = []
    rows_of_small = 0
    for plan in plans:
        check()
        rows = iter(plan.add())
        first = list(islice(rows, BATCH))
        count = len(first) + (0 if plan.base is None else plan.base.last + 1)
        is_large = count > BATCH or len(first) == BATCH
        if small and (is_large or rows_of_small + count > BATCH or len(small) == TREES):
            tree_ids += _write_small(catalog, lease, small)
            small, rows_of_small = [], 0
        if is_large:
            tree_ids.append(_write_large(catalog, lease, plan, chain(first, rows)))
        else:
            small.append((plan, first))
            rows_of_small += count
    if small:
        tree_ids += _write_small(catalog, lease, small)
    return tree_ids


def _write_small(catalog: Catalog, lease: Lease, plans: Iterable[tuple[TreePlan, Sequence[FileRow]]]) -> list[int]:
    """Write the rows of plans, with all that they add, in one transaction; the trees' numbers."""
    tree_ids = []
    with catalog.write(synced=False) as connection:
        for plan, rows in plans:
            tree_id = new_tree(catalog, connection, lease)
            base = plan.base
            if base is not None:
                copy_few_files(connection, base.tree_id, tree_id, base.last, plan.drop)
            add_files(connection, tree_id, rows)
            instances = count_instances(plan.scan_of_resources, rows) if plan.is_of_new_files else None
            _finish_rows(connection, tree_id, plan, instances)
            tree_ids.append(tree_id)
    return tree_ids


def _write_large(catalog: Catalog, lease: Lease, plan: TreePlan, rows: Iterable[FileRow]) -> int:
    """Write the rows of a plan, and those that it adds, in batches, each a transaction; the tree's number."""

    def check(connection: Connection) -> None:
        check_lease(catalog, connection, lease)

    base = plan.base
    with catalog.write(synced=False) as connection:
        tree_id = new_tree(catalog, connection, lease)
    if base is not None:
        copy_files(catalog, base.tree_id, tree_id, base.last, plan.drop, check)
    counter = InstanceCounter(plan.scan_of_resources) if plan.is_of_new_files else None
    write_files(catalog, tree_id, rows if counter is None else counter.pass_on(rows), check)
    with catalog.write(synced=False) as connection:
        check(connection)
        _finish_rows(connection, tree_id, plan, None if counter is None else counter.counts())
    return tree_id


def _finish_rows(connection: Connection, tree_id: int, plan: TreePlan, instances: Mapping[int, int] | None) -> None:
    """Write what stands beside the files' manifests, once all of these are there.

    `instances`: how many objects of different UIDs each scan has; None where its files are to be asked.
    """
    add_digests(connection, tree_id, plan.md5s)
    mend_files(connection, tree_id, plan.mended)
    forget_verified(connection, tree_id, plan.unverified)
    annotate_files(connection, tree_id, plan.words)
    write_structure(connection, tree_id, plan.scans, plan.resources, instances)

"""The tree that a session has once a change by hand is shown: what stays, what comes, what goes.

What stands is read here and changed here, and the whole is a plan in the end (docs/design/0003-placing.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import field, replace
from typing import NamedTuple

from sqlalchemy import Connection

from scandock.catalog.file_rows import NO_ANNOTATIONS, FileAnnotations, FileRow
from scandock.catalog.own_resources import Holder
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of, scans_of
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.publishing.tree_plan import BaseTree, ResourceSums, TreePlan, set_sums
from scandock.services.file_errors import FileExists, FilePathInvalid, FileUnknown, ResourceUnknown
from scandock.services.session_errors import ScanUnknown
from scandock.store.handles import StagedPart
from scandock.store.paths import CHANGED_TREE, RelPath, path_below, resource_folder, tree_path
from scandock.store.port import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A file that waits in a stage: where there, under which name it is to stand, and what is known of it."""

    rel: RelPath
    name: str
    size: int
    sha256: bytes
    md5: bytes
    sop_uid: str | None = None
    frames: int = 0
    dataset_at: int = 0
    words: FileAnnotations = NO_ANNOTATIONS
    """Content, format and tags that the request says of it."""


class ExistingFile(NamedTuple):
    """What a change needs to know of a file that stands: there may be as many as a session has."""

    n: int
    size: int
    sha256: bytes
    frames: int
    words: FileAnnotations


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """The resource that a change is about; `scan_id` None for one of the session's own."""

    scan_id: str | None
    label: str


@dataclass(slots=True)
class NextTree:
    """What the tree of a session or own resources will hold; every change is judged whole before any is made."""

    source: Holder
    scans: list[ScanRow]
    resources: list[ResourceRow]
    files: dict[tuple[int, str], ExistingFile]
    added: dict[tuple[int, str], tuple[Stage, StagedFile]] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    described: dict[int, FileAnnotations] = field(default_factory=dict)
    """By number, what is newly said of files that stay."""
    last: int = -1
    changed: bool = False
    _folders: dict[int, set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, source: Holder) -> NextTree:
        """The tree as it stands."""
        files, last = {}, -1
        for row in files_of(connection, source.tree_id):
            last, words = row.n, NO_ANNOTATIONS if row.words == NO_ANNOTATIONS else row.words
            files[row.resource_n, row.name] = ExistingFile(row.n, row.bytes, row.sha256, row.frames, words)
        scans, resources = scans_of(connection, source.tree_id), resources_of(connection, source.tree_id)
        return cls(source, scans, resources, files, last=last)

    # -- finding -------------------------------------------------------------------------------------------------

    def scan(self, scan_id: str) -> ScanRow:
        """The scan of an id. Usage `scan_unknown`."""
        for row in self.scans:
            if row.scan_id == scan_id:
                return row
        raise ScanUnknown(f"The session has no scan {scan_id[:128]!r}.", "Its scans are listed at .../scans.")

    def resource(self, place: ResourcePath) -> ResourceRow | None:
        """The resource of a place; None where there is none. Usage `scan_unknown`."""
        scan_n = None if place.scan_id is None else self.scan(place.scan_id).n
        for row in self.resources:
            if row.scan_n == scan_n and row.label.casefold() == place.label.casefold():
                return row
        return None

    def folder(self, resource: ResourceRow) -> RelPath:
        """Where the files of a resource stand in the tree."""
        scan_id = next((row.scan_id for row in self.scans if row.n == resource.scan_n), None)
        return resource_folder(scan_id, resource.label)

    # -- changing ------------------------------------------------------------------------------------------------

    def put(
        self,
        stage: Stage,
        place: ResourcePath,
        files: Sequence[StagedFile],
        *,
        overwrite: bool | None,
        kind: tuple[str, str, str],
    ) -> int:
        """Let staged files stand in a resource, made where missing as `kind` (content, format, tags); how many are new.

        What `kind` says is each file's own; of one that is replaced, what it does not say stays.
        `overwrite`: None takes what has the same bytes already as done. Usage `file_exists`, `file_path_invalid`.
        """
        resource = self.resource(place)
        coming = [staged for staged in files if not self._is_same(resource, staged, overwrite)]
        if resource is not None:
            self._judge(resource, coming, overwrite=overwrite)
        if resource is None:
            resource = self.add_resource(place, kind)
        elif coming:  # clients make a resource first, and say of its files what it holds
            resource.content, resource.format = resource.content or kind[0], resource.format or kind[1]
            resource.tags = resource.tags or kind[2]
        new = {staged.name for staged in coming}
        for staged in files:
            words = self._annotations_of(resource.n, staged.name, kind)
            if staged.name not in new:
                self._describe(resource.n, staged.name, words)
                continue
            self._drop(resource.n, staged.name)
            self.added[resource.n, staged.name] = (stage, replace(staged, words=words))
            self._note_folders(resource.n, staged.name)
            self.changed = True
        return len(coming)

    def _annotations_of(self, number: int, name: str, kind: tuple[str, str, str]) -> FileAnnotations:
        """What is said of a file once a request has said `kind` of it."""
        key = (number, name)
        row = self.files.get(key)
        current = NO_ANNOTATIONS
        if key in self.added:
            current = self.added[key][1].words
        elif row is not None:
            current = self.described.get(row.n, row.words)
        return kind[0] or current[0], kind[1] or current[1], kind[2] or current[2]

    def _describe(self, number: int, name: str, words: FileAnnotations) -> None:
        """Say something of a file whose bytes stay."""
        key = (number, name)
        if key in self.added:
            stage, fresh = self.added[key]
            self.added[key] = (stage, replace(fresh, words=words))
        elif words != self.described.get(self.files[key].n, self.files[key].words):
            self.described[self.files[key].n] = words
            self.changed = True

    def add_resource(self, place: ResourcePath, kind: tuple[str, str, str]) -> ResourceRow:
        """A new empty resource."""
        scan_n = None if place.scan_id is None else self.scan(place.scan_id).n
        row = ResourceRow(
            max((other.n for other in self.resources), default=-1) + 1, scan_n, place.label, *kind[:2], tags=kind[2]
        )
        self.resources.append(row)
        self.changed = True
        return row

    def remove_files(self, place: ResourcePath, name: str, *, folder: bool = False) -> int:
        """Take a file out, or a folder with all that is in it; how many files went. Its resource stays.

        A folder is meant where no file has that name, or (`folder`) where it has files. Usage `file_unknown`.
        """
        resource = self.resource(place)
        keys = [] if resource is None else self._named(resource.n, name, folder=folder)
        if not keys:
            raise FileUnknown(f"There is no file {name[:200]!r} there.", "Its files are listed at .../files.")
        for key in keys:
            self._drop(*key)
        self.changed = True
        return len(keys)

    def _named(self, number: int, name: str, *, folder: bool) -> list[tuple[int, str]]:
        """The file of a name in a resource, or the files of the folder that it names."""
        exact_key = (number, name)
        start = f"{name.strip('/')}/"
        is_file = exact_key in self.files or exact_key in self.added
        if is_file and not folder:
            return [exact_key]
        within = [key for key in (*self.files, *self.added) if key[0] == number and key[1].startswith(start)]
        return within or ([exact_key] if is_file else [])

    def remove_resource(self, place: ResourcePath) -> None:
        """Take a resource out with its files. Usage `resource_unknown`."""
        resource = self.resource(place)
        if resource is None:
            raise ResourceUnknown(
                f"There is no resource {place.label[:128]!r}.",
                "Those that are there are listed at .../resources.",
            )
        self._remove([resource])

    def remove_scan(self, scan_id: str) -> None:
        """Take a scan out with all that is in it. Usage `scan_unknown`."""
        scan = self.scan(scan_id)
        self._remove([row for row in self.resources if row.scan_n == scan.n])
        self.scans.remove(scan)

    def _remove(self, resources: Collection[ResourceRow]) -> None:
        numbers = {row.n for row in resources}
        for number, name in [key for key in (*self.files, *self.added) if key[0] in numbers]:
            self._drop(number, name)
        self.resources = [row for row in self.resources if row.n not in numbers]
        self.changed = True

    def _drop(self, number: int, name: str) -> bool:
        row = self.files.pop((number, name), None)
        if row is not None:
            self.dropped.add(row.n)
            self.described.pop(row.n, None)
        fresh = self.added.pop((number, name), None)
        self._folders.pop(number, None)
        return row is not None or fresh is not None

    # -- judging -------------------------------------------------------------------------------------------------

    def _is_same(self, resource: ResourceRow | None, staged: StagedFile, overwrite: bool | None) -> bool:
        if resource is None or overwrite is not None:
            return False
        existing = self.files.get((resource.n, staged.name))
        if existing is not None:
            return existing.sha256 == staged.sha256
        fresh = self.added.get((resource.n, staged.name))
        return fresh is not None and fresh[1].sha256 == staged.sha256

    def _judge(self, resource: ResourceRow, files: Sequence[StagedFile], *, overwrite: bool | None) -> None:
        for staged in files:
            key = (resource.n, staged.name)
            if not overwrite and (key in self.files or key in self.added):
                raise file_exists(staged.name)
            above = _parent_folders(staged.name)
            clashes = [name for name in above if (resource.n, name) in self.files or (resource.n, name) in self.added]
            if clashes or staged.name in self._folders_of(resource.n):
                raise FilePathInvalid(f"{staged.name[:200]!r} is a file's name and a folder's.", "Name it otherwise.")

    def _folders_of(self, number: int) -> set[str]:
        folders = self._folders.get(number)
        if folders is None:
            folders = self._folders[number] = set()
            for resource_n, name in (*self.files, *self.added):
                if resource_n == number:
                    folders.update(_parent_folders(name))
        return folders

    def _note_folders(self, number: int, name: str) -> None:
        if number in self._folders:
            self._folders[number].update(_parent_folders(name))

    # -- the outcome ---------------------------------------------------------------------------------------------

    def plan(self) -> TreePlan:
        """The whole of it; a scan or a resource may be empty, and stays."""
        set_sums(self.scans, self.resources, self._sums())
        source = self.source
        base = BaseTree(
            name=tree_path(source.parts), tree_id=source.tree_id, last=self.last, files=self._unchanged_paths
        )
        return TreePlan(
            root=CHANGED_TREE,
            scans=self.scans,
            resources=self.resources,
            base=base,
            drop=self.dropped,
            add=self._rows,
            md5s={n: staged.md5 for n, (_, staged) in enumerate(self.added.values(), self.last + 1)},
            staged=self._staged_parts,
            words=self.described,
        )

    def _sums(self) -> dict[int, ResourceSums]:
        sums: dict[int, ResourceSums] = {}
        for number, row in self._all_files():
            files, size, frames = sums.get(number, (0, 0, 0))
            sums[number] = ResourceSums(files + 1, size + row.size, frames + row.frames)
        return sums

    def _all_files(self) -> Iterator[tuple[int, ExistingFile | StagedFile]]:
        """The number of its resource, and what is known of it."""
        for (number, _), row in self.files.items():
            yield number, row
        for (number, _), (_, staged) in self.added.items():
            yield number, staged

    def _folders_by_number(self) -> dict[int, RelPath]:
        return {row.n: self.folder(row) for row in self.resources}

    def _unchanged_paths(self) -> Iterator[tuple[int, RelPath]]:
        folders = self._folders_by_number()
        return ((row.n, path_below(folders[number], name)) for (number, name), row in self.files.items())

    def _staged_parts(self) -> Iterator[StagedPart]:
        folders = self._folders_by_number()
        return (
            StagedPart(staged.rel, path_below(folders[number], name), stage)
            for (number, name), (stage, staged) in self.added.items()
        )

    def _rows(self) -> Iterator[FileRow]:
        for n, ((number, name), (_, staged)) in enumerate(self.added.items(), self.last + 1):
            facts = (staged.size, staged.sha256, staged.sop_uid, staged.frames, staged.dataset_at)
            yield FileRow(n, number, name, *facts, *staged.words)


def file_exists(name: str) -> Usage:
    """Why a file is not replaced unasked."""
    return FileExists(name[:200])


def _parent_folders(name: str) -> list[str]:
    """The folders of a path: `a/b/c` lies in `a` and `a/b`."""
    pieces = name.split("/")[:-1]
    return ["/".join(pieces[: n + 1]) for n in range(len(pieces))]

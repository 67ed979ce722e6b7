"""Step 5, second half: a job's next tree is planned, and every entry of it learns where it will stand.

A new scan is one rename of the folder that the readers filled; what joins a scan that is there already moves file by
file; what stays of a session that is joined is hard-linked. All of it is decided in the ledger; `publishing.tree_plan`
makes it true.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from scandock.catalog.file_rows import FileRow
from scandock.catalog.trees import ResourceRow, ScanRow
from scandock.model.verdicts import Verdict
from scandock.pipeline.duplicates import discard_staged
from scandock.pipeline.healing import Healer
from scandock.pipeline.job import Job
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.scans import assign_scans
from scandock.publishing.tree_plan import BaseTree, ResourceSums, TreePlan
from scandock.rules.filenames import UsedNames, make_unique, object_name, resource_path, variant_name
from scandock.rules.layout import parse_layout
from scandock.store.handles import StagedPart
from scandock.store.paths import RelPath, folder_of, image_folder, path_below, relative_to, resource_folder, uid_key
from scandock.store.port import Stage

_STORED = (
    "verdict = CASE WHEN verdict = '' THEN 'stored' ELSE verdict END,"
    " code = CASE WHEN code = '' THEN 'stored' ELSE code END"
)

_IN_NEW_TREE = "verdict IN ('stored', 'conflict', 'resource')"


_KINDS: Final = "DS"
"""Of folders in which images wait (`image_folder`)."""
_KIND_SUMS: Final = ", ".join(
    f"SUM(kind = '{kind}' AND {what})"
    for kind in _KINDS
    for what in ("verdict IN ('', 'conflict')", "verdict NOT IN ('', 'conflict')", "INSTR(staged, '~') > 0")
)
"""Of each kind how many images are new, how many others there are, and of how many the readers found names taken."""


class _SeriesFolder(NamedTuple):
    """A folder of the stage in which a series has new images."""

    kind: str
    path: RelPath
    has_others: bool
    """Whether some of its files are not new: they are of a refused inner archive."""
    has_alternates: bool
    """Whether some have names beside their own, which the readers found taken."""


class TreeArranger:
    """Plans the tree of one job: `begin`, then `place_images`, then what the other files want, then `plan`."""

    def __init__(self, ledger: Ledger, stage: Stage, job: Job, *, keep_names: bool = False) -> None:
        """`keep_names`: objects keep the archive's own base names where these are free (rules.md, "Which file")."""
        self.job = job
        self.keep_names = keep_names
        self.ledger = ledger
        self.stage = stage
        self.resources: dict[tuple[int | None, str], ResourceRow] = {}
        self.names: dict[int, UsedNames] = {}
        self.dropped: set[int] = set()
        self.healer = Healer(ledger, job.n)
        self.started = False
        """Whether there is to be a new tree."""
        self._filled: set[int] = set()
        """Resources in whose folders files stand: some that stay of the joined session, or some that have come."""
        self._based: frozenset[int] = frozenset()
        """Of these those in which some stay."""
        self._moves = 0

    # -- what is there already -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take over what the joined session holds, and give every new series its id."""
        job = self.job
        job.scans = list(job.base_scans)
        job.resources = list(job.base_resources)
        self.resources = {(r.scan_n, r.label.casefold()): r for r in job.resources}
        self.dropped = {n for _, n in job.replaced}
        self._based = frozenset(self._sums_of_base())
        self._filled = set(self._based)
        self._drop_duplicates()
        assign_scans(self.ledger, self.job)

    def _drop_duplicates(self) -> None:
        job, ledger = self.job, self.ledger
        by_n = {scan.n: scan.series_uid for scan in job.base_scans}
        series = {r.n: by_n[r.scan_n] for r in job.base_resources if r.scan_n is not None}
        for number, n in job.duplicates:
            path, stored, stored_origin, resource_n = ledger.rows(
                "SELECT path, sha256, origin, resource_n FROM base WHERE job = ? AND n = ?", (job.n, n)
            )[0]
            staged, sha256, origin = ledger.rows(
                "SELECT staged, sha256, origin FROM entry WHERE ordinal = ?", (number,)
            )[0]
            if self.heal(number, n, path, staged, sha256, Verdict.STORED):
                continue
            discard_staged(self.stage, number, staged)
            same_origin = origin is not None and origin == stored_origin and sha256 != stored
            ledger.run(
                "UPDATE entry SET verdict = ?, code = ?, message = '', staged = '', target = ? WHERE ordinal = ?",
                (Verdict.DUPLICATE, "same_origin" if same_origin else "already_there", path, number),
            )
            if same_origin:  # from here on it is what is stored
                ledger.run(
                    "UPDATE entry SET own_size = COALESCE(own_size, size), own_sha256 = COALESCE(own_sha256, sha256),"
                    " own_series = COALESCE(own_series, series), sha256 = ?, series = COALESCE(?, series)"
                    " WHERE ordinal = ?",
                    (stored, series.get(resource_n), number),
                )

    def heal(self, number: bytes, n: int, path: RelPath, staged: RelPath, sha256: bytes, verdict: Verdict) -> bool:
        """Let an entry take the place of the base file that it repeats, where that is broken."""
        if not staged or not self.healer.heals(n, sha256):
            return False
        self.start()
        self.move(staged, path)
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = ?, code = 'healed', staged = '', target = ? WHERE ordinal = ?",
            (self.job.n, verdict, path, number),
        )
        return True

    def has_new_images(self) -> bool:
        """Whether any image is new to the session."""
        rows = self.ledger.rows(
            "SELECT 1 FROM entry WHERE job = ? AND content IN ('dicom', 'ecat') AND verdict IN ('', 'conflict')"
            " LIMIT 1",
            (self.job.n,),
        )
        return bool(rows)

    def resource(self, scan: ScanRow | None, label: str, content: str, file_format: str) -> ResourceRow:
        key = (scan.n if scan else None, label.casefold())
        row = self.resources.get(key)
        if row is None:
            n = max((r.n for r in self.job.resources), default=-1) + 1
            row = self.resources[key] = ResourceRow(n, key[0], label, content, file_format)
            self.job.resources.append(row)
        return row

    def folder(self, resource: ResourceRow) -> RelPath:
        """The resource's folder within the tree."""
        if resource.scan_n is None:
            return resource_folder(None, resource.label)
        scan = next(s for s in self.job.scans if s.n == resource.scan_n)
        return resource_folder(scan.scan_id, resource.label)

    # -- images --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Note that there is to be a new tree."""
        self.started = True

    def move(self, source: RelPath, target: RelPath) -> None:
        """Note that a staged file, or folder, gets its place in the tree."""
        self._moves += 1
        self.ledger.run("INSERT INTO move VALUES (?, ?, ?, ?)", (self.job.n, self._moves, source, target))

    def place_images(self) -> None:
        """Give every new image its place in the tree."""
        job = self.job
        if self.has_new_images():
            self.start()
        for uid in [tally.series_uid for tally in job.tallies if tally.series_uid in job.scan_of]:
            for folder in self._list_folders(uid):
                self._place_series(uid, folder)
        for entry in job.ecat:
            if entry.sha256.hex() in job.scan_of:
                self._place_ecat(entry.ordinal, entry.path, job.scan_of[entry.sha256.hex()])

    def _list_folders(self, uid: str) -> list[_SeriesFolder]:
        """The folders of the stage in which a series has new images."""
        job = self.job
        source = folder_of(image_folder(uid_key(job.study.study_uid or ""), uid_key(uid), "", job.images))
        sums = self.ledger.rows(
            f"SELECT {_KIND_SUMS} FROM (SELECT SUBSTR(staged, ?, 1) AS kind, staged, verdict FROM entry"
            " WHERE study = ? AND series = ? AND content = 'dicom' AND staged > ? AND staged < ?)",
            (len(source) + 2, job.study.study_uid, uid, *_range_below(source)),
        )[0]
        each = len(sums) // len(_KINDS)
        folders = []
        for place, kind in enumerate(_KINDS):
            new, others, alternates = sums[place * each : (place + 1) * each]
            if new:
                path = path_below(source, kind)
                folders.append(_SeriesFolder(kind, path, has_others=others > 0, has_alternates=alternates > 0))
        return folders

    def _place_series(self, uid: str, series_folder: _SeriesFolder) -> None:
        job, ledger, source = self.job, self.ledger, series_folder.path
        chosen = (job.study.study_uid, uid, *_range_below(source))
        where = (
            "study = ? AND series = ? AND content = 'dicom' AND verdict IN ('', 'conflict')"
            " AND staged > ? AND staged < ?"
        )
        separate = job.policy is None or job.policy.separate_secondary
        primary = series_folder.kind == "D" or not separate
        resource = self.resource(
            job.scan_of[uid], "DICOM" if primary else "secondary", "RAW" if primary else "secondary", "DICOM"
        )
        if self.keep_names:
            self._place_by_name(resource, where, chosen)
            return
        folder = self.folder(resource)
        whole = resource.n not in self._filled and not series_folder.has_others
        unnamed = []
        if not whole or series_folder.has_alternates:
            odd = " AND INSTR(staged, '~') > 0" if whole else ""
            unnamed = ledger.rows(
                f"SELECT ordinal, staged, sop, sha256 FROM entry WHERE {where}{odd} ORDER BY ordinal", chosen
            )
        if whole:
            self.move(source, folder)
            self._filled.add(resource.n)
            ledger.run(
                f"UPDATE entry SET {_STORED}, resource_n = ?, name = SUBSTR(staged, ?), target = ? || SUBSTR(staged, ?)"
                f" WHERE {where}",
                (resource.n, len(source) + 2, f"{folder}/", len(source) + 2, *chosen),
            )
            placed = path_below(job.tree, folder)
            unnamed = [
                (number, path_below(placed, relative_to(source, staged)), sop, sha)
                for number, staged, sop, sha in unnamed
            ]
        self._place_one_by_one(resource, uid, unnamed)

    def _place_one_by_one(self, resource: ResourceRow, uid: str, odd: list[tuple[bytes, RelPath, str, bytes]]) -> None:
        """Name objects one by one: the folder is not theirs alone, or the readers found their names taken."""
        if not odd:
            return
        folder = self.folder(resource)
        names = {
            name
            for (name,) in self.ledger.stream(
                "SELECT name FROM entry WHERE study = ? AND series = ? AND resource_n = ?",
                (self.job.study.study_uid, uid, resource.n),
            )
        }
        odd.reverse()
        while odd:  # there may be as many as the session has objects: each is given up for its name
            number, staged, sop, sha256 = odd.pop()
            name = object_name(sop, sha256)
            if name in names or self._stays(resource, path_below(folder, name)):
                name = variant_name(sop, sha256)
            names.add(name)
            self.move(staged, path_below(folder, name))
            self._record_place(number, resource, name)

    def _stays(self, resource: ResourceRow, path: RelPath) -> bool:
        """Whether a path is that of a file which stays of the joined session, be it gone from the store."""
        return resource.n in self._based and any(
            n not in self.dropped
            for (n,) in self.ledger.rows(
                "SELECT n FROM base INDEXED BY base_path WHERE job = ? AND path = ?", (self.job.n, path)
            )
        )

    def _place_by_name(self, resource: ResourceRow, where: str, chosen: tuple[object, ...]) -> None:
        """Place the objects of a series one by one, under the names that they have in the archive."""
        for number, staged, path in self.ledger.rows(
            f"SELECT ordinal, staged, path FROM entry WHERE {where} ORDER BY ordinal", chosen
        ):
            name = make_unique(self.taken(resource), self._archive_path(number, path))
            self.move(staged, path_below(self.folder(resource), name))
            self._record_place(number, resource, name)

    def _archive_path(self, number: bytes, path: str) -> str:
        """The name under which an entry is stored that keeps its own."""
        return resource_path(*self.ledger.names.file_path(number, (), _archive_name(path)))

    def _place_ecat(self, number: bytes, path: str, scan: ScanRow) -> None:
        resource = self.resource(scan, "ECAT", "RAW", "ECAT")
        (staged,) = self.ledger.rows("SELECT staged FROM entry WHERE ordinal = ?", (number,))[0]
        name = make_unique(self.taken(resource), self._archive_path(number, path))
        self.move(staged, path_below(self.folder(resource), name))
        self._record_place(number, resource, name)

    def _record_place(self, number: bytes, resource: ResourceRow, name: str) -> None:
        self._filled.add(resource.n)
        self.ledger.run(
            f"UPDATE entry SET {_STORED}, resource_n = ?, name = ?, target = ? WHERE ordinal = ?",
            (resource.n, name, path_below(self.folder(resource), name), number),
        )

    def taken(self, resource: ResourceRow) -> UsedNames:
        names = self.names.get(resource.n)
        if names is None:
            names = self.names[resource.n] = UsedNames()
            start = len(self.folder(resource)) + 1
            for n, path in self.ledger.stream(
                "SELECT n, path FROM base WHERE job = ? AND resource_n = ?", (self.job.n, resource.n)
            ):
                if n not in self.dropped:
                    names.add(path[start:])
        return names

    # -- the outcome ---------------------------------------------------------------------------------------------

    def plan(self) -> TreePlan:
        """The tree as it was decided; the sums of its scans and resources are set."""
        job, healer = self.job, self.healer
        base = None
        if job.base is not None:
            base = BaseTree(name=job.name, tree_id=job.base.tree_id, last=job.last_file, files=self._base_files)
        return TreePlan(
            root=job.tree,
            scans=job.scans,
            resources=job.resources,
            base=base,
            drop=self.dropped,
            add=self._rows,
            staged=self._staged_parts,
            unlinked=healer.gone.union(healer.mended),
            mended=healer.mended,
            unverified=[*healer.mended, *healer.broken()],
        )

    def sums(self) -> dict[int, ResourceSums]:
        """What the new tree has in each resource in which there is a file."""
        sums = self._sums_of_base()
        for n, files, size, frames in self.ledger.rows(
            "SELECT resource_n, COUNT(*), SUM(size), SUM(frames) FROM entry WHERE job = ? AND resource_n IS NOT NULL"
            f" AND {_IN_NEW_TREE} GROUP BY resource_n",
            (self.job.n,),
        ):
            before = sums.get(n, ResourceSums(0, 0, 0))
            sums[n] = ResourceSums(before.files + files, before.bytes + size, before.frames + frames)
        return sums

    def _sums_of_base(self) -> dict[int, ResourceSums]:
        """What stays of the joined session in each resource in which a file stays."""
        sums = {
            n: ResourceSums(*figures)
            for n, *figures in self.ledger.rows(
                "SELECT resource_n, COUNT(*), SUM(bytes), SUM(frames) FROM base WHERE job = ? GROUP BY resource_n",
                (self.job.n,),
            )
        }
        for n in self.dropped:
            resource_n, size, frames = self.ledger.rows(
                "SELECT resource_n, bytes, frames FROM base WHERE job = ? AND n = ?", (self.job.n, n)
            )[0]
            before = sums[resource_n]
            sums[resource_n] = ResourceSums(before.files - 1, before.bytes - size, before.frames - frames)
        return {n: figures for n, figures in sums.items() if figures.files}

    def _base_files(self) -> Iterator[tuple[int, RelPath]]:
        return self.ledger.stream("SELECT n, path FROM base WHERE job = ? ORDER BY n", (self.job.n,))

    def _staged_parts(self) -> Iterator[StagedPart]:
        moves = self.ledger.stream("SELECT source, target FROM move WHERE job = ? ORDER BY n", (self.job.n,))
        return (StagedPart(source, target) for source, target in moves)

    def _rows(self) -> Iterator[FileRow]:
        """The new files of the tree, numbered behind those of the joined session."""
        job = self.job
        entries = self.ledger.stream(
            "SELECT ordinal, own_sop, resource_n, name, size, sha256, NULLIF(sop, ''), frames, dataset_at,"
            " NULL, NULL, NULL, origin, rules, sop_key FROM entry"
            f" WHERE job = ? AND resource_n IS NOT NULL AND {_IN_NEW_TREE} ORDER BY ordinal",
            (job.n,),
        )
        for n, (number, own_sop, *values) in enumerate(entries, job.last_file + 1):
            row = FileRow._make((n, *values))
            if number in job.words:
                content, file_format, tags = job.words[number]
                row = row._replace(content=content, format=file_format, tags=tags)
            if job.privacy is not None:
                row = row._replace(sop_key=job.privacy.stored_sop_key(row.sop_uid or "", own_sop, row.sop_key))
            yield row


def _range_below(folder: RelPath) -> tuple[str, str]:
    """Between which two texts all paths below a folder are."""
    return f"{folder}/", f"{folder}0"


def _archive_name(path: str) -> str:
    """The base name of an entry; of one that was packed by itself, as it is unpacked."""
    base = parse_layout(path.rpartition("!")[2]).base
    for suffix in (".gz", ".bz2", ".xz", ".zst"):
        base = base.removesuffix(suffix)
    return base

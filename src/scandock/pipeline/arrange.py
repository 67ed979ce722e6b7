"""Step 5, second half: a job's tree is put together in the stage, and every entry of it learns where it stands.

A new scan is one rename of the folder that the readers filled; what joins a scan that is there already moves file by
file; what stays of a session that is joined is hard-linked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scandock.catalog.trees import FileRow, ResourceRow, ScanRow
from scandock.model.series import EcatFacts, SeriesTally
from scandock.model.verdicts import Verdict
from scandock.pipeline.job import Job, Tools
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.read import staged_key
from scandock.rules.filenames import TakenNames, object_name, resource_path, unique, variant_name
from scandock.rules.labels import clean
from scandock.rules.layout import place_of
from scandock.rules.loose import FolderIndex, levels_of
from scandock.rules.scan_ids import EcatScan, allot, allot_ecat, new_series
from scandock.rules.session_types import ECAT_SCAN

LOOSE = "MISC"
"""The session resource that keeps files without a resource folder."""


_STANDS = "verdict = CASE WHEN verdict = '' THEN 'stored' ELSE verdict END, code = CASE WHEN code = '' THEN 'stored' ELSE code END"


class Arranger:
    """Arranges one job; `place_images` first, then `place_others`, then `rows`."""

    def __init__(self, tools: Tools, job: Job) -> None:
        self.tools = tools
        self.job = job
        self.ledger = tools.ledger
        self.stage = tools.stage
        self.resources: dict[tuple[int | None, str], ResourceRow] = {}
        self.names: dict[int, TakenNames] = {}
        self.dropped: set[int] = set()
        self.started = False
        """Whether a new tree is being made."""

    # -- what is there already -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take over what the joined session holds, and give every new series its id."""
        job = self.job
        job.scans = list(job.base_scans)
        job.resources = list(job.base_resources)
        self.resources = {(r.scan_n, r.label.casefold()): r for r in job.resources}
        self.dropped = {n for _, n in job.replaced}
        self._settle_repeats()
        self._allot_ids()

    def _settle_repeats(self) -> None:
        job, ledger = self.job, self.ledger
        for number, n in job.duplicates:
            (path,) = ledger.rows("SELECT path FROM base WHERE job = ? AND n = ?", (job.n, n))[0]
            (staged,) = ledger.rows("SELECT staged FROM entry WHERE ordinal = ?", (number,))[0]
            if staged:
                self.stage.remove(staged)
            ledger.run(
                "UPDATE entry SET verdict = ?, code = 'already_there', staged = '', target = ? WHERE ordinal = ?",
                (Verdict.DUPLICATE, path, number),
            )

    def has_news(self) -> bool:
        """Whether any image is new to the session."""
        rows = self.ledger.rows(
            "SELECT 1 FROM entry WHERE job = ? AND content IN ('dicom', 'ecat') AND verdict IN ('', 'conflict') LIMIT 1",
            (self.job.n,),
        )
        return bool(rows)

    def _allot_ids(self) -> None:
        job = self.job
        existing = {scan.series_uid: scan.scan_id for scan in job.scans if scan.series_uid}
        ecat_ids = {scan.scan_id for scan in job.scans if scan.series_uid is None}
        live = {
            uid
            for (uid,) in self.ledger.rows(
                "SELECT DISTINCT series FROM entry WHERE job = ? AND content = 'dicom' AND verdict IN ('', 'conflict')",
                (job.n,),
            )
        }
        tallies = {tally.series_uid: tally for tally in job.tallies if tally.series_uid in live}
        ids = allot([new_series(tally) for tally in tallies.values()], existing, ecat_ids)
        by_series = {scan.series_uid: scan for scan in job.scans if scan.series_uid}
        for uid, tally in sorted(tallies.items()):
            scan = by_series.get(uid)
            if scan is None:
                scan = ScanRow(self._next_scan(), ids[uid], uid, facts=tally)
                job.scans.append(scan)
            elif isinstance(scan.facts, SeriesTally):
                scan.facts.merge(tally)
            job.scan_of[uid] = scan
        self._allot_ecat()

    def _allot_ecat(self) -> None:
        job = self.job
        fresh = {
            sha.hex()
            for (sha,) in self.ledger.rows(
                "SELECT sha256 FROM entry WHERE job = ? AND content = 'ecat' AND verdict = ''", (job.n,)
            )
        }
        files = {entry.sha256.hex(): entry for entry in job.ecat if entry.sha256.hex() in fresh}
        if not files:
            return
        by_n = {scan.n: scan for scan in job.scans}
        existing = {}
        for sha, resource_n in self.ledger.rows("SELECT sha256, resource_n FROM base WHERE job = ?", (job.n,)):
            resource = next(r for r in job.base_resources if r.n == resource_n)
            if resource.label == "ECAT" and resource.scan_n is not None:
                existing[sha.hex()] = by_n[resource.scan_n].scan_id
        scans = [
            EcatScan(sha256=sha, scan_folder=e.scan_folder, start=e.facts.scan_start_time, path=e.path)
            for sha, e in files.items()
        ]
        taken = [scan.scan_id for scan in job.scans if scan.series_uid is not None]
        by_id = {scan.scan_id: scan for scan in job.scans if scan.series_uid is None}
        for sha, scan_id in allot_ecat(scans, existing, taken).items():
            scan = by_id.get(scan_id)
            if scan is None:
                scan = by_id[scan_id] = ScanRow(self._next_scan(), scan_id, None, xsi_type=ECAT_SCAN, facts=[])
                job.scans.append(scan)
            facts: Any = scan.facts
            if isinstance(facts, list):
                facts.append(files[sha].facts)
            job.scan_of[sha] = scan

    def _next_scan(self) -> int:
        return max((scan.n for scan in self.job.scans), default=-1) + 1

    def _resource(self, scan: ScanRow | None, label: str, content: str, file_format: str) -> ResourceRow:
        key = (scan.n if scan else None, label.casefold())
        found = self.resources.get(key)
        if found is None:
            n = max((r.n for r in self.job.resources), default=-1) + 1
            found = self.resources[key] = ResourceRow(n, key[0], label, content, file_format)
            self.job.resources.append(found)
        return found

    def _folder(self, resource: ResourceRow) -> str:
        """The resource's folder within the tree."""
        if resource.scan_n is None:
            return f"resources/{resource.label}/files"
        scan = next(s for s in self.job.scans if s.n == resource.scan_n)
        return f"scans/{scan.scan_id}/resources/{resource.label}/files"

    # -- images --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Begin the new tree: what stays of the joined session is hard-linked into it."""
        job = self.job
        if self.started:
            return
        self.started = True
        if job.base is None:
            return
        pairs = (
            (path, f"{job.tree}/{path}")
            for n, path in self.ledger.stream("SELECT n, path FROM base WHERE job = ? ORDER BY n", (job.n,))
            if n not in self.dropped
        )
        self.stage.adopt(job.name, pairs)

    def place_images(self) -> None:
        """Move every new image to its place in the tree."""
        job = self.job
        if self.has_news():
            self._start()
        for uid in [tally.series_uid for tally in job.tallies if tally.series_uid in job.scan_of]:
            for kind in ("D", "S"):
                self._place_series(uid, kind)
        for entry in job.ecat:
            if entry.sha256.hex() in job.scan_of:
                self._place_ecat(entry.ordinal, entry.path, job.scan_of[entry.sha256.hex()])

    def _place_series(self, uid: str, kind: str) -> None:
        job, ledger, stage = self.job, self.ledger, self.stage
        source = f"in/{staged_key(job.study.study_uid or '')}/{staged_key(uid)}/{kind}"
        chosen = (job.study.study_uid, uid, f"{source}/%")
        where = "study = ? AND series = ? AND content = 'dicom' AND verdict IN ('', 'conflict') AND staged LIKE ?"
        if not ledger.rows(f"SELECT 1 FROM entry WHERE {where} LIMIT 1", chosen):
            return
        separate = job.policy is None or job.policy.separate_secondary
        primary = kind == "D" or not separate
        resource = self._resource(
            job.scan_of[uid], "DICOM" if primary else "secondary", "RAW" if primary else "secondary", "DICOM"
        )
        folder = self._folder(resource)
        whole = not stage.exists(f"{job.tree}/{folder}")
        odd = ledger.rows(
            f"SELECT ordinal, staged, sop, sha256 FROM entry WHERE {where}"
            + (" AND staged LIKE '%~%'" if whole else "")
            + " ORDER BY ordinal",
            chosen,
        )
        if whole:
            stage.move(source, f"{job.tree}/{folder}")
            ledger.run(
                f"UPDATE entry SET {_STANDS}, resource_n = ?, name = SUBSTR(staged, ?), target = ? || SUBSTR(staged, ?)"
                f" WHERE {where}",
                (resource.n, len(source) + 2, f"{folder}/", len(source) + 2, *chosen),
            )
            odd = [
                (number, f"{job.tree}/{folder}{staged[len(source) :]}", sop, sha) for number, staged, sop, sha in odd
            ]
        for number, staged, sop, sha256 in odd:
            name = object_name(sop, sha256)
            if stage.exists(f"{job.tree}/{folder}/{name}"):
                name = variant_name(sop, sha256)
            stage.move(staged, f"{job.tree}/{folder}/{name}")
            self._stands(number, resource, name)

    def _place_ecat(self, number: bytes, path: str, scan: ScanRow) -> None:
        resource = self._resource(scan, "ECAT", "RAW", "ECAT")
        (staged,) = self.ledger.rows("SELECT staged FROM entry WHERE ordinal = ?", (number,))[0]
        base = place_of(path.rpartition("!")[2]).base
        for suffix in (".gz", ".bz2", ".xz", ".zst"):
            base = base.removesuffix(suffix)
        name = unique(self._taken(resource), resource_path((), base))
        self.stage.move(staged, f"{self.job.tree}/{self._folder(resource)}/{name}")
        self._stands(number, resource, name)

    def _stands(self, number: bytes, resource: ResourceRow, name: str) -> None:
        self.ledger.run(
            f"UPDATE entry SET {_STANDS}, resource_n = ?, name = ?, target = ? WHERE ordinal = ?",
            (resource.n, name, f"{self._folder(resource)}/{name}", number),
        )

    def _taken(self, resource: ResourceRow) -> TakenNames:
        names = self.names.get(resource.n)
        if names is None:
            names = self.names[resource.n] = TakenNames()
            start = len(self._folder(resource)) + 1
            for n, path in self.ledger.stream(
                "SELECT n, path FROM base WHERE job = ? AND resource_n = ?", (self.job.n, resource.n)
            ):
                if n not in self.dropped:
                    names.add(path[start:])
        return names

    # -- files that are no images --------------------------------------------------------------------------------

    def place_other(self, number: bytes, path: str, staged: str, sha256: bytes, series: str | None) -> None:
        """Keep one loose or resource file; `series` names the scan that it belongs to."""
        spot = levels_of(path, len(number) // 4 - 1)
        place = place_of(spot.path, spot.outer)
        scan = self.job.scan_of.get(series) if series else None
        if scan is None and series:
            scan = next((s for s in self.job.scans if s.series_uid == series), None)
        label = clean(place.resource) if place.resource else LOOSE
        if label.casefold() in ("dicom", "ecat", "secondary"):
            label = LOOSE
        resource = self._resource(scan, label or LOOSE, label or LOOSE, "")
        wanted = resource_path(place.rest, place.base)
        same = self.ledger.rows(
            "SELECT n, path FROM base WHERE job = ? AND resource_n = ? AND sha256 = ? LIMIT 1",
            (self.job.n, resource.n, sha256),
        )
        if same and same[0][0] not in self.dropped:
            self._repeat(number, staged, "already_there", same[0][1])
            return
        folder = self._folder(resource)
        earlier = self.ledger.rows(
            "SELECT name FROM entry WHERE job = ? AND resource_n = ? AND sha256 = ? AND content = 'loose'"
            " AND verdict = 'resource' AND name = ?",
            (self.job.n, resource.n, sha256, wanted),
        )
        if earlier:
            self._repeat(number, staged, "same_bytes", f"{folder}/{wanted}")
            return
        self._start()
        name = self._replacing(resource, wanted) or unique(self._taken(resource), wanted)
        self.stage.move(staged, f"{self.job.tree}/{folder}/{name}")
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'resource', code = CASE WHEN code = '' THEN 'resource' ELSE code END,"
            " resource_n = ?, name = ?, target = ? WHERE ordinal = ?",
            (self.job.n, resource.n, name, f"{folder}/{name}", number),
        )

    def _replacing(self, resource: ResourceRow, wanted: str) -> str:
        """With `delete` a file of the same name gives way; gives the name that became free."""
        if self.job.settled.overwrite != "delete":
            return ""
        path = f"{self._folder(resource)}/{wanted}"
        for (n,) in self.ledger.rows("SELECT n FROM base WHERE job = ? AND path = ?", (self.job.n, path)):
            if n not in self.dropped:
                self.dropped.add(n)
                self.stage.remove(f"{self.job.tree}/{path}")
                return wanted
        return ""

    def _repeat(self, number: bytes, staged: str, code: str, target: str) -> None:
        if staged:
            self.stage.remove(staged)
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'duplicate', code = ?, staged = '', target = ? WHERE ordinal = ?",
            (self.job.n, code, target, number),
        )

    # -- the outcome ---------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[FileRow]:
        """The new files of the tree, numbered behind those of the joined session."""
        n = self.job.last_file
        for resource_n, name, size, sha256, sop, frames, dataset_at in self.ledger.stream(
            "SELECT resource_n, name, size, sha256, sop, frames, dataset_at FROM entry"
            " WHERE job = ? AND resource_n IS NOT NULL AND verdict IN ('stored', 'conflict', 'resource')"
            " ORDER BY ordinal",
            (self.job.n,),
        ):
            n += 1
            yield FileRow(n, resource_n, name, size, sha256, sop or None, frames, dataset_at)


def place_others(tools: Tools, arrangers: dict[int, Arranger], index: FolderIndex) -> None:
    """Give every file that is no image its session, or ignore it (rules.md, "Which entries are images" 2)."""
    ignored: list[tuple[str, str, bytes]] = []
    for number, path, staged, sha256 in _pages(tools.ledger):
        if tools.resources == "ignore":
            ignored.append(("ignored_resources_off", "", number))
            continue
        home = index.home_of(levels_of(path, len(number) // 4 - 1))
        if home.study is None:
            ignored.append(("ignored_no_one_study", f"Not stored: {home.reason}.", number))
            continue
        arrangers[int(home.study)].place_other(number, path, staged, sha256, home.series)
    tools.ledger.many(
        "UPDATE entry SET verdict = 'ignored', code = CASE WHEN code = '' THEN ? ELSE code END,"
        " message = CASE WHEN message = '' THEN ? ELSE message END WHERE ordinal = ?",
        ignored,
    )


def _pages(ledger: Ledger) -> Iterator[tuple[bytes, str, str, bytes]]:
    """The loose files in archive order, page by page, since they are changed on the way."""
    last = b""
    while page := ledger.rows(
        "SELECT ordinal, path, staged, sha256 FROM entry WHERE content = 'loose' AND verdict = '' AND ordinal > ?"
        " ORDER BY ordinal LIMIT 2000",
        (last,),
    ):
        yield from page
        last = page[-1][0]


def ecat_of(job: Job) -> list[EcatFacts]:
    """The facts of all ECAT files of a job's session, joined ones included."""
    return [facts for scan in job.scans if isinstance(scan.facts, list) for facts in scan.facts]

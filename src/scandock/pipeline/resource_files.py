"""Step 5: files that are no images find their session, by the folders that they share with images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from scandock.catalog.trees import ResourceRow, ScanRow
from scandock.model.entry import Content
from scandock.model.verdicts import Verdict
from scandock.pipeline.duplicates import discard_staged
from scandock.pipeline.filtered_studies import REJECTED
from scandock.pipeline.ledger import NO_OBJECT, Ledger
from scandock.pipeline.scans import ecat_scan_ids
from scandock.pipeline.tree_arranger import TreeArranger
from scandock.rules.filenames import make_unique, resource_path
from scandock.rules.labels import clean_label
from scandock.rules.layout import IMAGE_RESOURCES, parse_layout
from scandock.rules.loose_files import FolderIndex, split_levels
from scandock.store.paths import RelPath, path_below, relative_to

LOOSE = "MISC"
"""The session resource that keeps files without a resource folder."""


USUAL_RESOURCES: Final = frozenset({LOOSE.casefold(), "nifti", "snapshots"})
"""Resource folders that are called so wherever they are, casefolded."""


class ResourceTarget(Protocol):
    """Takes the files that are no images of one session."""

    def keep(self, number: bytes, path: str, staged: RelPath, sha256: bytes, series: str | None) -> None:
        """Keep one; `series` names the scan that it belongs to (a series UID, an ECAT file's sha256), if any."""


def assign_resources(
    ledger: Ledger,
    targets: Mapping[int, ResourceTarget],
    make_indexes: Callable[[], Sequence[FolderIndex]],
    resources: str,
) -> None:
    """Give every file that is no image its session, by job, or ignore it (rules.md, "Which entries are images" 2).

    The first of the indexes that knows of one study says which. They are made where there is such a file.
    """
    ignored: list[tuple[str, str, bytes]] = []
    indexes: Sequence[FolderIndex] = ()
    filtered_series = _filtered_series(ledger) if ledger.has_filters else frozenset()
    for number, path, staged, sha256 in _pages(ledger):
        if resources == "ignore":
            ignored.append(("ignored_resources_off", "", number))
            continue
        indexes = indexes or make_indexes()
        spot = split_levels(path, len(number) // 4)
        matches = [index.find_study(spot) for index in indexes]
        study_match = next((match for match in matches if match.study is not None), matches[-1])
        if study_match.study is None:
            ignored.append(("ignored_no_one_study", f"Not stored: {study_match.reason}.", number))
            continue
        if int(study_match.study) < 0 or study_match.series in filtered_series:
            ignored.append(("ignored_filtered", "", number))
            continue
        target = targets.get(int(study_match.study))
        if target is None:
            ignored.append((_code_without_session(ledger, int(study_match.study)), "", number))
            continue
        target.keep(number, path, staged, sha256, study_match.series)
    ledger.many(
        "UPDATE entry SET verdict = 'ignored', code = CASE WHEN code = '' THEN ? ELSE code END,"
        " message = CASE WHEN message = '' THEN ? ELSE message END WHERE ordinal = ?",
        ignored,
    )


def _filtered_series(ledger: Ledger) -> frozenset[str]:
    """The series of which import filters have left out all."""
    rows = ledger.rows(
        "SELECT DISTINCT series FROM entry WHERE content = ? AND series NOT IN"
        " (SELECT COALESCE(own_series, series) FROM entry WHERE content = ? AND verdict <> ?)",
        (Content.FILTERED, Content.DICOM, Verdict.REFUSED),
    )
    return frozenset(series for (series,) in rows)


def _code_without_session(ledger: Ledger, job: int) -> str:
    """Why a file has no session, though its study is known."""
    codes = ("deid_failed", REJECTED)
    rows = ledger.rows("SELECT MIN(code) FROM entry WHERE job = ? AND code IN (?, ?)", (job, *codes))
    return {"deid_failed": "ignored_session_refused", REJECTED: "ignored_rejected"}.get(rows[0][0], "left_out")


def _pages(ledger: Ledger) -> Iterator[tuple[bytes, str, RelPath, bytes]]:
    """The loose files in archive order, page by page, since they are changed on the way."""
    last = b""
    while page := ledger.rows(
        "SELECT ordinal, path, staged, sha256 FROM entry"
        f" WHERE content = 'loose' AND {NO_OBJECT} AND verdict = '' AND ordinal > ? ORDER BY ordinal LIMIT 2000",
        (last,),
    ):
        yield from page
        last = page[-1][0]


class ResourceWriter:
    """Keeps files of one job as resources of its tree."""

    def __init__(self, arranger: TreeArranger) -> None:
        self.arranger = arranger
        self.job = arranger.job
        self.ledger = arranger.ledger
        self.stage = arranger.stage
        self._ecat: dict[str, str] | None = None

    def keep(self, number: bytes, path: str, staged: RelPath, sha256: bytes, series: str | None) -> None:
        """Keep one loose or resource file under its cleaned relative path."""
        if not self.job.keeps_resources:
            self.ledger.run(
                "UPDATE entry SET job = ?, verdict = 'ignored', code = 'deid_resource', message = '' WHERE ordinal = ?",
                (self.job.n, number),
            )
            return
        spot = split_levels(path, len(number) // 4)
        place = parse_layout(spot.path, spot.outer)
        resource = self._resource(place.resource, series)
        path_in_resource = resource_path(*self.ledger.names.file_path(number, place.rest, place.base))
        if self._is_repeat(number, staged, sha256, resource, path_in_resource):
            return
        self.arranger.start()
        name = self._replacing(resource, path_in_resource) or make_unique(
            self.arranger.taken(resource), path_in_resource
        )
        target = path_below(self.arranger.folder(resource), name)
        self.arranger.move(staged, target)
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'resource', code = CASE WHEN code = '' THEN 'resource' ELSE code END,"
            " resource_n = ?, name = ?, target = ? WHERE ordinal = ?",
            (self.job.n, resource.n, name, target, number),
        )

    def _resource(self, folder: str | None, series: str | None) -> ResourceRow:
        scan = self.job.scan_of.get(series) if series else None
        if scan is None and series:
            scan = next((scan for scan in self.job.scans if scan.series_uid == series), None) or self._ecat_scan(series)
        label = clean_label(self._folder_label(scan, folder)) if folder else LOOSE
        if not label or label.casefold() in IMAGE_RESOURCES:
            label = LOOSE
        return self.arranger.resource(scan, label, label, "")

    def _folder_label(self, scan: ScanRow | None, folder: str) -> str:
        """What of a resource folder's name may be a label: a usual one, or one that is there, tells nothing."""
        scan_n = scan.n if scan is not None else None
        if folder.casefold() in USUAL_RESOURCES or (scan_n, clean_label(folder).casefold()) in self.arranger.resources:
            return folder
        return self.ledger.names.folder(folder)

    def _ecat_scan(self, sha256: str) -> ScanRow | None:
        """The scan of an ECAT file that the joined session has."""
        if self._ecat is None:
            self._ecat = ecat_scan_ids(self.ledger, self.job)
        scan_id = self._ecat.get(sha256)
        return next((scan for scan in self.job.scans if scan.scan_id == scan_id), None)

    def _is_repeat(
        self, number: bytes, staged: RelPath, sha256: bytes, resource: ResourceRow, path_in_resource: str
    ) -> bool:
        """Whether the same bytes stand under this name already, in the session or from this upload.

        Under any name where files are called by their numbers, which are others in each upload.
        """
        is_numbered = _is_numbered if self.ledger.names.level != "drop" else _has_any_name
        if is_numbered is _is_numbered and path_in_resource not in self.arranger.taken(resource):
            return False
        folder = self.arranger.folder(resource)
        for n, path in self.ledger.rows(
            "SELECT n, path FROM base INDEXED BY base_sha256 WHERE job = ? AND resource_n = ? AND sha256 = ?",
            (self.job.n, resource.n, sha256),
        ):
            if n not in self.arranger.dropped and is_numbered(relative_to(folder, path), path_in_resource):
                if self.arranger.heal(number, n, path, staged, sha256, Verdict.RESOURCE):
                    return True
                self._repeat(number, staged, "already_there", path)
                return True
        for (name,) in self.ledger.rows(
            "SELECT name FROM entry INDEXED BY entry_loose WHERE content = 'loose' AND sha256 = ? AND job = ?"
            " AND resource_n = ? AND verdict = 'resource'",
            (sha256, self.job.n, resource.n),
        ):
            if is_numbered(name, path_in_resource):
                self._repeat(number, staged, "same_bytes", path_below(folder, name))
                return True
        return False

    def _replacing(self, resource: ResourceRow, path_in_resource: str) -> str:
        """With `delete` a file of the same name gives way, unless this archive has healed it; gives the free name."""
        if self.job.final_decision.overwrite != "delete" or self.ledger.names.level == "drop":
            return ""
        path = path_below(self.arranger.folder(resource), path_in_resource)
        for (n,) in self.ledger.rows("SELECT n FROM base WHERE job = ? AND path = ?", (self.job.n, path)):
            if n not in self.arranger.dropped and n not in self.arranger.healer.mended:
                self.arranger.dropped.add(n)
                return path_in_resource
        return ""

    def _repeat(self, number: bytes, staged: RelPath, code: str, target: str) -> None:
        discard_staged(self.stage, number, staged)
        self.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'duplicate', code = ?, staged = '', target = ? WHERE ordinal = ?",
            (self.job.n, code, target, number),
        )


def _has_any_name(name: str, path: str) -> bool:  # noqa: ARG001  as `_is_numbered`
    return True


def _is_numbered(name: str, path: str) -> bool:
    """Whether `name` is `path`, or what `unique` makes of it (`a_2.txt` of `a.txt`)."""
    if name == path:
        return True
    stem, dot, _ = path.partition(".") if "/" not in path else (path.rpartition(".")[0], ".", "")
    return bool(dot) and re.fullmatch(re.escape(stem) + r"_\d+" + re.escape(path[len(stem) :]), name) is not None

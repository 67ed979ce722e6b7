"""Step 5: files that are no images find their session, by the folders that they share with images."""

from __future__ import annotations

from collections.abc import Iterator

from scandock.catalog.trees import ResourceRow
from scandock.pipeline.arrange import Arranger
from scandock.pipeline.ledger import Ledger
from scandock.rules.filenames import resource_path, unique
from scandock.rules.labels import clean
from scandock.rules.layout import place_of
from scandock.rules.loose import FolderIndex, levels_of

LOOSE = "MISC"
"""The session resource that keeps files without a resource folder."""


def place_others(ledger: Ledger, arrangers: dict[int, Arranger], index: FolderIndex, resources: str) -> None:
    """Give every file that is no image its session, or ignore it (rules.md, "Which entries are images" 2)."""
    ignored: list[tuple[str, str, bytes]] = []
    for number, path, staged, sha256 in _pages(ledger):
        if resources == "ignore":
            ignored.append(("ignored_resources_off", "", number))
            continue
        home = index.home_of(levels_of(path, len(number) // 4 - 1))
        if home.study is None:
            ignored.append(("ignored_no_one_study", f"Not stored: {home.reason}.", number))
            continue
        _Keeper(arrangers[int(home.study)]).place_other(number, path, staged, sha256, home.series)
    ledger.many(
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


class _Keeper:
    """Keeps files of one job as resources."""

    def __init__(self, arranger: Arranger) -> None:
        self.arranger = arranger

    def place_other(self, number: bytes, path: str, staged: str, sha256: bytes, series: str | None) -> None:
        """Keep one loose or resource file; `series` names the scan that it belongs to."""
        spot = levels_of(path, len(number) // 4 - 1)
        place = place_of(spot.path, spot.outer)
        scan = self.arranger.job.scan_of.get(series) if series else None
        if scan is None and series:
            scan = next((s for s in self.arranger.job.scans if s.series_uid == series), None)
        label = clean(place.resource) if place.resource else LOOSE
        if label.casefold() in ("dicom", "ecat", "secondary"):
            label = LOOSE
        resource = self.arranger.resource(scan, label or LOOSE, label or LOOSE, "")
        wanted = resource_path(place.rest, place.base)
        same = self.arranger.ledger.rows(
            "SELECT n, path FROM base WHERE job = ? AND resource_n = ? AND sha256 = ? LIMIT 1",
            (self.arranger.job.n, resource.n, sha256),
        )
        if same and same[0][0] not in self.arranger.dropped:
            self._repeat(number, staged, "already_there", same[0][1])
            return
        folder = self.arranger.folder(resource)
        earlier = self.arranger.ledger.rows(
            "SELECT name FROM entry WHERE job = ? AND resource_n = ? AND sha256 = ? AND content = 'loose'"
            " AND verdict = 'resource' AND name = ?",
            (self.arranger.job.n, resource.n, sha256, wanted),
        )
        if earlier:
            self._repeat(number, staged, "same_bytes", f"{folder}/{wanted}")
            return
        self.arranger.start()
        name = self._replacing(resource, wanted) or unique(self.arranger.taken(resource), wanted)
        self.arranger.stage.move(staged, f"{self.arranger.job.tree}/{folder}/{name}")
        self.arranger.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'resource', code = CASE WHEN code = '' THEN 'resource' ELSE code END,"
            " resource_n = ?, name = ?, target = ? WHERE ordinal = ?",
            (self.arranger.job.n, resource.n, name, f"{folder}/{name}", number),
        )

    def _replacing(self, resource: ResourceRow, wanted: str) -> str:
        """With `delete` a file of the same name gives way; gives the name that became free."""
        if self.arranger.job.settled.overwrite != "delete":
            return ""
        path = f"{self.arranger.folder(resource)}/{wanted}"
        for (n,) in self.arranger.ledger.rows(
            "SELECT n FROM base WHERE job = ? AND path = ?", (self.arranger.job.n, path)
        ):
            if n not in self.arranger.dropped:
                self.arranger.dropped.add(n)
                self.arranger.stage.remove(f"{self.arranger.job.tree}/{path}")
                return wanted
        return ""

    def _repeat(self, number: bytes, staged: str, code: str, target: str) -> None:
        if staged:
            self.arranger.stage.remove(staged)
        self.arranger.ledger.run(
            "UPDATE entry SET job = ?, verdict = 'duplicate', code = ?, staged = '', target = ? WHERE ordinal = ?",
            (self.arranger.job.n, code, target, number),
        )

"""What was measured, as a table with its spread, for the terminal and for docs/performance.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from bench.archives import HERE, Archive
from bench.contenders import Run

PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass
class Measured:
    """All runs of one archive, by contender, round after round; the round that was dropped is not in it."""

    archive: Archive
    runs: dict[str, list[Run]] = field(default_factory=dict)
    peak_pss: int = 0

    def ratios(self, other: str) -> list[float]:
        """Scandock's wall time as a share of the other's in the same round."""
        pairs = zip(self.runs["scandock"], self.runs.get(other, []), strict=False)
        return [ours.wall / theirs.wall for ours, theirs in pairs]


def beyond(small: Measured, large: Measured, name: str) -> float:
    """Seconds that a contender takes for the larger archive beyond those for the smaller one, by its best runs."""
    return min(run.wall for run in large.runs[name]) - min(run.wall for run in small.runs[name])


def table(results: list[Measured]) -> str:
    head = [
        "archive",
        "packed to",
        "unzip or tar (s)",
        "plain script (s)",
        "scandock (s)",
        "of unzip",
        "goal",
        "of plain",
        "of the build before",
        "CPU (s)",
        "PSS (MB)",
    ]
    rows = [head, ["---"] * len(head), *map(_row, results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine(folder: Path) -> str:
    """One line on where the numbers come from."""
    day = dt.datetime.now(dt.UTC).date().isoformat()
    return (
        f"{day}: {os.cpu_count()} cores, Linux {platform.release()}, {file_system(folder)}, "
        f"Python {platform.python_version()}"
    )


def file_system(folder: Path) -> str:
    """Type of the file system that holds the folder: that of the longest mount point above it."""
    mounts = (line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines())
    resolved = folder.resolve()
    above = [(len(point), kind) for point, kind in mounts if resolved.is_relative_to(point)]
    return max(above)[1] if above else "unknown file system"


def write(text: str, begin: str = BEGIN, end: str = END) -> None:
    """Puts the text between two markers of docs/performance.md."""
    page = PAGE.read_text()
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _row(measured: Measured) -> list[str]:
    archive, runs = measured.archive, measured.runs
    cpu = statistics.median(run.cpu for run in runs["scandock"])
    return [
        f"{archive.key}: {archive.title}, {archive.files:,} files, {archive.unpacked_bytes / 1e6:.0f} MB",
        f"{archive.packed_bytes / archive.unpacked_bytes:.2f}",
        *(spread([run.wall for run in runs.get(name, [])]) for name in ("unzip", "plain", "scandock")),
        spread(measured.ratios("unzip")),
        f"{archive.goal:.2f}",
        *(spread(measured.ratios(name)) for name in ("plain", "before")),
        f"{cpu:.2f}",
        f"{measured.peak_pss / 1e6:.0f}" if measured.peak_pss else "",
    ]


def spread(values: list[float], digits: int = 2) -> str:
    """Median, and least to most; nothing of no values."""
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"

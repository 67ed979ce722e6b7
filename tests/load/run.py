"""`python -m tests.load.run [--seconds 120] [--uploaders 50]`: load a server on the loopback and tell how it bore it.
`--imports 3000` goes on until so many small ones have ended, mixed with refused, cancelled and repeated ones.

Nothing that was acknowledged may be lost: the judge of the crash suite looks afterwards, and `scandock check` does.
Memory is called flat where its last third is no more than 10 % and 8 MB above its second one. With `--imports` what
each process has allocated is told after each 500, and has to level off: over the last half it grows by no more than
2 kB an import.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.crash.processes import check
from tests.crash.rounds import assert_clean
from tests.crash.server_rounds import judge
from tests.load.crowd import SIZES, Crowd, Measured

GROWTH = 2.0
"""kB an import, from which memory that still grows fails a run of so many imports."""
MANY = 2_000
"""Imports from which that is judged: before, caches still fill."""
LONG = 60.0
"""Seconds from which memory that is not flat fails the run: before, it is still warming up."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="how long uploads begin")
    parser.add_argument("--uploaders", type=int, default=50, help="clients at once")
    parser.add_argument("--imports", type=int, default=0, help="until so many have ended, instead of --seconds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the archives")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scandock-load-") as folder:
        measured = load(Path(folder, "site"), wanted.uploaders, wanted.seconds, wanted.seed, wanted.imports)
    how_long = f"until {wanted.imports} imports had ended" if wanted.imports else f"for {wanted.seconds:.0f} s"
    print(f"{wanted.uploaders} uploaders {how_long}; nothing lost\n\n{table(measured)}")
    if wanted.imports:
        grown = {name: growth(measured.spans, name) for name in measured.memory}
        print("\n".join(f"{name}: {grew:+.2f} kB an import over the last half" for name, grew in grown.items()))
        return int(wanted.imports >= MANY and max(grown.values()) > GROWTH)
    every = [flat(samples) for samples in measured.memory.values()]
    return 0 if all(every) or wanted.seconds < LONG else 1


def growth(spans: Sequence[tuple[int, dict[str, int]]], name: str) -> float:
    """How much a process's memory grew over the last half of a run, in kB an import."""
    if len(spans) < 2:
        return 0.0
    (first, before), (last, after) = spans[(len(spans) - 1) // 2], spans[-1]
    return (after[name] - before[name]) / 1000 / (last - first)


def load(
    folder: Path, uploaders: int, seconds: float, seed: int, imports: int = 0, *, forked: bool = False
) -> Measured:
    """Run it all; AssertionError where something failed or was lost. `forked` as `Crowd` takes it."""
    crowd = Crowd(folder, uploaders, seconds, seed, imports, forked=forked)
    server = crowd.run()
    assert not crowd.measured.failed, "\n".join(crowd.measured.failed)
    judge(server.data, crowd.log)
    assert_clean(check(server.data))
    return crowd.measured


def table(measured: Measured) -> str:
    """Uploads by class with seconds (median, 95th percentile, worst), and what memory did."""
    head = "| class | uploads | MB | acknowledged (s) | imported after that (s) |"
    lines = [head, "|---|---|---|---|---|"]
    for size in SIZES:
        mine = [one for one in measured.taken if one.size == size]
        if not mine:
            continue
        total = sum(one.bytes for one in mine) / 1e6
        taken = (spread([one.acknowledged for one in mine]), spread([one.imported for one in mine]))
        lines.append(f"| {size} | {len(mine)} | {total:.1f} | {taken[0]} | {taken[1]} |")
    return "\n".join([*lines, "", *(memory_line(name, samples) for name, samples in measured.memory.items())])


def spread(values: Sequence[float]) -> str:
    """Median, 95th percentile, worst."""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.2f}, {high:.2f}, {ordered[-1]:.2f}"


def memory_line(name: str, samples: Sequence[int]) -> str:
    if len(samples) < 3:
        return f"{name}: too short to tell of memory"
    third = len(samples) // 3
    parts = [statistics.median(samples[at : at + third]) / 1e6 for at in (0, third, len(samples) - third)]
    said = "flat" if flat(samples) else "grew"
    thirds = ", ".join(f"{part:.0f}" for part in parts)
    return f"{name}: PSS {thirds} MB by thirds, {max(samples) / 1e6:.0f} at most: {said}"


def flat(samples: Sequence[int]) -> bool:
    """Whether memory has stopped growing."""
    third = len(samples) // 3
    if not third:
        return True
    before, after = (statistics.median(samples[at : at + third]) for at in (third, len(samples) - third))
    return after <= before * 1.1 + 8e6


if __name__ == "__main__":
    sys.exit(main())

"""The archives that are measured: what is in each, made once into .bench/archives and kept there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bench import packing
from bench.objects import Series
from bench.packing import Entry

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".bench"
MR = {"kind": "MR", "rows": 256, "columns": 256, "object_bytes": 139_000}
CT = {"kind": "CT", "rows": 512, "columns": 512, "object_bytes": 532_000}
ENHANCED = {"kind": "MR enhanced", "rows": 256, "columns": 256, "object_bytes": 60_000_000, "frames": 455}
TINY = {"kind": "MR", "rows": 64, "columns": 50, "object_bytes": 8_192}
SESSIONS_IN_BUNDLE = 20


@dataclass(frozen=True)
class Recipe:
    """How one archive is made: `write(output, scale, sizes)` writes it and adds the size of each object to `sizes`."""

    title: str
    suffix: str
    write: Callable[[BinaryIO, float, list[int]], None]
    goal: float
    """Share of unzip's time (of tar's) that an import is to take at most."""


@dataclass(frozen=True)
class Archive:
    """An archive on disk, and what an import of it must find."""

    key: str
    title: str
    path: Path
    files: int
    unpacked_bytes: int
    packed_bytes: int

    @property
    def goal(self) -> float:
        return RECIPES[self.key].goal


def make(key: str, scale: float = 1.0) -> Archive:
    """The archive of that key with `scale` times its full number of objects; taken from disk where it is there."""
    recipe = RECIPES[key]
    return keep(f"{key}-{scale:g}", key, lambda output, sizes: recipe.write(output, scale, sizes))


def keep(name: str, key: str, write: Callable[[BinaryIO, list[int]], None]) -> Archive:
    """An archive like those of `key`, by its name; written, with the sizes of its objects, where it is not on disk."""
    recipe = RECIPES[key]
    folder = HOME / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{_version()}{recipe.suffix}"
    facts = path.with_name(f"{path.name}.json")
    if not facts.exists():
        sizes: list[int] = []
        with path.open("wb") as output:
            write(output, sizes)
            output.flush()
            os.fsync(output.fileno())
        found = {"files": len(sizes), "unpacked_bytes": sum(sizes), "packed_bytes": path.stat().st_size}
        facts.write_text(json.dumps(found))
    return Archive(key=key, title=recipe.title, path=path, **json.loads(facts.read_text()))


def series_of(study: int, many: int, each: float, what: dict[str, Any]) -> list[Series]:
    """`many` series of `each` objects, at least one."""
    patient, objects = f"BENCH{study:04d}", max(1, round(each))
    return [Series(study=study, number=n + 1, patient=patient, objects=objects, **what) for n in range(many)]


def documented(session: str, series: list[Series], sizes: list[int]) -> Iterator[Entry]:
    """Entries in the layout that the compressed uploader documents."""
    for one in series:
        for uid, content in one.each():
            sizes.append(len(content))
            yield f"{session}/scans/{one.number}/resources/DICOM/files/{uid}.dcm", content


def disc(series: list[Series], sizes: list[int]) -> Iterator[Entry]:
    """Entries as a disc export names them."""
    for one in series:
        for index, (_, content) in enumerate(one.each()):
            sizes.append(len(content))
            yield f"DICOM/PA000000/ST000000/SE{one.number:06d}/IM{index:06d}", content


def _mr_entries(scale: float, sizes: list[int]) -> Iterator[Entry]:
    return documented("MR_A", series_of(1, 8, 500 * scale, MR), sizes)


def _mr(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    packing.write_zip(output, _mr_entries(scale, sizes))


def _ct(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    packing.write_zip(output, disc(series_of(2, 4, 250 * scale, CT), sizes))


def _enhanced(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    # At small scales fewer objects, each as large as ever: their size is what is measured.
    packing.write_zip(output, documented("MR_C", series_of(3, max(1, round(8 * scale)), 1, ENHANCED), sizes))


def _tiny(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    packing.write_zip(output, documented("MR_D", series_of(4, 40, 500 * scale, TINY), sizes))


def _bundle(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    def sessions() -> Iterator[Entry]:
        for n in range(SESSIONS_IN_BUNDLE):
            inner = documented(f"MR_E{n:02d}", series_of(100 + n, 2, 50 * scale, MR), sizes)
            yield f"patient{n:02d}_session1.zip", packing.zip_bytes(inner)

    packing.write_zip(output, sessions(), stored=True)


def _mr_tar(output: BinaryIO, scale: float, sizes: list[int]) -> None:
    packing.write_tar_gz(output, _mr_entries(scale, sizes))


RECIPES = {
    "a": Recipe("MR", ".zip", _mr, 0.33),
    "b": Recipe("CT", ".zip", _ct, 0.3),
    "c": Recipe("enhanced MR", ".zip", _enhanced, 0.32),
    "d": Recipe("tiny MR", ".zip", _tiny, 0.9),
    "e": Recipe("bundle of 20 MR session zips", ".zip", _bundle, 0.35),
    "f": Recipe("a as tar.gz", ".tar.gz", _mr_tar, 0.4),
}


def _version() -> str:
    """Of the code that makes the archives: when it changes, they are made anew."""
    sources = (HERE / name for name in ("objects.py", "packing.py", "archives.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:10]

"""A search for marked identifiers in all that an import may leave behind, in whatever spelling.

Every mark begins with the same salt, so bytes are searched for that alone; which mark it is tells what follows.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import itertools
import lzma
import os
import sqlite3
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.crash.checker import read_manifest

CONTEXT = 24
"""Bytes around a hit that are told."""


class Finding(NamedTuple):
    """A mark that stands where it was found."""

    place: str
    """What it marked."""
    where: str
    """File, or name, or row, that it stands in."""
    spelling: str
    around: str


@dataclass
class Marks:
    """Marks by the place that each stands in: texts, and numbers where only digits and dots may stand."""

    salt: str = "Qzkv7Wxj3"
    digits: str = "918273645"
    places: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def text(self, place: str) -> str:
        """A word of 12 letters and digits for a place."""
        mark = f"{self.salt}{next(self._numbers)}"
        self.places[mark] = place
        return mark

    def new(self, place: str) -> str:
        """The same, for generators that salt headers (`tests.integration.deid_marks`)."""
        return self.text(place)

    def uid(self, place: str) -> str:
        """A UID for a place."""
        mark = f"{self.digits}{next(self._numbers)}"
        self.places[mark] = place
        return f"1.2.826.0.{mark}"

    def find(self, data: bytes, where: str) -> list[Finding]:
        """The marks in some bytes."""
        findings = []
        folded = data.lower()
        for spelling, needle, keeps_case in self._needles:
            heap = data if keeps_case else folded
            at = heap.find(needle)
            while at >= 0:
                around = data[max(0, at - CONTEXT) : at + len(needle) + 2 * CONTEXT]
                findings.append(Finding(self._place(data, at), where, spelling, repr(around)))
                at = heap.find(needle, at + len(needle))
        return findings

    @cached_property
    def _needles(self) -> list[tuple[str, bytes, bool]]:
        return [needle for salt in (self.salt, self.digits) for needle in _spell(salt)]

    def _place(self, data: bytes, at: int) -> str:
        """What is marked by what begins at `at`; "?" where its spelling hides that."""
        for mark, place in self.places.items():
            for _, needle, _ in _spell(mark):
                if data[at : at + len(needle)].lower() == needle.lower():
                    return place
        return "?"


def _spell(text: str) -> list[tuple[str, bytes, bool]]:
    """(name, bytes, whether case counts) of each spelling of a text."""
    raw = text.lower().encode()
    folded = {
        "text": raw,
        "utf-16-le": text.lower().encode("utf-16-le"),
        "utf-16-be": text.lower().encode("utf-16-be"),
        "hex": raw.hex().encode(),
        "HEX": text.encode().hex().encode(),
        "hex of capitals": text.upper().encode().hex().encode(),
        "percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "percent of the text": "".join(f"%{byte:02x}" for byte in text.encode()).encode(),
        "JSON": "".join(f"\\u{ord(char):04x}" for char in text.lower()).encode(),
        "JSON of the text": "".join(f"\\u{ord(char):04x}" for char in text).encode(),
    }
    spelled = [(name, needle, False) for name, needle in folded.items()]
    for variant in sorted({text, text.lower(), text.upper()}):
        for shift in range(3):
            # of the three ways in which base64 can begin within a text, what all of them share
            shared = base64.b64encode(b"\0" * shift + variant.encode())[4 if shift else 0 : -4]
            spelled.append((f"base64 {shift}", shared, True))
    return [(name, needle, keeps) for name, needle, keeps in spelled if needle]


def search_bytes(marks: Marks, data: bytes, where: str, depth: int = 0) -> list[Finding]:
    """The marks in some bytes, and in what they unpack to."""
    findings = marks.find(data, where)
    if depth < 3:
        for name, content in _unpack(data):
            findings += search_bytes(marks, content, f"{where}|{name}", depth + 1)
    return findings


def _unpack(data: bytes) -> Iterator[tuple[str, bytes]]:
    for magic, name, opener in (
        (b"\x1f\x8b", "gz", gzip.decompress),
        (b"BZh", "bz2", bz2.decompress),
        (b"\xfd7zXZ", "xz", lzma.decompress),
    ):
        if data.startswith(magic):
            with suppress(OSError, EOFError, lzma.LZMAError, zlib.error):
                yield name, opener(data)
    if data.startswith(b"PK"):
        with suppress(zipfile.BadZipFile, NotImplementedError), zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                with suppress(RuntimeError, zipfile.BadZipFile, NotImplementedError, zlib.error):
                    yield info.filename, archive.read(info)


def _read(path: Path) -> bytes:
    """All of a file; of a database, or what is beside it, by another process.

    Whoever closes such a file drops all locks that its process has on it, for SQLite: the next to open it would take it
    for nobody's, and make anew what is mapped here.
    """
    if ".db" not in path.name:
        return path.read_bytes()
    return subprocess.run(["cat", path], stdout=subprocess.PIPE, check=True).stdout


def search_rows(marks: Marks, database: Path) -> list[Finding]:
    """The marks in the rows of an SQLite database: a value may be parted over its pages."""
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        for suffix in ("", "-wal"):
            source = Path(f"{database}{suffix}")
            if source.exists():
                Path(f"{copy}{suffix}").write_bytes(_read(source))
        with closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = bytes
            tables = [
                row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for table in tables:
                cursor = connection.execute(f'SELECT * FROM "{table}"')
                columns = [column[0] for column in cursor.description]
                for row in cursor:
                    for column, value in zip(columns, row, strict=True):
                        if isinstance(value, bytes):
                            findings += search_bytes(marks, value, f"{table}.{column}")
                        if (table, column) == ("manifest", "body"):
                            files = "\n".join(map(str, read_manifest(value)))
                            findings += search_bytes(marks, files.encode(), "manifest.body")
    return findings


def search_folder(marks: Marks, folder: Path, without: Collection[str] = ()) -> list[Finding]:
    """The marks in names, files, rows and pages below a folder; `without` are folders in it that may hold them."""
    findings = []
    for root, folders, files in os.walk(folder):
        inside = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if (inside / name).as_posix() not in without]
        for name in [*folders, *files]:
            findings += marks.find(os.fsencode(name), f"name {(inside / name).as_posix()}")
        for name in files:
            path = Path(root) / name
            if not path.is_file():
                continue
            data = _read(path)
            findings += search_bytes(marks, data, (inside / name).as_posix())
            if data.startswith(b"SQLite format 3"):
                findings += search_rows(marks, path)
    return findings


def explain(findings: Collection[Finding]) -> str:
    """One line for each place, with where it was found."""
    lines = sorted({f"{one.place}: in {one.where} as {one.spelling}: {one.around}" for one in findings})
    return "\n".join(lines)

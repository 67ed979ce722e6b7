"""The search for marks finds each in every spelling, packed or parted over pages, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.builders import zip_entries
from tests.byte_search import Marks, search_bytes, search_folder

SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "lower": lambda mark: mark.lower().encode(),
    "upper": lambda mark: mark.upper().encode(),
    "UTF-16": lambda mark: mark.encode("utf-16"),
    "UTF-16 big": lambda mark: mark.encode("utf-16-be"),
    "hex": lambda mark: mark.encode().hex().encode(),
    "HEX of upper": lambda mark: mark.upper().encode().hex().upper().encode(),
    "percent": lambda mark: "".join(f"%{byte:02X}" for byte in mark.encode()).encode(),
    "JSON": lambda mark: "".join(f"\\u{ord(char):04X}" for char in mark).encode(),
    "base64": lambda mark: base64.b64encode(mark.encode()),
    "base64 1": lambda mark: base64.b64encode(f"^{mark}".encode()),
    "base64 2": lambda mark: base64.b64encode(f"^^{mark}^".encode()),
    "base64 of upper": lambda mark: base64.b64encode(f"abcd{mark.upper()}".encode()),
    "gzip": lambda mark: gzip.compress(mark.encode() * 9),
    "zip": lambda mark: zip_entries({"a.zip": zip_entries({"b": mark.encode() * 9})}),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_mark_is_found_in_every_spelling(spelling: str) -> None:
    marks = Marks()
    marks.text("one")
    spelled = SPELLINGS[spelling](marks.text("two"))
    packed = spelling in {"gzip", "zip"}
    found = search_bytes(marks, spelled if packed else b"...." + spelled, "x")
    # of base64 no more than the salt is looked for, so it does not tell which mark it is
    assert found
    assert spelling.startswith("base64") or "two" in {one.place for one in found}
    assert not search_bytes(marks, b"Qzkv7Wxj and 918273 " * 99, "x")


def test_marks_are_found_in_names_rows_and_numbers(tmp_path: Path) -> None:
    marks = Marks()
    (tmp_path / "in" / marks.text("folder")).mkdir(parents=True)
    (tmp_path / "in" / "work").mkdir()
    (tmp_path / "in" / "work" / "x").write_text(marks.text("work"))
    with closing(sqlite3.connect(tmp_path / "in" / "a.db")) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b TEXT)")
        connection.execute("INSERT INTO t VALUES (?, ?)", ("x" * 9000 + marks.text("long"), marks.uid("uid")))
        connection.commit()
    found = search_folder(marks, tmp_path / "in", without={"work"})
    assert {one.place for one in found} == {"folder", "long", "uid"}
    assert {one.where for one in found} >= {"t.a", "t.b", "a.db"}
    assert {one.place for one in search_folder(marks, tmp_path / "in")} == {"folder", "long", "uid", "work"}


TRIES_TO_WRITE = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_searching_drops_no_lock_that_this_process_has_on_a_database(tmp_path: Path) -> None:
    database = tmp_path / "rows.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE row (value)")
        connection.execute("BEGIN IMMEDIATE")
        search_folder(Marks(), tmp_path)
        command = [sys.executable, "-c", TRIES_TO_WRITE, str(database)]
        tried = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tried.stdout.strip() == "database is locked"

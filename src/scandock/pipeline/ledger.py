"""The entries of one import while it runs: a private SQLite file in the stage, so that a million cost no memory.

It is scratch: never synced, gone with the stage. What must outlive the import goes to the catalog and the receipt.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Any

from scandock.model.dataclass import dataclass
from scandock.model.entry import Entry, ordinal_after
from scandock.model.series import SeriesTally
from scandock.model.verdicts import Verdict
from scandock.rules.shown_names import ALL_SHOWN, ShownNames

if TYPE_CHECKING:
    from scandock.rules.privacy import EarlyScrub

PAGE_BYTES = 16 * 1024
"""A row has half a kB: of SQLite's usual 4 kB each pass over all would take a fifth more."""
CACHE_KIB = 4 * 1024
"""Entries come and are gone through nearly in their order, so more would make nothing faster; SQLite sorts in as much
memory again."""

_SCHEMA = """
CREATE TABLE entry (
  ordinal BLOB PRIMARY KEY, path TEXT, size INTEGER, sha256 BLOB, content TEXT, staged TEXT, code TEXT, message TEXT,
  folder TEXT, session_folder TEXT, scan_folder TEXT, resource TEXT,
  study TEXT, series TEXT, sop TEXT, sop_class TEXT, frames INTEGER, dataset_at INTEGER, syntax TEXT, facts TEXT,
  left_out_by TEXT,
  verdict TEXT NOT NULL DEFAULT '', job INTEGER, resource_n INTEGER, name TEXT, target TEXT, original BLOB,
  origin BLOB, rules BLOB, known INTEGER, own_size INTEGER, own_sha256 BLOB, own_series TEXT, own_sop TEXT,
  sop_key INTEGER
) WITHOUT ROWID;
CREATE TABLE base (
  job INTEGER, n INTEGER, resource_n INTEGER, path TEXT, bytes INTEGER, sha256 BLOB, sop TEXT, frames INTEGER,
  dataset_at INTEGER, broken INTEGER NOT NULL DEFAULT 0, origin BLOB, rules BLOB, PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE INDEX base_sop ON base (job, sop);
CREATE INDEX base_sha256 ON base (job, sha256);
CREATE INDEX base_path ON base (job, path);
CREATE INDEX base_origin ON base (job, origin) WHERE origin IS NOT NULL;
CREATE INDEX base_broken ON base (job, broken) WHERE broken > 0;
CREATE INDEX entry_rules ON entry (job) WHERE rules IS NOT NULL;
CREATE TABLE older_origin (older BLOB PRIMARY KEY, origin BLOB) WITHOUT ROWID;
CREATE TABLE early (
  ordinal BLOB PRIMARY KEY, state TEXT, message TEXT, size INTEGER, sha256 BLOB, staged TEXT, study TEXT, series TEXT,
  sop TEXT, sop_class TEXT, frames INTEGER, dataset_at INTEGER, syntax TEXT, facts TEXT, warnings TEXT
) WITHOUT ROWID;
CREATE TABLE receipt_code (code TEXT PRIMARY KEY, sentence TEXT) WITHOUT ROWID;
CREATE TABLE job_folder (job INTEGER PRIMARY KEY, folder TEXT);
CREATE TABLE shown_entry (ordinal BLOB PRIMARY KEY, path TEXT, origin BLOB) WITHOUT ROWID;
CREATE TABLE move (job INTEGER, n INTEGER, source TEXT, target TEXT, PRIMARY KEY (job, n)) WITHOUT ROWID;
"""

NO_OBJECT = "content <> 'dicom'"
"""Entries that are no DICOM objects have an index, as most archives have few; it serves statements with this term."""
_INDEXES = f"""
CREATE INDEX entry_study ON entry (study, series, sop);
CREATE INDEX entry_job ON entry (job) WHERE job IS NOT NULL;
CREATE INDEX entry_loose ON entry (sha256) WHERE content = 'loose';
CREATE INDEX entry_other ON entry (content) WHERE {NO_OBJECT};
"""

_COLUMNS = len(Entry._fields)
_LATER = 13
"""Columns that steps after the reading fill."""
_INSERT = f"INSERT OR REPLACE INTO entry VALUES ({', '.join('?' * _COLUMNS)}, ''{', NULL' * _LATER})"


_EMPTY_OUTCOME = (b"", "", "", 0, b"", "", "", "", "", "", 0, 0, "", "", ())
_KEPT = frozenset({Verdict.STORED, Verdict.CONFLICT, Verdict.RESOURCE})


@dataclass(slots=True)
class EntryTotals:
    """What an import's entries come to, once each has its verdict."""

    counts: dict[str, int] = field(default_factory=lambda: {verdict.value: 0 for verdict in Verdict})
    """Entries by verdict, every verdict named; archives within the archive have none."""
    new_files: Counter[int] = field(default_factory=Counter)
    """Entries that are files of a session which it had not before, by the number of the job."""
    bytes: int = 0
    """Of all entries at the innermost level."""
    stored_bytes: int = 0

    def add(self, job: int | None, verdict: str, count: int, size: int, stored: int) -> None:
        """Count entries of one job (None: of no session) and one verdict ("": of none).

        `size` is that of the entries, `stored` that of the files that they would be.
        """
        if verdict:
            self.counts[verdict] += count
        self.bytes += size
        if verdict in _KEPT:
            self.stored_bytes += stored
            if job is not None:
                self.new_files[job] += count


class Ledger:
    """All entries of an import; `db` is open to the steps of this room for their own queries."""

    def __init__(self, path: str, names: ShownNames = ALL_SHOWN) -> None:
        self.names = names
        """What its entries are called wherever that is told; their rows have the names of the archive."""
        self.has_filters = False
        """Whether its entries were read with import filters."""
        self.early: EarlyScrub | None = None
        """By what objects were de-identified as they were read."""
        self.early_tallies: dict[tuple[str, str, str], SeriesTally] = {}
        """What was counted over these, by the series that they were of, and study and series that they are of now."""
        self._path = path
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{CACHE_KIB}",
            "temp_store = FILE",
        ):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(_SCHEMA)
        self.db.execute("BEGIN")

    def add(self, entries: list[Entry]) -> None:
        self.db.executemany(_INSERT, entries)

    def add_missing(self, entries: Iterable[Entry]) -> None:
        """Add those of which nothing is known yet."""
        self.db.executemany(_INSERT.replace("REPLACE", "IGNORE"), entries)

    def add_early(self, outcomes: Iterable[tuple[Any, ...]], counted: Iterable[tuple[Any, ...]]) -> None:
        """Note what became of objects as they were read: values of `ScrubOutcome`, and what was counted over them.

        Of a series it is the one that they were of, then study, series, objects, frames, values, nested and overfull.
        """
        rows = [(*values, *_EMPTY_OUTCOME[len(values) :]) for values in outcomes]
        self.db.executemany(
            f"INSERT OR REPLACE INTO early VALUES ({', '.join('?' * len(_EMPTY_OUTCOME))})",
            ((*values[:-1], json.dumps(values[-1]) if values[-1] else "") for values in rows),
        )
        for own_series, study, series, objects, frames, values, nested, overfull in counted:
            tally = SeriesTally(study, series, objects, frames, values, nested, set(overfull))
            key = (own_series, study, series)
            earlier = self.early_tallies.get(key)
            if earlier is None:
                self.early_tallies[key] = tally
            else:
                earlier.merge(tally)

    def index(self) -> None:
        """Make the indexes: once, when the reading is over."""
        for statement in _INDEXES.strip().split(";"):
            if statement.strip():
                self.db.execute(statement)

    def connect_beside(self) -> sqlite3.Connection:
        """Another connection, by which a thread reads what is here now; to be closed by whoever asks for it.

        Threads that share one wait for each other's statements. Nothing is to be changed until it is closed.
        """
        self.db.execute("COMMIT")  # else the other one would not see what this one has written
        self.db.execute("BEGIN")
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        self.db.close()

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query that is known to give few."""
        return self.db.execute(sql, tuple(values)).fetchall()

    def stream(self, sql: str, values: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query that may give a million."""
        return iter(self.db.execute(sql, tuple(values)))

    def run(self, sql: str, values: Iterable[Any] = ()) -> int:
        """Change rows; gives how many."""
        return self.db.execute(sql, tuple(values)).rowcount

    def many(self, sql: str, values: Iterable[tuple[Any, ...]]) -> None:
        self.db.executemany(sql, values)

    def refuse_under(self, container: bytes, message: str) -> None:
        """Everything in a container shares its fate; entries that caused it keep their own code."""
        end = ordinal_after(container)
        where = "ordinal >= ? AND (? = x'' OR ordinal < ?)"
        self.run(
            f"UPDATE entry SET verdict = '{Verdict.REFUSED}', code = 'inner_refused', message = ?"
            f" WHERE {where} AND content NOT IN ('bad', 'inner') AND verdict <> '{Verdict.REFUSED}'",
            (message, container, end, end),
        )
        self.run(
            f"UPDATE entry SET verdict = '{Verdict.REFUSED}' WHERE {where} AND content IN ('bad', 'inner')",
            (container, end, end),
        )

    def totals(self) -> EntryTotals:
        """Counts and sums of all entries, by one pass over them: there may be a million."""
        totals = EntryTotals()
        for job, verdict, count, size, stored in self.rows(
            "SELECT job, verdict, COUNT(*), COALESCE(SUM(COALESCE(own_size, size)), 0), COALESCE(SUM(size), 0)"
            " FROM entry GROUP BY job, verdict"
        ):
            totals.add(job, verdict, count, size, stored)
        return totals

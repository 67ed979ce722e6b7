"""What a site holds, told from its bucket and the rows of its catalog alone: nothing of Scandock's code is used here.

`python -m tests.hosts.checker CONNINFO ENDPOINT BUCKET LOG` prints what is wrong, a line each; nothing where all is
well. LOG has what clients were promised (`tests/crash/uploaders.py`). No import may run, and what ended attempts left
is swept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, LiteralString

import obstore
import psycopg
from obstore.store import S3Store

from tests.crash.checker import Findings, read_manifest
from tests.s3_server import ACCESS

_PENDING: tuple[LiteralString, ...] = (
    "upload WHERE state IN ('receiving', 'received', 'running')",
    "operation",
    "intent",
    "reservation",
    "tree WHERE state <> 'current'",
    "tree WHERE id NOT IN (SELECT tree_id FROM session)",
    "manifest WHERE tree_id NOT IN (SELECT id FROM tree)",
    "scan WHERE tree_id NOT IN (SELECT id FROM tree)",
    "resource WHERE tree_id NOT IN (SELECT id FROM tree)",
    "stored_tree WHERE name IS NULL OR upload IS NOT NULL OR gone IS NOT NULL",
    "stored_tree WHERE number NOT IN (SELECT tree_number FROM file_place)",
    "stored_object WHERE due IS NOT NULL AND key NOT LIKE 'v1/m/%'",
    "stored_object WHERE due IS NULL AND id NOT IN (SELECT object_id FROM tree_object)",
    "stored_receipt WHERE staged",
    "spool_part",
    "spool_writer",
    "store_attempt WHERE ended IS NULL",
    "store_attempt WHERE NOT swept AND ended < began - 3600000",
)
"""Of what no row is left once nothing is under way, and what old attempts have left is swept."""
_PROMISED: LiteralString = """
SELECT u.state, count(DISTINCT t.id), count(DISTINCT s.id),
  (SELECT count(*) FROM event e WHERE e.upload_id = u.id AND e.kind = 'outcome'),
  (SELECT count(*) FROM stored_receipt r WHERE r.upload = u.uuid)
FROM upload u LEFT JOIN tree t ON t.upload_id = u.id LEFT JOIN session s ON s.tree_id = t.id
WHERE u.uuid = %s GROUP BY u.id
"""
_SESSIONS: LiteralString = """
SELECT concat_ws('/', s.place, p.name, nullif(s.timestamp, ''), s.label), s.tree_id, s.files, s.bytes, u.uuid
FROM session s JOIN project p ON p.id = s.project_id JOIN tree t ON t.id = s.tree_id
LEFT JOIN upload u ON u.id = t.upload_id
"""
_OWN = {"v1/store", "v1/probe", "ready"}
"""Keys of the store itself, and of the test."""

Rows = psycopg.Connection[tuple[Any, ...]]


class Checker:
    def __init__(self, rows: Rows, store: S3Store, log: Path) -> None:
        self._rows = rows
        self._store = store
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        self._promised = {line["acknowledged"]: line["files"] for line in lines if "acknowledged" in line}
        self.wrong = Findings()

    def check(self) -> None:
        self.wrong.unless(self._promised, "nothing was acknowledged")
        for place in _PENDING:
            ((count,),) = self._rows.execute(f"SELECT count(*) FROM {place}")
            self.wrong.unless(count == 0, f"{count} rows left in {place}")
        self._check_objects()
        brought = self._read_sessions()
        for upload, files in self._promised.items():
            self._check_upload(upload, files, brought.pop(upload, []))
        self.wrong.unless(not brought, f"sessions of uploads that were never acknowledged: {sorted(brought)}")

    def _check_upload(self, upload: str, files: list[str], brought: list[Counter[str]]) -> None:
        """It ended once, as one session with what was sent, and its receipt says that."""
        ended = self._rows.execute(_PROMISED, [upload]).fetchall()
        self.wrong.unless(ended == [("placed", 1, 1, 1, 1)], f"{upload} was acknowledged, and became {ended}")
        self.wrong.unless(brought == [Counter(files)], f"{upload} did not bring what was sent: {brought}, not {files}")
        for (key,) in self._rows.execute("SELECT key FROM stored_receipt WHERE upload = %s", [upload]):
            content = gzip.decompress(bytes(self._store.get(key).bytes()))
            verdicts = [json.loads(line) for line in content.splitlines()]
            stored = sorted(line["sha256"] for line in verdicts if line["verdict"] in ("stored", "resource"))
            self.wrong.unless(stored == sorted(files), f"the receipt of {upload} tells of other files than were sent")

    def _read_sessions(self) -> dict[str, list[Counter[str]]]:
        """By upload, the sha256 of the files of each session that it brought, as the bucket has them."""
        brought: dict[str, list[Counter[str]]] = defaultdict(list)
        studies: Counter[frozenset[str]] = Counter()
        for name, tree, files, size, upload in self._rows.execute(_SESSIONS).fetchall():
            listed: list[tuple[str, int]] = []
            for (body,) in self._rows.execute("SELECT body FROM manifest WHERE tree_id = %s ORDER BY first_n", [tree]):
                listed += [(stored.sha256, stored.bytes) for stored in read_manifest(body)]
            contents = [self._read(*place) for place in self._places(name)]
            there = [(hashlib.sha256(content).hexdigest(), len(content)) for content in contents]
            self.wrong.unless(sorted(listed) == sorted(there), f"{name}: the bucket has other files than the manifest")
            sums = len(there), sum(map(len, contents))
            self.wrong.unless(sums == (files, size), f"{name}: {files} files of {size} bytes in its row, {sums} there")
            brought[upload].append(Counter(digest for digest, _ in there))
            studies[frozenset(digest for digest, _ in there)] += 1
        twice = [sorted(study)[:1] for study, count in studies.items() if count > 1]
        self.wrong.unless(not twice, f"sessions that are there twice: {twice}")
        return brought

    def _places(self, name: str) -> list[tuple[str, int, int]]:
        """Object, offset and length of each file of a published tree (docs/design/0015-object-store.md)."""
        numbers = self._rows.execute("SELECT number FROM stored_tree WHERE name = %s", [name]).fetchall()
        self.wrong.unless(len(numbers) == 1, f"{name} is shown {len(numbers)} times")
        places: list[tuple[str, int, int]] = []
        for (number,) in numbers:
            for (body,) in self._rows.execute("SELECT body FROM file_place WHERE tree_number = %s", [number]):
                places += read_places(body)
            query = (
                "SELECT o.key FROM tree_object t JOIN stored_object o ON o.id = t.object_id WHERE t.tree_number = %s"
            )
            named = {key for (key,) in self._rows.execute(query, [number])}
            used = {key for key, _, _ in places}
            self.wrong.unless(named == used, f"{name}: its files are in {used}, its rows name {named}")
        return places

    def _read(self, key: str, offset: int, length: int) -> bytes:
        return bytes(obstore.get_range(self._store, key, start=offset, length=length)) if length else b""

    def _check_objects(self) -> None:
        """No object without a row, none of another size, and no row without its object.

        Workers go on to write copies of manifests: what they have begun meanwhile need not be there yet.
        """
        copies = self._copies()
        there = {meta["path"]: meta["size"] for batch in obstore.list(self._store) for meta in batch}
        named: dict[str, int | None] = dict(self._rows.execute("SELECT key, bytes FROM stored_object").fetchall())
        for (key,) in self._rows.execute("SELECT key FROM stored_receipt UNION SELECT key FROM spool_part"):
            named[key] = None
        named.update(dict.fromkeys(self._copies()))
        begun = {key for key in named if key.startswith("v1/m/")} - copies
        for key in _some(there.keys() - named.keys() - _OWN):
            self.wrong.append(f"no row names the object {key}")
        for key in _some(named.keys() - there.keys() - begun):
            self.wrong.append(f"there is no object {key}, which a row names")
        for key in _some(key for key, size in named.items() if size is not None and there.get(key, size) != size):
            self.wrong.append(f"{key} has {there[key]} bytes, its row says {named[key]}")

    def _copies(self) -> set[str]:
        return {key for (key,) in self._rows.execute("SELECT manifest FROM stored_tree WHERE manifest IS NOT NULL")}


def read_places(body: bytes) -> list[tuple[str, int, int]]:
    """A row of `file_place`: columns of numbers, offsets as gaps behind the file before in the same object."""
    version, keys, _same, _rests, objects, gaps, lengths = json.loads(zlib.decompress(body))
    assert version == 1
    ends = [0] * len(keys)
    places = []
    for at, gap, length in zip(objects, gaps, lengths, strict=True):
        places.append((keys[at], ends[at] + gap, length))
        ends[at] += gap + length
    return places


def _some(keys: Iterable[str]) -> list[str]:
    return list(islice(sorted(keys), 5))


def main(conninfo: str, endpoint: str, bucket: str, log: str) -> None:
    store = S3Store(
        bucket, region="us-east-1", endpoint=endpoint, client_options={"allow_http": True},
        access_key_id=ACCESS["AWS_ACCESS_KEY_ID"], secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    with psycopg.connect(conninfo, autocommit=True) as rows:
        checker = Checker(rows, store, Path(log))
        checker.check()
    print("\n".join(checker.wrong), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What DATA holds, told from scandock.db and the files alone: nothing of Scandock's code is used here."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import re
import sqlite3
import stat
import struct
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.crash.archives import WAITING, ExpectedSession

TOP = {"scandock.db", "scandock.db-wal", "scandock.db-shm"}
FOLDERS = {"incoming", "work", "trash", "receipts", "prearchive", "archive", "resources", "cache"}


class Findings(list[str]):
    """Sentences on what is wrong."""

    def unless(self, good: object, sentence: str) -> None:
        if not good:
            self.append(sentence)


def hash_files(folder: Path) -> dict[str, str]:
    """sha256 of every file below, by its path from there."""
    digests = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            digests[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def examine_data(data: Path) -> tuple[dict[str, ExpectedSession], list[str]]:
    """(what it holds by study, what is wrong with it). No command may be at work on it."""
    wrong = Findings()
    if not (data / "scandock.db").exists():
        return {}, ["there is no scandock.db"]
    wrong.unless(set(os.listdir(data)) <= TOP | FOLDERS, f"strange names in DATA: {sorted(os.listdir(data))}")
    for folder in ("work", "incoming"):
        left = sorted(os.listdir(data / folder))
        wrong.unless(not left, f"{folder}/ is not empty: {left}")
    with closing(sqlite3.connect(data / "scandock.db", timeout=20)) as database:
        database.row_factory = sqlite3.Row
        _check_integrity(database, wrong)
        _check_nothing_pending(database, wrong)
        held = _sessions(data, database, wrong)
        _check_index(database, wrong)
        _receipts(data, database, wrong)
    return held, wrong


def _check_integrity(database: sqlite3.Connection, wrong: Findings) -> None:
    (result,) = database.execute("PRAGMA integrity_check").fetchone()
    wrong.unless(result == "ok", f"integrity_check: {result}")
    broken = [tuple(row) for row in database.execute("PRAGMA foreign_key_check")]
    wrong.unless(not broken, f"foreign_key_check: {broken[:5]}")


def _check_nothing_pending(database: sqlite3.Connection, wrong: Findings) -> None:
    for table, where in (
        ("upload", "state IN ('running', 'receiving', 'received')"),
        ("operation", "1"),
        ("intent", "1"),
        ("reservation", "1"),
        ("project_deletion", "1"),
        ("tree", "state <> 'current'"),
        ("tree", "id NOT IN (SELECT tree_id FROM session UNION SELECT tree_id FROM trashed)"),
        ("scan", "tree_id NOT IN (SELECT id FROM tree)"),
        ("resource", "tree_id NOT IN (SELECT id FROM tree)"),
        ("manifest", "tree_id NOT IN (SELECT id FROM tree)"),
        ("file", "tree_id NOT IN (SELECT id FROM tree)"),
    ):
        (count,) = database.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}").fetchone()
        wrong.unless(count == 0, f"{count} rows left in {table} where {where}")


def _sessions(data: Path, database: sqlite3.Connection, wrong: Findings) -> dict[str, ExpectedSession]:
    held: dict[str, ExpectedSession] = {}
    names = set()
    rows = database.execute(
        "SELECT s.*, p.name AS project FROM session s JOIN project p ON p.id = s.project_id ORDER BY s.id"
    ).fetchall()
    trees = Counter(row["tree_id"] for row in rows)
    wrong.unless(all(count == 1 for count in trees.values()), "two sessions show one tree")
    for row in rows:
        name = "/".join(part for part in (row["place"], row["project"], row["timestamp"], row["label"]) if part)
        names.add(name)
        files = _session(data / name, name, database, row, wrong)
        key = " ".join(filter(None, (row["study_uid"] or name, row["side"]))) + (
            WAITING if row["place"] == "prearchive" else ""
        )
        wrong.unless(key not in held, f"study {key} is there twice")
        held[key] = ExpectedSession(row["place"], frozenset(files.values()))
    _check_strays(data, names, wrong)
    return held


def _session(
    folder: Path, name: str, database: sqlite3.Connection, row: sqlite3.Row, wrong: Findings
) -> dict[str, str]:
    if not folder.is_dir():
        wrong.append(f"{name} is in the catalog, its folder is not there")
        return {}
    tree = row["tree_id"]
    scans = {r["n"]: r for r in database.execute("SELECT * FROM scan WHERE tree_id = ?", (tree,))}
    folders = {}
    for r in database.execute("SELECT * FROM resource WHERE tree_id = ?", (tree,)):
        above = "" if r["scan_n"] is None else f"scans/{scans[r['scan_n']]['scan_id']}/"
        folders[r["n"]] = f"{above}resources/{r['label']}/files/"
    rows = _read_files(database, tree)
    known = {folders[r.resource_n] + r.name: r.sha256 for r in rows}
    numbers = [r.n for r in rows]
    wrong.unless(numbers == sorted(set(numbers)), f"{name}: numbers of files are there twice")
    wrong.unless(len(known) == len(rows), f"{name}: paths of files are there twice")
    standing = hash_files(folder)
    for path in sorted(known.keys() - standing.keys())[:5]:
        wrong.append(f"{name}/{path} is in the catalog, not on disk")
    for path in sorted(standing.keys() - known.keys())[:5]:
        wrong.append(f"{name}/{path} is on disk, not in the catalog")
    for path in sorted(path for path in known.keys() & standing.keys() if known[path] != standing[path])[:5]:
        wrong.append(f"{name}/{path} is not what the catalog says it is")
    for path in standing:
        mode = (folder / path).lstat().st_mode
        wrong.unless(stat.S_ISREG(mode) and not mode & 0o111, f"{name}/{path} has mode {mode:o}")
    size = sum((folder / path).stat().st_size for path in standing)
    sums = (row["scans"], row["files"], row["bytes"])
    wrong.unless(
        sums == (len(scans), len(standing), size), f"{name}: sums {sums}, not {len(scans), len(standing), size}"
    )
    sops = Counter(r.sop_uid for r in rows if r.sop_uid)
    twice = [sop for sop, count in sops.items() if count > 1]
    wrong.unless(not twice, f"{name}: objects that are there twice: {twice[:3]}")
    wrong.unless(len(set(standing.values())) == len(standing), f"{name}: the same bytes stand there twice")
    return standing


class StoredFile(NamedTuple):
    """What a manifest says of a file."""

    n: int
    resource_n: int
    name: str
    bytes: int
    sha256: str
    sop_uid: str | None


def read_manifest(body: bytes) -> list[StoredFile]:
    """The files of a manifest (docs/design/0014-manifests.md)."""
    version, length = struct.unpack_from("<BI", body)
    assert version == 1
    columns = json.loads(zlib.decompress(body[5 : 5 + length]))
    count, numbers, resources, shared, rests, sizes, _frames, _datasets, uids, *_ = columns
    digests = [body[5 + length + 32 * at :][:32].hex() for at in range(count)]
    names: list[str] = []
    for same, rest in zip(shared, rests, strict=True):
        names.append((names[-1] if names else "")[:same] + rest)
    named = [re.fullmatch(r"([0-9]+(?:\.[0-9]+)*)(?:_.*)?\.dcm", name) for name in names]
    sops: list[str | None] = [match[1] if match else None for match in named]
    for at, uid in uids or ():
        sops[at] = uid
    n = [number for first, many in numbers for number in range(first, first + many)]
    resource = [number for number, many in resources for _ in range(many)]
    return list(itertools.starmap(StoredFile, zip(n, resource, names, sizes, digests, sops, strict=True)))


def _read_files(database: sqlite3.Connection, tree: int) -> list[StoredFile]:
    """The files of a tree, also of one that a worker has not brought over from an older version's rows."""
    (rows_state,) = database.execute("SELECT file_rows FROM tree WHERE id = ?", (tree,)).fetchone()
    if rows_state == 2:
        query = "SELECT n, resource_n, name, bytes, lower(hex(sha256)), sop_uid FROM file WHERE tree_id = ? ORDER BY n"
        return [StoredFile(*row) for row in database.execute(query, (tree,))]
    query = "SELECT body FROM manifest WHERE tree_id = ? ORDER BY first_n"
    return [stored for (body,) in database.execute(query, (tree,)) for stored in read_manifest(body)]


def _check_index(database: sqlite3.Connection, wrong: Findings) -> None:
    """Every object of every tree is in the index of objects, in the part that its hash says."""
    entries = set()
    for part, body in database.execute("SELECT part, body FROM object_block"):
        version, width = body[:2]
        assert (version, (len(body) - 2) % (5 + width)) == (1, 0)
        pieces = [body[at : at + 5 + width] for at in range(2, len(body), 5 + width)]
        wrong.unless(pieces == sorted(pieces), "a block of the index is not sorted")
        block = [(piece[:5], int.from_bytes(piece[5:], "big")) for piece in pieces]
        bits = part.bit_length() - 1
        heads = {1 << bits | int.from_bytes(head, "big") >> 40 - bits for head, _ in block}
        wrong.unless(heads <= {part}, f"the index has hashes of {heads} in its part {part}")
        entries.update(block)
    query = "SELECT id, body FROM manifest WHERE tree_id NOT IN (SELECT id FROM tree WHERE file_rows = 2)"
    for number, body in database.execute(query):
        for stored in read_manifest(body):
            if stored.sop_uid is not None:
                digest = hashlib.blake2b(stored.sop_uid.encode(), digest_size=8).digest()
                wrong.unless((digest[:5], number) in entries, f"{stored.name} is not in the index")


def _check_strays(data: Path, names: set[str], wrong: Findings) -> None:
    """Every folder and file in archive and prearchive is a session's, or above one; of resources nobody made any."""
    above = {"/".join(name.split("/")[:n]) for name in names for n in range(1, name.count("/") + 1)}
    for area in ("archive", "prearchive", "resources"):
        for root, folders, files in os.walk(data / area):
            here = str(Path(root).relative_to(data))
            if here in names:
                folders.clear()
                continue
            wrong.unless(here in above or here == area, f"{here} belongs to no session")
            wrong.unless(not files, f"files in {here}: {files}")


def _receipts(data: Path, database: sqlite3.Connection, wrong: Findings) -> None:
    """Every import that has ended has a receipt, and what it says it stored stands there or was replaced."""
    trees = database.execute("SELECT id FROM tree").fetchall()
    current = {stored.sha256 for (tree,) in trees for stored in _read_files(database, tree)}
    in_trash = read_trash(data)
    for row in database.execute("SELECT uuid, state FROM upload").fetchall():
        path = data / "receipts" / f"{row['uuid']}.jsonl.gz"
        if row["state"] not in ("placed", "held", "partly", "refused"):
            wrong.unless(not path.exists(), f"an import that {row['state']} has a receipt")
            continue
        if not path.exists():
            wrong.append(f"the receipt of {row['uuid']} ({row['state']}) is missing")
            continue
        wrong.unless(path.stat().st_size, f"the receipt of {row['uuid']} is empty")
        with gzip.open(path) as lines:
            for line in map(json.loads, lines):
                good = line["verdict"] not in ("stored", "resource") or line["sha256"] in current | in_trash
                wrong.unless(good, f"{line['path']} was stored, says its receipt, and is nowhere")


def check_acknowledged(data: Path, log: Path) -> list[str]:
    """What is wrong with what clients were promised, by their log (`uploaders.py`) and the files of the archive alone.

    What was acknowledged stands there once, as one session; what was only tried does so or not at all.
    """
    wrong = Findings()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    standing = Counter(frozenset(hash_files(folder).values()) for folder in sorted((data / "archive").glob("*/*")))
    times = Counter(digest for folder in (data / "archive").glob("*/*") for digest in hash_files(folder).values())
    promised = [(line["acknowledged"], frozenset(line["files"])) for line in lines if "acknowledged" in line]
    wrong.unless(promised, "nothing was acknowledged")
    for upload, files in promised:
        wrong.unless(standing[files] == 1, f"what upload {upload} brought stands there {standing[files]} times")
        astray = {digest: times[digest] for digest in files if times[digest] != 1}
        wrong.unless(not astray, f"files of upload {upload} that do not stand there once: {astray}")
    tried = {frozenset(line["files"]) for line in lines if "tried" in line}
    for files in standing.keys() - tried:
        wrong.append(f"a session of {len(files)} files is none that was uploaded")
    return wrong


def check_postgresql(data: Path, connection: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    """What is wrong between a catalog in PostgreSQL and the files: what is pending, and objects of one side alone."""
    wrong = Findings()
    for table, where in (
        ("upload", "state IN ('running', 'receiving', 'received')"),
        ("operation", "true"),
        ("intent", "true"),
        ("reservation", "true"),
        ("tree", "id NOT IN (SELECT tree_id FROM session UNION SELECT tree_id FROM trashed)"),
    ):
        rows = connection.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}").fetchall()
        wrong.unless(rows == [(0,)], f"{rows} rows left in {table} where {where}")
    query = "SELECT m.body FROM manifest m JOIN session s ON s.tree_id = m.tree_id"
    known = Counter(stored.sha256 for (body,) in connection.execute(query) for stored in read_manifest(body))
    standing = Counter(digest for area in ("archive", "prearchive") for digest in hash_files(data / area).values())
    wrong.unless(known == standing, f"in the catalog alone {known - standing}, on disk alone {standing - known}")
    return wrong


def read_trash(data: Path) -> set[str]:
    """sha256 of everything that is kept in the trash; what waits for its deletion is not."""
    digests: set[str] = set()
    for entry in os.listdir(data / "trash"):
        if entry != "now":
            digests.update(hash_files(data / "trash" / entry / "tree").values())
    return digests


def check_trash(data: Path, expected: int) -> list[str]:
    """What is wrong with the trash, in which so many trees should be."""
    wrong = Findings()
    entries = sorted(entry for entry in os.listdir(data / "trash") if entry != "now")
    wrong.unless(len(entries) == expected, f"{len(entries)} trees in the trash, not {expected}")
    for entry in entries:
        inside = sorted(os.listdir(data / "trash" / entry))
        wrong.unless(inside == ["tree", "what.json"], f"trash/{entry} holds {inside}")
        details = (data / "trash" / entry / "what.json").read_bytes() if "what.json" in inside else b"{}"
        wrong.unless(b'"was"' in details and details.endswith(b"}"), f"trash/{entry} says what it was by {details!r}")
    return wrong

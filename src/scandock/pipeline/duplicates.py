"""The same object twice: within one upload, and against the session that it joins (rules.md, "Again" 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import IO

from scandock.formats.dicom_header import Unparseable, read_header
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import Verdict
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.staging import StageFiles, hash_dataset
from scandock.store.paths import REPEATS, RelPath, path_below

META_BYTES = 128 * 1024
"""Of an object's beginning, in which its file meta fits."""
_SEVERAL = """INSERT INTO several SELECT study, sop FROM entry e
    WHERE e.content = 'dicom' AND e.verdict = '' AND {which} GROUP BY study, sop HAVING COUNT(*) > 1"""
"""Study and UID of objects that come several times.

This table and the next are in the ledger: a temporary one is in a file of its own, which may wait for a busy disk.
"""
_AGAIN = """CREATE TABLE again AS
    SELECT e.study, e.sop, e.ordinal, e.sha256, e.dataset_at, e.syntax, e.staged, e.facts
    FROM entry e CROSS JOIN several s ON s.study = e.study AND s.sop = e.sop
    WHERE e.content = 'dicom' AND e.verdict = '' AND {which} ORDER BY e.study, e.sop, e.ordinal"""
"""These objects, group by group: copied, and so read in one pass while the entries are changed."""


@dataclass(slots=True)
class Clashes:
    """Objects of one study that share a SOPInstanceUID and differ: `sops` within the upload, `base` with a session."""

    sops: set[str] = field(default_factory=set)
    base: list[tuple[bytes, int]] = field(default_factory=list)
    """(entry's ordinal, number of the file in the base tree)."""


def mark_duplicates(ledger: Ledger, stage: StageFiles, job: int | None = None) -> dict[str, Clashes]:
    """Mark repeats as duplicates and clashing variants as conflicts; gives the clashes by study.

    The first of equal objects in archive order is kept. Variants of one SOPInstanceUID are all kept, in every order.
    `job`: only among its objects that the session which it joins does not have.
    """
    clashes: dict[str, Clashes] = {}
    which = "TRUE" if job is None else f"e.job = {job} AND e.known IS NULL"
    ledger.run("CREATE TABLE several (study TEXT, sop TEXT, PRIMARY KEY (study, sop)) WITHOUT ROWID")
    if ledger.run(_SEVERAL.format(which=which)):
        ledger.run(_AGAIN.format(which=which))
        _mark_groups(ledger, stage, clashes)
        ledger.run("DROP TABLE again")
    ledger.run("DROP TABLE several")
    return clashes


def _mark_groups(ledger: Ledger, stage: StageFiles, clashes: dict[str, Clashes]) -> None:
    """Mark all objects that come several times; adds their clashes."""
    groups = groupby(ledger.stream("SELECT * FROM again ORDER BY rowid"), key=itemgetter(0, 1))
    for (study, sop), rows in groups:
        group = [row[2:] for row in rows]
        distinct = _mark_group(ledger, stage, group)
        if len(distinct) > 1:
            clashes.setdefault(study, Clashes()).sops.add(sop)
            ledger.many(
                "UPDATE entry SET verdict = ?, code = 'sop_clash', message = '' WHERE ordinal = ?",
                [(Verdict.CONFLICT, number) for number in distinct],
            )


def _mark_group(
    ledger: Ledger, stage: StageFiles, group: list[tuple[bytes, bytes, int, str, RelPath, str]]
) -> list[bytes]:
    originals: dict[bytes, tuple[bytes, str]] = {}  # by sha256: whose repeat the next one is, and its code
    by_dataset: dict[tuple[str, bytes], bytes] = {}
    distinct: list[bytes] = []
    several = len({sha256 for _, sha256, *_ in group}) > 1
    for number, sha256, dataset_at, syntax, staged, facts in group:
        original_and_code = originals.get(sha256)
        if original_and_code is None and several:
            digest = bytes.fromhex(facts) if facts else hash_dataset(partial(stage.read_at, staged), dataset_at)
            original = by_dataset.setdefault((syntax, digest), number)
            original_and_code = (original, "same_dataset") if original != number else None
        if original_and_code is None:
            originals[sha256] = (number, "same_bytes")
            distinct.append(number)
            continue
        original, code = originals.setdefault(sha256, original_and_code)
        discard_staged(stage, number, staged)
        ledger.run(
            "UPDATE entry SET verdict = ?, code = ?, message = '', staged = '', original = ? WHERE ordinal = ?",
            (Verdict.DUPLICATE, code, original, number),
        )
    return distinct


def discard_staged(stage: StageFiles, number: bytes, staged: RelPath) -> None:
    """Take an entry's bytes out of the way, to where all such are given up at once.

    Unlinked one by one, files that the disk has already cost a millisecond or more each.
    """
    if staged:
        stage.move(staged, path_below(REPEATS, number.hex()))


def compare_with_base(
    ledger: Ledger,
    job: int,
    stage: StageFiles,
    open_base: Callable[[RelPath], IO[bytes]],
    *,
    forgive_dataset: bool = True,
) -> tuple[list[tuple[bytes, int]], Clashes]:
    """Compare a job's objects with the files of the session that it joins (`base` rows of the ledger).

    Gives (duplicates, clashes), both as (entry's ordinal, number of the base file); nothing is marked yet.
    """
    duplicates: list[tuple[bytes, int]] = []
    clashes = Clashes()
    pending: dict[bytes, list[tuple[int, RelPath, int]]] = {}
    facts: dict[bytes, tuple[int, str, RelPath, str]] = {}
    matched: set[bytes] = set()
    for (
        number,
        sha256,
        dataset_at,
        syntax,
        staged,
        sop,
        origin,
        n,
        base_sha256,
        path,
        base_at,
        base_origin,
    ) in ledger.stream(
        "SELECT e.ordinal, e.sha256, e.dataset_at, e.syntax, e.staged, e.sop, e.origin, b.n, b.sha256, b.path,"
        " b.dataset_at, b.origin"
        " FROM entry e CROSS JOIN base b INDEXED BY base_sop ON b.job = e.job AND b.sop = e.sop"
        " WHERE e.job = ? AND e.content = 'dicom' AND e.verdict IN ('', 'conflict') AND e.known IS NULL"
        " ORDER BY e.ordinal, b.n",
        (job,),
    ):
        if number in matched:
            continue
        if sha256 == base_sha256 or (origin is not None and origin == base_origin):
            matched.add(number)
            duplicates.append((number, n))
            continue
        pending.setdefault(number, []).append((n, path, base_at))
        facts[number] = (dataset_at, syntax, staged, sop)
    for number, candidates in pending.items():
        if number in matched:
            continue
        dataset_at, syntax, staged, sop = facts[number]
        same = None
        if forgive_dataset and staged:
            same = _find_same_dataset(stage, staged, dataset_at, syntax, candidates, open_base)
        if same is not None:
            duplicates.append((number, same))
        else:
            clashes.sops.add(sop)
            clashes.base.extend((number, n) for n, _, _ in candidates)
    return duplicates, clashes


def _find_same_dataset(
    stage: StageFiles,
    staged: RelPath,
    dataset_at: int,
    syntax: str,
    candidates: list[tuple[int, RelPath, int]],
    open_base: Callable[[RelPath], IO[bytes]],
) -> int | None:
    ours = hash_dataset(partial(stage.read_at, staged), dataset_at)
    for n, path, base_at in candidates:
        try:
            opened = open_base(path)
        except FileNotFoundError:
            continue  # what is gone can't be told to be the same
        with opened as file:
            head = file.read(META_BYTES)

            def read_at(at: int, length: int, file: IO[bytes] = file) -> bytes:
                file.seek(at)
                return file.read(length)

            try:
                theirs = read_header(head, len(head), frozenset(), None).transfer_syntax
            except Unparseable:
                theirs = syntax
            if theirs == syntax and hash_dataset(read_at, base_at) == ours:
                return n
    return None

"""Finding repeats takes time in proportion to the objects, however many one study repeats."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scandock.model.entry import Content, Entry, ordinal
from scandock.pipeline.duplicates import compare_with_base, mark_duplicates
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.receipts import compress_receipt
from tests.unit.pipeline.sqlite_steps import steps


def entry(index: int, number: int) -> Entry:
    """Object `number` of one series of one study, met as entry `index`; its bytes are not kept."""
    digest = hashlib.sha256(b"%d" % number)
    return Entry(
        ordinal(b"", index), f"{index}.dcm", 10, digest.digest(), Content.DICOM, "", "", "",
        study="1.2", series="1.2.3", sop=f"1.2.3.{number}", facts=digest.hexdigest(),
    )  # fmt: skip


class Nothing:
    """A stage without files: no entry here has kept any."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the stage was asked to {name}")


def filled(path: Path, count: int, *, twice: bool) -> Ledger:
    ledger = Ledger(str(path / f"{count}.db"))
    ledger.add([entry(n, n) for n in range(count)])
    if twice:
        ledger.add([entry(count + n, n) for n in range(count)])
    ledger.index()
    return ledger


def within(path: Path, count: int) -> int:
    ledger = filled(path, count, twice=True)
    used = steps(ledger, lambda: mark_duplicates(ledger, Nothing()))
    assert ledger.totals().counts["duplicate"] == count
    ledger.close()
    return used


def against(path: Path, count: int) -> int:
    ledger = filled(path, count, twice=False)
    ledger.run("UPDATE entry SET job = 0")
    ledger.many(
        "INSERT INTO base (job, n, resource_n, path, bytes, sha256, sop, frames, dataset_at)"
        " VALUES (0, ?, 0, ?, 10, ?, ?, 1, 0)",
        [(n, f"{n}.dcm", hashlib.sha256(b"%d" % n).digest(), f"1.2.3.{n}") for n in range(count)],
    )
    found: list[Any] = []
    used = steps(ledger, lambda: found.extend(compare_with_base(ledger, 0, Nothing(), Nothing())[0]))  # type: ignore[arg-type]
    assert len(found) == count
    ledger.close()
    return used


def telling(path: Path, count: int) -> int:
    ledger = filled(path, count, twice=True)
    ledger.run("UPDATE entry SET job = 0, verdict = 'stored', code = 'stored', target = path")
    ledger.many(
        "UPDATE entry SET verdict = 'duplicate', code = 'same_bytes', target = NULL, original = ? WHERE ordinal = ?",
        [(ordinal(b"", n), ordinal(b"", count + n)) for n in range(count)],
    )
    packed: list[bytes] = []
    used = steps(ledger, lambda: compress_receipt(ledger, "a.zip", {0: "archive/P/S"}, packed.append))
    lines = map(json.loads, gzip.decompress(b"".join(packed)).splitlines())
    assert [line["stored_as"] for line in lines] == [f"archive/P/S/{n}.dcm" for n in range(count)] * 2
    ledger.close()
    return used


@pytest.mark.parametrize("work", [within, against, telling])
def test_twice_the_objects_take_twice_the_work(tmp_path: Path, work: Callable[[Path, int], int]) -> None:
    small, large = work(tmp_path, 400), work(tmp_path, 1_600)

    assert large < 6 * small, "four times the objects"

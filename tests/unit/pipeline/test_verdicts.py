"""What an archive's entries mean for it is asked of the few that are no objects, however many objects there are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from scandock.model.entry import Content, Entry, ordinal
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.receipts import close_verdicts
from scandock.pipeline.verdicts import UploadVerdict, assign_verdicts
from tests.unit.pipeline.sqlite_steps import steps


def entry(index: int, content: Content, code: str = "", message: str = "") -> Entry:
    digest = hashlib.sha256(b"%d" % index).digest()
    return Entry(ordinal(b"", index), f"{content}-{index}", 10, digest, content, "", code, message, sop=f"1.2.{index}")


def filled(path: Path, objects: int) -> Ledger:
    ledger = Ledger(str(path / f"{objects}.db"))
    others = [
        entry(1, Content.LOOSE), entry(2, Content.JUNK, "junk_name"), entry(3, Content.SPECIAL),
        entry(4, Content.INNER, "not_an_archive", "It is none."), entry(5, Content.UNPARSEABLE, "not_dicom"),
    ]  # fmt: skip
    ledger.add([*others, *(entry(10 + n, Content.DICOM) for n in range(objects))])
    ledger.index()
    return ledger


def test_objects_are_not_gone_through_for_what_others_mean(tmp_path: Path) -> None:
    used = []
    for objects in (100, 2_000):
        ledger = filled(tmp_path, objects)
        verdicts: list[UploadVerdict] = []
        work = steps(ledger, lambda: verdicts.append(assign_verdicts(ledger, [], ignore_unparsable=True)))  # noqa: B023
        used.append(work + steps(ledger, lambda: close_verdicts(ledger)))  # noqa: B023
        (verdict,) = verdicts
        assert (verdict.refused, verdict.lost, [w.code for w in verdict.warnings]) == (None, 1, ["inner_refused"])
        counts = ledger.totals().counts
        assert {name: count for name, count in counts.items() if count} == {
            "junk": 1, "ignored": 2, "unparseable": 1, "refused": 1
        }  # fmt: skip
        ledger.close()

    assert used[1] <= used[0] + 1


@pytest.mark.parametrize("objects", [0, 3])
def test_an_archive_is_refused_that_holds_no_image(tmp_path: Path, objects: int) -> None:
    ledger = filled(tmp_path, objects)
    refused = assign_verdicts(ledger, [], ignore_unparsable=True).refused
    ledger.close()
    assert (refused is None) == (objects > 0)
    if refused is not None:
        assert refused.message.startswith("No image files found. It holds 1 unparseable, 1 of other kinds, 1 junk")

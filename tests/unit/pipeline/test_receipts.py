"""The lines of a receipt say what the ledger has of each entry, whatever the entry is called."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scandock.model.entry import Entry, ordinal
from scandock.pipeline.job import JobContext
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.receipts import LINES, compress_receipt, write_receipt_beside
from scandock.rules.receipt_codes import CODES, RECEIPT_COLUMNS
from scandock.rules.shown_names import ShownNames
from scandock.store.local import LocalStore
from scandock.store.paths import RECEIPT

ODD_NAMES = [
    "a/b.dcm",
    "größe \U0001f9e0",
    "\"quoted\" \\ 'both'",
    "".join(map(chr, range(32))),
    "\x7f\u2028\ufeff",
    "",
]
FOLDER = "archive/P/S"


def entry(index: int, path: str, *, code: str = "stored", message: str = "") -> Entry:
    return Entry(ordinal(b"", index), path, index, hashlib.sha256(b"%d" % index).digest(), "dicom", "", code, message)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(str(tmp_path / "ledger.db"))
    yield opened
    opened.close()


def text_of(ledger: Ledger, archive: str = "a.zip") -> str:
    packed: list[bytes] = []
    compress_receipt(ledger, archive, {0: FOLDER}, packed.append)
    return gzip.decompress(b"".join(packed)).decode()


def lines_of(ledger: Ledger, archive: str = "a.zip") -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(ledger, archive).split("\n")[:-1]]


def store(ledger: Ledger) -> None:
    """All entries as files of one session, each where its number says."""
    ledger.run("UPDATE entry SET verdict = 'stored', job = 0, target = 'files/' || size")


def test_entries_are_named_as_the_archive_has_them(ledger: Ledger) -> None:
    ledger.add([entry(index, path, message=path) for index, path in enumerate(ODD_NAMES)])
    store(ledger)
    assert lines_of(ledger, 'odd "\\ \udc80\n') == [
        {
            "archive": 'odd "\\ \udc80\n',
            "path": path,
            "bytes": index,
            "sha256": hashlib.sha256(b"%d" % index).hexdigest(),
            "verdict": "stored",
            "code": "stored",
            "message": path or CODES["stored"].sentence,
            "stored_as": f"{FOLDER}/files/{index}",
        }
        for index, path in enumerate(ODD_NAMES)
    ]


def test_a_receipt_of_many_entries_is_in_the_order_of_the_archive(ledger: Ledger) -> None:
    count = 2 * LINES + 1
    ledger.add([entry(index, f"{index}.dcm") for index in reversed(range(count))])
    store(ledger)
    lines = lines_of(ledger)
    assert [line["path"] for line in lines] == [f"{index}.dcm" for index in range(count)]
    assert tuple(lines[0]) == RECEIPT_COLUMNS


def test_lines_are_spelled_as_those_of_every_version_were(ledger: Ledger) -> None:
    """What looks for lines looks for a part of their text (`services/receipts.py`)."""
    ledger.add([entry(0, 'größe "a".dcm'), entry(1, "b.dcm")])
    store(ledger)
    for origin in ("NULL", "x'0a'"):
        ledger.run(f"UPDATE entry SET origin = {origin}")
        text = text_of(ledger)
        assert text == "".join(f"{json.dumps(json.loads(line), ensure_ascii=False)}\n" for line in text.splitlines())


def test_an_empty_ledger_has_an_empty_receipt(ledger: Ledger) -> None:
    assert lines_of(ledger) == []


def test_a_repeat_is_told_to_be_where_the_first_one_is(ledger: Ledger) -> None:
    ledger.add(
        [entry(0, "first.dcm"), entry(1, "again.dcm", code="same_bytes"), entry(2, "notes.txt", code="junk_name")]
    )
    ledger.run("UPDATE entry SET verdict = 'stored', job = 0, target = 'files/1' WHERE code = 'stored'")
    ledger.run("UPDATE entry SET verdict = 'duplicate', original = ? WHERE code = 'same_bytes'", (ordinal(b"", 0),))
    assert [line["stored_as"] for line in lines_of(ledger)] == [f"{FOLDER}/files/1", f"{FOLDER}/files/1", None]


def test_what_an_object_was_is_told_by_its_origin_alone(ledger: Ledger) -> None:
    ledger.add([entry(0, "a.dcm"), entry(1, "b.dcm")])
    store(ledger)
    ledger.run("UPDATE entry SET origin = x'0a0b', own_size = 7, own_sha256 = x'0c' WHERE size = 0")
    first, second = lines_of(ledger)
    assert (first["bytes"], first["sha256"], first["origin"]) == (7, None, "0a0b")
    assert (second["bytes"], second["sha256"], second["origin"]) == (1, hashlib.sha256(b"1").hexdigest(), None)


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_hidden_names_are_in_no_line(tmp_path: Path, level: Any) -> None:
    names = ShownNames(level=level, key=b"k" * 16, hides_bytes=True)
    ledger = Ledger(str(tmp_path / "ledger.db"), names)
    ledger.add([entry(0, "DOE_JOHN/1.dcm"), entry(1, "DOE_JOHN/2.dcm")._replace(sha256=b"")])
    store(ledger)
    ledger.run("UPDATE entry SET target = NULL")
    lines = lines_of(ledger)
    ledger.close()
    assert [line["path"] for line in lines] == [names.path(ordinal(b"", n), f"DOE_JOHN/{n + 1}.dcm") for n in range(2)]
    assert "DOE" not in json.dumps(lines)
    digest = hashlib.sha256(b"0").digest()
    assert [(line["sha256"], line["origin"]) for line in lines] == [(None, names.origin(digest).hex()), (None, None)]


@pytest.fixture
def context(tmp_path: Path, ledger: Ledger) -> Iterator[JobContext]:
    """What a receipt needs of one: a stage, and a ledger with many entries."""
    local = LocalStore(tmp_path / "data")
    local.prepare()
    ledger.add([entry(index, f"{index}.dcm") for index in range(3 * LINES)])
    store(ledger)
    yield cast("JobContext", SimpleNamespace(ledger=ledger, stage=local.begin("u", "t")))
    local.close()


def test_a_receipt_is_made_while_others_read_the_ledger(context: JobContext) -> None:
    ledger, stage = context.ledger, context.stage
    with write_receipt_beside(context, "a.zip", {0: FOLDER}):
        assert len(list(ledger.stream("SELECT path FROM entry ORDER BY path"))) == 3 * LINES
        assert not stage.exists(RECEIPT)
    with stage.open(RECEIPT) as packed:
        assert gzip.decompress(packed.read()).decode() == text_of(ledger)


def test_nothing_is_left_of_a_receipt_whose_import_fails(context: JobContext) -> None:
    with pytest.raises(ZeroDivisionError), write_receipt_beside(context, "a.zip", {0: FOLDER}):
        raise ZeroDivisionError
    assert not context.stage.exists(RECEIPT)
    assert [thread.name for thread in threading.enumerate() if thread.name == "unpack-ahead"] == []


def test_an_entry_without_a_code_is_a_mistake(ledger: Ledger) -> None:
    ledger.add([entry(0, "a.dcm", code="")])
    with pytest.raises(LookupError):
        lines_of(ledger)

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from scandock.model.errors import Usage
from scandock.rules.receipt_codes import RECEIPT_COLUMNS
from scandock.services.receipts import check_verdicts, lines

LINES = [
    {
        "archive": "a.zip",
        "path": f"f{n}" if n else '=cmd "verdict": "junk"',
        "bytes": n,
        "sha256": None if n % 2 else "ab",
        "verdict": "junk" if n % 3 == 1 else "stored",
        "code": "c",
        "message": "m, and more",
        "stored_as": None,
    }
    for n in range(3000)
]


def packed():
    return io.BytesIO(gzip.compress("".join(json.dumps(line) + "\n" for line in LINES).encode()))


def test_json_lines_are_as_they_were_written():
    pieces = list(lines(packed(), "jsonl"))
    assert [json.loads(line) for line in b"".join(pieces).splitlines()] == LINES
    assert len(pieces) > 3


def test_lines_of_a_verdict_are_told_by_their_verdict_alone():
    found = [json.loads(line) for line in b"".join(lines(packed(), "jsonl", {"junk"})).splitlines()]
    assert found == [line for line in LINES if line["verdict"] == "junk"]


def test_csv_has_a_heading_and_runs_no_formula():
    rows = list(csv.reader(io.StringIO(b"".join(lines(packed(), "csv")).decode(), newline="")))
    assert tuple(rows[0]) == RECEIPT_COLUMNS
    assert len(rows) == 1 + len(LINES)
    assert rows[1][1].startswith("'=")
    assert rows[2][3] == ""


def test_verdicts_are_known():
    assert check_verdicts(["junk"]) == {"junk"}
    with pytest.raises(Usage):
        check_verdicts(["jnk"])

"""A receipt as a page looks at it: piece by piece, by verdict, by a word in the path, and never too much at once."""

from __future__ import annotations

import gzip
import io
import json
from typing import IO, Any

import pytest

from scandock.services.receipts import ReceiptPage, read_receipt_page

NAMES = ["a/one.dcm", "a/TWO.dcm", 'b/quote".dcm', "b/ünder.dcm", "junk/Thumbs.db"]


def packed(count: int = 0) -> IO[bytes]:
    paths = NAMES if not count else [f"s{n // 100}/{n:06d}.dcm" for n in range(count)]
    lines = [
        {
            "archive": "a.zip", "path": path, "bytes": n, "sha256": "", "message": "said", "stored_as": None,
            "verdict": "junk" if "junk" in path else "stored",
            "code": "junk_name" if "junk" in path else "stored_pixels_cut",
        }
        for n, path in enumerate(paths)
    ]  # fmt: skip
    return io.BytesIO(gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode(), 1))


def paths(sight: ReceiptPage) -> list[str]:
    return [line["path"] for line in sight.lines]


def test_lines_have_their_number_and_what_to_do():
    first = read_receipt_page(packed()).lines[0]
    assert (first["n"], first["remedy"]) == (1, "Export the image again where it can't be shown.")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, NAMES),
        ({"verdicts": {"junk"}}, NAMES[4:]),
        ({"search": "two"}, NAMES[1:2]),
        ({"search": 'QUOTE"'}, NAMES[2:3]),
        ({"search": "Ünder"}, NAMES[3:4]),
        ({"search": "stored"}, []),
        ({"search": "a.zip"}, []),
        ({"search": "/", "verdicts": {"stored"}}, NAMES[:4]),
    ],
)
def test_it_finds_what_is_asked_for_in_paths_alone(asked: dict[str, Any], found: list[str]):
    assert paths(read_receipt_page(packed(), **asked)) == found


def test_pages_follow_each_other_without_a_gap_or_an_overlap():
    met, start = [], 0
    while True:
        sight = read_receipt_page(packed(1_000), search="7.dcm", start=start, limit=30)
        met += paths(sight)
        if sight.next is None:
            break
        start = sight.next
    assert met == [f"s{n // 100}/{n:06d}.dcm" for n in range(1_000) if n % 10 == 7]


def test_a_page_that_is_just_full_is_the_last():
    assert read_receipt_page(packed(), limit=5).next is None
    assert read_receipt_page(packed(), limit=4).next == 4


def test_a_rare_word_is_not_sought_without_end():
    first = read_receipt_page(packed(1_000), search="000999", max_lines=400)
    assert (first.lines, first.next) == ([], 400)
    assert paths(read_receipt_page(packed(1_000), search="000999", start=800, max_lines=400)) == ["s9/000999.dcm"]


def test_behind_the_end_there_is_nothing():
    assert read_receipt_page(packed(), start=99) == ReceiptPage(lines=[], next=None)

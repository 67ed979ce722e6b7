"""Rows of files come back from a manifest's body as they went in, whatever they say; other bytes are refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scandock.catalog.file_rows import FileRow
from scandock.catalog.manifest_bodies import pack_rows, unpack_heads, unpack_row, unpack_rows
from scandock.model.errors import Fault

UIDS = st.from_regex(r"[1-9](\.[1-9][0-9]{0,4}){1,8}", fullmatch=True)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.one_of(UIDS.map(lambda uid: f"{uid}.dcm"), UIDS.map(lambda uid: f"{uid}_2.dcm"), TEXT)
WORDS = st.none() | TEXT
NUMBERS = st.integers(0, 2**63 - 1)


@st.composite
def files(draw: st.DrawFn) -> list[FileRow]:
    numbers = sorted(draw(st.sets(st.integers(0, 2**31 - 1), max_size=20)))
    if draw(st.booleans()):
        numbers = list(range(len(numbers)))
    return [
        FileRow(
            n, draw(st.integers(0, 3)), draw(NAMES), draw(NUMBERS), draw(st.binary(min_size=32, max_size=32)),
            draw(st.none() | UIDS), draw(st.integers(0, 2**31 - 1)), draw(st.integers(0, 2**31 - 1)), draw(WORDS),
            draw(WORDS), draw(WORDS), draw(st.none() | st.binary(min_size=16, max_size=16)),
            draw(st.none() | st.binary(min_size=8, max_size=8)), draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        )
        for n in numbers
    ]  # fmt: skip


@pytest.mark.hypothesis
@settings(deadline=None)
@given(files())
def test_what_is_packed_is_unpacked(rows: list[FileRow]) -> None:
    body = pack_rows(rows)
    assert unpack_rows(body) == rows
    assert [tuple(head) for head in unpack_heads(body)] == [row[:4] for row in rows]
    assert [unpack_row(body, row.n) for row in rows] == rows


@pytest.mark.hypothesis
@settings(deadline=None)
@given(files(), st.integers(0, 2**31 - 1))
def test_a_number_that_no_row_has_is_in_no_body(rows: list[FileRow], n: int) -> None:
    assume(all(row.n != n for row in rows))
    assert unpack_row(pack_rows(rows), n) is None


@pytest.mark.hypothesis
@settings(deadline=None)
@given(files(), st.data())
def test_a_body_that_is_cut_or_of_another_version_is_refused(rows: list[FileRow], data: st.DataObject) -> None:
    body = pack_rows(rows)
    version = data.draw(st.integers(0, 255).filter(lambda number: number != 1))
    for other in (bytes([version]) + body[1:], body[: data.draw(st.integers(0, len(body) - 1))], body + b"x"):
        with pytest.raises(Fault) as caught:
            unpack_rows(other)
        assert caught.value.code == "catalog_damaged"
        for row in rows:
            with pytest.raises(Fault) as caught:
                unpack_row(other, row.n)
            assert caught.value.code == "catalog_damaged"


def test_numbers_have_to_ascend() -> None:
    row = FileRow(3, 0, "a", 1, b"s" * 32, None, 1, 0)
    for n in (3, 2):
        with pytest.raises(ValueError, match="does not ascend"):
            pack_rows([row, row._replace(n=n)])


def test_a_thousand_images_take_some_45_bytes_each() -> None:
    rows = [
        FileRow(
            n, 0, f"1.3.12.2.1107.5.2.32.35162.2007091014582843{n:04}.dcm", 139_000 + n % 7,
            hashlib.sha256(b"%d" % n).digest(), f"1.3.12.2.1107.5.2.32.35162.2007091014582843{n:04}", 1, 376,
        )
        for n in range(1_000)
    ]  # fmt: skip
    assert len(pack_rows(rows)) < 45_000

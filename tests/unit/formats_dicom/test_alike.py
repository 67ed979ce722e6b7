"""Headers of objects that are alike: whatever they hold and in whatever order, they are read as each by itself."""

from __future__ import annotations

import random

import pytest

from scandock.formats import dicom_alike
from scandock.formats.dicom_alike import EXAMINED, AlikeHeaders
from scandock.formats.dicom_encoding import ByteOrder
from scandock.formats.dicom_header import Header, Unparseable, read_header
from scandock.formats.dicom_items import after_sequence
from scandock.formats.dicom_scan import VALUE_BYTES
from scandock.model.tags import NUMBERS, TAGS
from tests.unit.formats_dicom.build import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    PIXELS,
    UNDEFINED,
    Value,
    Writer,
    make_object,
    meta,
)

ALL = frozenset(TAGS)
LITTLE = Writer()
REQUEST = 0x00400275
PRIVATE = 0x00291010
BEHIND_META = 132 + len(meta(EXPLICIT))
SOP, NUMBER, POSITION = 0x00080018, 0x00200013, 0x00200032


def make_slice(n: int, changes: dict[int, tuple[str, Value] | None] | None = None, *, extra: bytes = b"") -> bytes:
    """An object of a series, whose values are of several lengths; `extra` stands before the pixel data."""
    step = LITTLE.sequence(REQUEST, LITTLE.item(LITTLE.element(0x00400009, "SH", "STEP 1")), undefined=True)
    values: dict[int, tuple[str, Value] | None] = {
        SOP: ("UI", f"1.2.3.4.{n}"),
        NUMBER: ("IS", str(n)),
        POSITION: ("DS", f"0\\{n / 7}\\1"),
        PRIVATE: ("OB", bytes([n % 256]) * (2 * n + 2)),
    }
    return make_object({**values, **(changes or {})}, extra=extra + step)


def outcome(headers: AlikeHeaders | None, data: bytes) -> Header | tuple[str, str]:
    """What comes of an object: its header, or code and message of why it is none."""
    try:
        return read_header(data, len(data), ALL) if headers is None else headers.read(memoryview(data))
    except Unparseable as error:
        return error.code, error.message


@pytest.fixture
def read_whole(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the objects whose headers were read element by element."""
    sizes: list[int] = []

    def count(data: memoryview, size: int, tags: frozenset[int]) -> Header:
        sizes.append(size)
        return read_header(data, size, tags)

    monkeypatch.setattr(dicom_alike, "read_header", count)
    return sizes


def test_objects_of_a_series_are_read_by_what_they_have_in_common(read_whole: list[int]) -> None:
    headers = AlikeHeaders(ALL)

    for n in range(1, 200):
        data = make_slice(n)
        assert outcome(headers, data) == outcome(None, data)

    assert len(read_whole) == 2


def test_series_in_turn_are_each_read_by_what_they_have_in_common(read_whole: list[int]) -> None:
    headers = AlikeHeaders(ALL)
    echo = {0x00180081: ("DS", "4.5")}

    for n in range(1, 100):
        for data in (make_slice(n), make_slice(n, dict(echo))):
            assert outcome(headers, data) == outcome(None, data)

    assert len(read_whole) == 4


def test_what_is_done_with_a_header_changes_no_other(read_whole: list[int]) -> None:
    headers = AlikeHeaders(ALL)
    for n in (1, 2, 3):
        headers.read(make_slice(n)).values.clear()

    assert outcome(headers, make_slice(4)) == outcome(None, make_slice(4))
    assert len(read_whole) == 2


def test_what_pydicom_is_to_judge_is_always_left_to_it(read_whole: list[int]) -> None:
    headers = AlikeHeaders(ALL)

    for n in range(1, 10):
        headers.read(make_slice(n, extra=LITTLE.element(0x00100020, "LO", "P2")))

    assert len(read_whole) == 9


def test_objects_that_are_not_alike_are_seldom_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences: list[int] = []

    def count(head: bytes, start: int, order: ByteOrder, *, explicit: bool) -> int:
        sequences.append(start)
        return after_sequence(head, start, order, explicit=explicit)

    monkeypatch.setattr(dicom_alike, "after_sequence", count)  # which each object has one of
    headers = AlikeHeaders(ALL)

    for n in range(320):
        headers.read(make_slice(1, extra=LITTLE.element(0x0029_1100 + n, "LO", "x")))

    assert 4 <= len(sequences) <= 4 + 320 / EXAMINED


ODD_ONES = {
    "another element": make_slice(5, {0x00181030: ("LO", "t1")}),
    "an element less": make_slice(5, {0x00180050: None}),
    "no SOP Instance UID": make_slice(5, {SOP: None}),
    "an empty SOP Instance UID": make_slice(5, {SOP: ("UI", "")}),
    "a UID that is too long": make_slice(5, {SOP: ("UI", "1." + "2" * 600)}),
    "another VR": make_slice(5, {NUMBER: ("US", 5)}),
    "a VR that does not exist": make_slice(5, {NUMBER: ("ZZ", "5")}),
    "an element twice": make_slice(5, extra=LITTLE.element(0x00100020, "LO", "P2")),
    "a wanted value of undefined length": make_slice(5, {NUMBER: ("UT", "")}).replace(
        b"\x20\x00\x13\x00UT\0\0\0\0\0\0", b"\x20\x00\x13\x00UT\0\0\xff\xff\xff\xff"
    ),
    "a private value of undefined length": make_slice(5, {PRIVATE: None}, extra=b"").replace(
        LITTLE.element(PIXELS, "OW", bytes(8)), b""
    )
    + LITTLE.element(PRIVATE, "OB", length=UNDEFINED),
    "a length beyond the end": make_slice(5)[:-8] + LITTLE.element(0x00091010, "OB", b"ab", length=1 << 31),
    "pixels cut off": make_slice(5)[:-4],
    "no pixels": make_slice(5)[:-20],
    "header cut off": make_slice(5)[:400],
    "nothing behind the meta information": bytes(128) + b"DICM" + meta(JPEG),
    "no meta information": bytes(128) + b"DICM" + make_slice(5)[BEHIND_META:],
    "no preamble": make_object(preamble=None),
    "a preamble that says something": b"II*\0" + make_slice(5)[4:],
    "implicit VR": make_object(syntax=IMPLICIT),
    "big endian": make_object(syntax=BIG),
    "another transfer syntax": make_object(syntax=JPEG),
    "encapsulated pixels": make_slice(5).replace(
        LITTLE.element(PIXELS, "OW", bytes(8)), LITTLE.element(PIXELS, "OB", length=UNDEFINED) + LITTLE.item(b"ab")
    ),
    "no DICOM": b"GIF89a" * 100,
    "empty": b"",
}


@pytest.mark.parametrize("odd", ODD_ONES.values(), ids=ODD_ONES)
def test_an_object_among_others_is_read_as_by_itself(odd: bytes) -> None:
    headers = AlikeHeaders(ALL)

    for data in (make_slice(1), make_slice(2), odd, make_slice(3), odd, odd, make_slice(4)):
        assert outcome(headers, data) == outcome(None, data)


def test_whatever_changes_in_an_object_it_is_read_as_by_itself() -> None:
    rng = random.Random(7)
    headers = AlikeHeaders(ALL)

    for n in range(3_000):
        data = bytearray(make_slice(n % 120))
        if n % 3:
            for _ in range(rng.choice((1, 1, 2, 5))):
                at = rng.randrange(len(data))
                data[at] = rng.choice((0, 1, 2, 0x20, 0x41, 0xFF, rng.randrange(256)))
        if n % 7 == 0:
            del data[rng.randrange(len(data)) :]
        changed = bytes(data)
        assert outcome(headers, changed) == outcome(None, changed), (n, changed)


def test_the_class_of_the_meta_information_serves_where_the_data_set_names_none(read_whole: list[int]) -> None:
    headers = AlikeHeaders(ALL)
    mr, ct = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
    unnamed: dict[int, tuple[str, Value] | None] = {NUMBERS["SOPClassUID"]: ("UI", "")}

    for media_class, changes in ((mr, {}), (ct, {}), (mr, unnamed), (ct, unnamed), (mr, {}), (ct, unnamed)):
        data = meta(EXPLICIT, media_class=media_class) + make_slice(len(read_whole), changes)[BEHIND_META:]
        assert outcome(headers, bytes(128) + b"DICM" + data) == outcome(None, bytes(128) + b"DICM" + data)

    assert len(read_whole) == 4


def test_a_long_value_is_kept_as_far_as_by_itself() -> None:
    headers = AlikeHeaders(ALL)

    for length in (VALUE_BYTES - 400, VALUE_BYTES - 402, VALUE_BYTES + 100, VALUE_BYTES + 102):
        data = make_slice(1, {0x0008103E: ("UT", "x" * length)})
        assert outcome(headers, data) == outcome(None, data)

"""What was written is read again by the ordinary scan: it has to be what was meant."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from scandock.deidentification.data_set import DicomObject, Range
from scandock.deidentification.encoding import Part, encode
from scandock.deidentification.errors import OutcomeUnexpected
from scandock.deidentification.parsing import parse
from scandock.deidentification.verification import verify
from tests.unit.deidentification.objects import SYNTAXES, body, deflated, whole
from tests.unit.formats_dicom.build import EXPLICIT, IMPLICIT, PIXELS, Writer, make_object

WRITE = Writer()
UIDS = (0x0020000D, 0x0020000E, 0x00080018)


def check(obj) -> None:
    verify(obj, encode(obj))


def parts_of(obj) -> tuple[bytes, bytes]:
    head, pixels = encode(obj)
    return bytes(head), bytes(pixels)


def test_every_change_that_is_meant_agrees(subtests):
    for syntax, write in SYNTAXES.items():
        for pixels in (bytes(8), None):
            for tags in ((), UIDS[:1], UIDS[1:], UIDS):
                with subtests.test(syntax=syntax, pixels=pixels, tags=tags):
                    for data in (whole(syntax, body(write, pixels=pixels)), body(write, pixels=pixels)):
                        obj = parse(data)
                        check(obj)
                        for tag in tags:
                            obj.data.set_text(tag, "2.25.1234567")
                        check(obj)
                        for tag in tags:
                            obj.data.remove(tag)
                        check(obj)
                        obj.data.remove(PIXELS)
                        obj.data.remove(0x00080005)
                        check(obj)
                        for tag in obj.data.tags()[:-3]:
                            obj.data.remove(tag)
                        check(obj)
    check(parse(deflated(body(WRITE))))


def test_an_object_of_which_nothing_is_left_is_an_empty_data_set():
    for syntax, write in SYNTAXES.items():
        for data in (whole(syntax, body(write, pixels=bytes(8))), body(write, pixels=bytes(8)), deflated(body(WRITE))):
            obj = parse(data)
            obj.data.remove(0x00080005)
            before = encode(obj)
            for tag in obj.data.tags():
                obj.data.remove(tag)
            check(obj)
            for parts in (before, [*encode(obj), b"\0"]):
                with pytest.raises(OutcomeUnexpected):
                    verify(obj, parts)


@pytest.mark.parametrize(
    "alter",
    [
        lambda obj: setattr(obj, "transfer_syntax", IMPLICIT),
        lambda obj: setattr(obj, "meta", parse(make_object(syntax=IMPLICIT)).meta),
        lambda obj: setattr(obj, "preamble_bytes", bytes(100)),
        lambda obj: obj.data.set_value(0x0020000D, "UI", b"1." * 400),
        lambda obj: setattr(obj.data, "explicit", False),
    ],
)
def test_an_object_that_is_not_what_it_says_fails(alter: Callable[[DicomObject], None]):
    obj = parse(make_object())
    alter(obj)
    with pytest.raises(OutcomeUnexpected) as caught:
        check(obj)
    assert caught.value.code == "deid_outcome"


def test_parts_that_are_not_the_tree_fail(subtests):
    obj = parse(make_object())
    head, pixels = parts_of(obj)
    at = head.index(b"\x08\0\x18\0")
    wrongs: dict[str, list[Part]] = {
        "no pixels": [head],
        "pixels of another size": [head, bytes(pixels)[:-2]],
        "another UID": [head.replace(b"1.2.3.4.5", b"1.2.3.4.9"), pixels],
        "a header that is cut": [head[:-40], pixels],
        "an element longer than it was": [head[: at + 6] + struct.pack("<H", 30) + head[at + 8 :], pixels],
        "pixels alone": [Range(0, 10), pixels],
    }
    for name, parts in wrongs.items():
        with subtests.test(name), pytest.raises(OutcomeUnexpected):
            verify(obj, parts)
    verify(obj, [head, pixels])
    bare = parse(whole(EXPLICIT, WRITE.element(0x00100010, "PN", "A") + WRITE.element(PIXELS, "OW", bytes(4))))
    head, pixels = parts_of(bare)
    cases: list[list[Part]] = [[head], [head[:-12]], [head[:-12], b"MA"], [head[:140], pixels]]
    for parts in cases:
        with pytest.raises(OutcomeUnexpected):
            verify(bare, parts)


def test_what_is_no_element_of_a_data_set_fails_wherever_it_stands(subtests):
    """However it came to be in the tree: nothing but the verification of the outcome stands behind that."""
    for pixels in (bytes(8), None):
        bodies = {syntax: whole(syntax, body(write, pixels=pixels)) for syntax, write in SYNTAXES.items()}
        for name, data in {**bodies, "deflated": deflated(body(WRITE, pixels=pixels))}.items():
            for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00000002):
                with subtests.test(name, tag=hex(tag), pixels=pixels):
                    obj = parse(data)
                    obj.data.set_value(tag, "UN", b"")
                    with pytest.raises(OutcomeUnexpected):
                        check(obj)

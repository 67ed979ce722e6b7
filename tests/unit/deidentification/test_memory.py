"""What is remembered of earlier objects changes nothing about later ones."""

from __future__ import annotations

import random

import pytest

from scandock.deidentification.parsing import parse
from scandock.deidentification.profile import actions, memory
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.scrub import Context, Rules, Scrubbed, ScrubResult, scrub
from tests.unit.deidentification.generated import CLASSES, make_object, written
from tests.unit.deidentification.mutation import bases, mutated
from tests.unit.deidentification.objects import joined
from tests.unit.formats_dicom.build import IMPLICIT, Writer
from tests.unit.formats_dicom.build import make_object as build

CONTEXT = Context(key=b"k" * 32, variables={"project": "P"})
PROFILES = ("basic", "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics,retain-patient")
WRITE = Writer()


def result_of(data: bytes, profile: str = PROFILES[1]) -> bytes | ScrubResult:
    result = scrub(data, rules=Rules(profile=parse_profile(profile)), context=CONTEXT)
    return joined(result.parts, data) if isinstance(result, Scrubbed) else result


def result_alone(data: bytes, profile: str = PROFILES[1]) -> bytes | ScrubResult:
    """As it is in a process that has seen nothing before."""
    actions.actions_of.cache_clear()
    return result_of(data, profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("most", [memory._MOST, 20_000])  # noqa: SLF001
def test_an_object_becomes_the_same_after_whatever_others(profile: str, most: int, monkeypatch: pytest.MonkeyPatch):
    objects = [*bases(), *map(mutated, range(60)), *(written(make_object(kind)) for kind in CLASSES)]
    expected = [result_alone(data, profile) for data in objects]
    order = [*range(len(objects))] * 2
    random.Random(1).shuffle(order)
    monkeypatch.setattr(memory, "_MOST", most)
    actions.actions_of.cache_clear()
    for index in order:
        assert result_of(objects[index], profile) == expected[index]


def test_what_stands_beside_an_element_counts(subtests: pytest.Subtests):
    maker = {0x00080070: ("LO", b"\xff\xfe")}
    item = WRITE.sequence(0x00081140, WRITE.item(WRITE.element(0x00080070, "LO", b"\xff\xfe")))
    icon = WRITE.element(0x7FE00010, "OW", b"MARK" * 2)
    plane = WRITE.element(0x60000010, "US", 8), WRITE.element(0x60000102, "US", 7)
    text = {0x00100218: ("UT", "head")}
    deep = WRITE.item(WRITE.element(0x00081155, "UI", "1.2.3"))
    for _ in range(60):
        deep = WRITE.item(WRITE.sequence(0x00081140, deep))
    deep = WRITE.sequence(0x00081140, deep)
    deeper = deep
    for _ in range(10):
        deeper = WRITE.sequence(0x00082112, WRITE.item(deeper))
    cases: dict[str, tuple[bytes, bytes]] = {
        "the character set": (build(maker), build({0x00080005: ("CS", "ISO_IR 192"), **maker})),
        "the character set around": (
            build({0x0008103E: None}, extra=item),
            build({0x00080005: ("CS", "ISO_IR 192"), 0x0008103E: None}, extra=item),
        ),
        "the kind of an overlay": (
            build(extra=plane[0] + WRITE.element(0x60000040, "CS", "R") + plane[1]),
            build(extra=plane[0] + WRITE.element(0x60000040, "CS", "G") + plane[1]),
        ),
        "that codes are beside it": (build(text), build({0x00080100: ("SH", "1"), **text})),
        "whether it is the image": (
            build(pixels=b"MARK" * 2),
            build(extra=WRITE.sequence(0x00880200, WRITE.item(icon)), pixels=b"MARK" * 2),
        ),
        "how deep it is": (build({0x0008103E: None}, extra=deep), build({0x0008103E: None}, extra=deeper)),
        "the patient": (build(), build({0x00100020: ("LO", "P2")})),
        "the encoding": (build(), build(syntax=IMPLICIT)),
    }
    for what, objects in cases.items():
        expected = [result_alone(data) for data in objects]
        for ordered in (objects, objects[::-1]):
            with subtests.test(what):
                actions.actions_of.cache_clear()
                assert {data: result_of(data) for data in ordered} == dict(zip(objects, expected, strict=True))


def test_what_goes_counts_no_more_for_what_stands_beside_it(subtests: pytest.Subtests):
    scheme = {0x00080102: ("ST", "DCM"), 0x00080119: ("UC", "12345678901234567890")}
    codes = WRITE.sequence(0x00081084, WRITE.item(*(WRITE.element(tag, *scheme[tag]) for tag in scheme)))
    sizes = (0x00280010, "US", 2), (0x00280011, "SH", b"\2\0"), (0x00280100, "US", 8)
    image = b"".join(WRITE.element(*size) for size in sizes)
    cases: dict[str, tuple[bytes, int]] = {
        "columns that are a text": (build(extra=image, pixels=b"MARK"), 0x7FE00010),
        "a scheme that is a free text": (build({0x0008103E: None}, extra=codes), 0x0008103E),
    }
    for what, (data, gone) in cases.items():
        with subtests.test(what):
            expected = result_alone(data)
            assert isinstance(expected, bytes)
            assert result_of(data) == expected
            assert gone not in parse(expected).data
            assert b"12345678901234567890" not in expected


def test_pixels_go_with_what_a_slowly_read_object_loses():
    """Elements out of order make pydicom read an object, which hands on all but the pixel data as changes."""
    sizes = (0x00280100, "US", 8), (0x00280011, "SH", b"\2\0"), (0x00280010, "US", 2)
    result = result_alone(build(extra=b"".join(WRITE.element(*size) for size in sizes), pixels=b"MARK"))
    assert isinstance(result, bytes)
    assert b"MARK" not in result


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_MOST", 50_000)
    kept, data_set = memory.Memory(), parse(build()).data
    for number in range(1_000):
        outcomes = kept.of(data_set, number // 50, in_code=False)
        kept.remember(outcomes, number.to_bytes(100, "big"), data_set, 0x00100020, None)
        assert outcomes[number.to_bytes(100, "big")] is None
    assert 0 < sum(map(len, kept._places.values())) < 50_000 // 400  # noqa: SLF001
    long = WRITE.element(0x00104000, "LT", b"head " * 500)
    actions.actions_of.cache_clear()
    assert result_of(build(extra=long)) == result_of(build(extra=long))

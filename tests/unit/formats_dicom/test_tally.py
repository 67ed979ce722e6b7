"""Values counted by series, and what is found inside sequences (xnat-behaviour.md 4.4, 4.5)."""

from __future__ import annotations

import struct

import pytest

from scandock.formats import dicom_tally
from scandock.formats.dicom_alike import AlikeHeaders
from scandock.formats.dicom_header import Header, read_header
from scandock.formats.dicom_tally import Tally
from scandock.model.series import MANY, SeriesTally
from scandock.model.tags import NUMBERS, PER_OBJECT, TAGS
from tests.unit.formats_dicom.build import BIG, EXPLICIT, IMPLICIT, SERIES, STUDY, Value, Writer, make_object, writer

Changes = dict[int, tuple[str, Value] | None]


def header(changes: Changes | None = None, *, wanted: frozenset[int] = frozenset(), **kwargs) -> Header:
    data = make_object(changes, **kwargs)
    return read_header(data, len(data), frozenset(TAGS) | wanted)


def tallied(*headers: Header) -> SeriesTally:
    tally = Tally()
    for one in headers:
        tally.add(one)
    (series,) = tally.drain()
    return series


def values(series: SeriesTally, keyword: str) -> dict[str, int]:
    return series.values.get(NUMBERS[keyword], {})


def test_values_are_counted_over_the_objects_of_a_series():
    series = tallied(
        header({0x00180050: ("DS", "1.5")}),
        header({0x00180050: ("DS", "1.5 "), 0x00100020: None}),
        header({0x00180050: ("DS", "2"), 0x00100020: ("LO", "")}),
    )
    assert (series.study_uid, series.series_uid, series.objects, series.frames) == (STUDY, SERIES, 3, 3)
    assert values(series, "SliceThickness") == {"1.5": 2, "2": 1}
    assert values(series, "PatientID") == {"P1": 1}
    assert values(series, "Rows") == {"2": 3}
    assert not series.values.keys() & PER_OBJECT


@pytest.mark.parametrize("wanted", [frozenset(), frozenset({0x00291001})])
def test_objects_that_are_alike_are_counted_as_each_by_itself(wanted: frozenset[int]) -> None:
    headers, alike, single = AlikeHeaders(frozenset(TAGS) | wanted), Tally(), Tally()
    by_what_they_share = 0
    for n in range(60):
        requests = writer(EXPLICIT).sequence(0x00400275, writer(EXPLICIT).item(Writer().element(0x00400009, "SH", "S")))
        changes: Changes = {
            0x00080018: ("UI", f"1.2.3.{n}"),
            0x00200013: ("IS", str(n)),
            0x00180050: ("DS", "1.5" if n % 3 else "2"),
            0x00280008: ("IS", str(n % 4)),
            0x0020000E: ("UI", f"1.2.{n % 2}"),
            0x00100010: ("PN", b"M\xfcller" if n % 2 else b"Doe"),
            0x00080005: ("CS", "ISO_IR 100" if n < 40 else "ISO_IR 192"),
        }
        extra = Writer().element(0x00291001, "LO", f"x{n % 5}") + (requests if n > 20 else b"")
        data = make_object(changes, extra=extra)
        read = headers.read(data)
        by_what_they_share += headers.shared is not None
        alike.add(read, headers.shared)
        single.add(read_header(data, len(data), frozenset(TAGS) | wanted))
        if n == 50:
            assert alike.drain() == single.drain()
    assert alike.drain() == single.drain()
    assert by_what_they_share > 40


def test_frames_of_objects_that_are_alike_are_looked_into_one_by_one() -> None:
    headers, tally = AlikeHeaders(frozenset(TAGS)), Tally()
    for n in range(20):
        timing = Writer().element(0x00180080, "DS", f"{1000 + n % 2}")
        macro = Writer().sequence(0x00189112, Writer().item(timing))
        data = make_object({0x00200013: ("IS", str(n))}, extra=Writer().sequence(0x52009229, Writer().item(macro)))
        tally.add(headers.read(data), headers.shared)
    (series,) = tally.drain()
    assert values(series, "RepetitionTime") == {"1000": 10, "1001": 10}


def test_each_series_and_each_study_apart_in_the_order_they_were_met():
    tally = Tally()
    for study, name in (("1.2", "A"), ("1.3", "A"), ("1.2", "B"), ("1.2", "A")):
        tally.add(header({0x0020000D: ("UI", study), 0x0020000E: ("UI", name)}))
    found = [(series.study_uid, series.series_uid, series.objects) for series in tally.drain()]
    assert found == [("1.2", "A", 2), ("1.3", "A", 1), ("1.2", "B", 1)]
    assert tally.drain() == []


def test_text_is_decoded_by_each_objects_own_character_set():
    series = tallied(
        header({0x00080005: ("CS", "ISO_IR 192"), 0x00100010: ("PN", "Müller".encode())}),
        header({0x00080005: ("CS", "ISO_IR 100"), 0x00100010: ("PN", "Müller".encode("latin-1"))}),
        header({0x00080005: None, 0x00100010: ("PN", "Müller".encode("latin-1"))}),
    )
    assert values(series, "PatientName") == {"Müller": 2, "M\ufffdller": 1}


def test_numbers_are_decoded_by_byte_order():
    series = tallied(header({0x00280010: ("US", 256)}), header({0x00280010: ("US", 256)}, syntax=BIG))
    assert values(series, "Rows") == {"256": 2}


@pytest.mark.parametrize(("text", "frames"), [("12", 12), ("0", 1), ("-4", 1), ("x", 1), ("", 1), ("3\\9", 3)])
def test_frames_are_summed_and_nonsense_is_one(text, frames):
    assert tallied(header({0x00280008: ("IS", text)}), header({0x00280008: None})).frames == frames + 1


def test_tags_of_site_rules_are_tallied_too():
    private = Writer().element(0x00291001, "LO", "project=A") + Writer().element(0x00380010, "LO", "ADM1")
    series = tallied(header(extra=private, wanted=frozenset({0x00291001, 0x00380010})))
    assert series.values[0x00291001] == {"project=A": 1}
    assert series.values[0x00380010] == {"ADM1": 1}


def test_distinct_values_are_bounded_and_objects_are_not_lost(monkeypatch):
    monkeypatch.setattr(dicom_tally, "FOLD_AT", 100)
    count = MANY + 50
    series = tallied(*(header({0x00080032: ("TM", f"{number:06}")}) for number in range(count)))
    assert series.objects == series.frames == count
    assert len(values(series, "AcquisitionTime")) == MANY
    assert series.overfull == {NUMBERS["AcquisitionTime"]}
    assert values(series, "Modality") == {"MR": count}


def test_texts_are_bounded():
    series = tallied(header({0x00081030: ("LO", "x" * 5000), 0x00104000: ("LT", "y" * 12_000)}))
    assert [len(text) for text in values(series, "StudyDescription")] == [1024]
    assert [len(text) for text in values(series, "PatientComments")] == [10_240]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("undefined", [True, False])
def test_tracer(syntax, undefined):
    write = writer(syntax)
    meaning = write.item(write.element(0x00080100, "SH", "C-111A1") + write.element(0x00080104, "LO", "^18^Fluorine"))
    item = write.item(
        write.element(0x00180031, "LO", "FDG "),
        write.element(0x00181072, "TM", "101500"),
        write.element(0x00181074, "DS", "370000000"),
        write.element(0x00181075, "DS", "6586.2"),
        write.sequence(0x00540300, meaning, undefined=undefined),
        undefined=undefined,
    )
    series = tallied(header(syntax=syntax, extra=write.sequence(0x00540016, item, undefined=undefined)))
    assert series.nested == {
        "Radiopharmaceutical": "FDG",
        "RadiopharmaceuticalStartTime": "101500",
        "RadionuclideTotalDose": "370000000",
        "RadionuclideHalfLife": "6586.2",
        "RadionuclideCodeMeaning": "^18^Fluorine",
    }
    assert NUMBERS["RadiopharmaceuticalInformationSequence"] not in series.values


def test_the_tracer_is_that_of_the_first_object():
    items = [Writer().item(Writer().element(0x00180031, "LO", name)) for name in ("FDG ", "FLT ")]
    series = tallied(*(header(extra=Writer().sequence(0x00540016, item)) for item in items))
    assert series.nested == {"Radiopharmaceutical": "FDG"}


def enhanced(write: Writer, *, undefined: bool = False) -> bytes:
    """Shared groups with timing, echo and a private macro, and two frames with geometry."""
    timing = write.element(0x00180080, "DS", "2000") + write.element(0x00181314, "DS", "9")
    echo = write.element(0x00189082, "FD", struct.pack(write.order + "d", 2.5))
    private = write.element(0x00180081, "DS", "77")
    shared = write.item(
        write.sequence(0x00189112, write.item(timing, undefined=undefined), undefined=undefined),
        write.sequence(0x00189114, write.item(echo, undefined=undefined), undefined=undefined),
        write.sequence(0x2005140F, write.item(private, undefined=undefined), undefined=undefined),
        undefined=undefined,
    )
    frames = []
    for spacing in ("0.5\\0.5", "9\\9"):
        measures = write.element(0x00180050, "DS", "3") + write.element(0x00280030, "DS", spacing)
        plane = write.element(0x00200037, "DS", "1\\0\\0\\0\\1\\0") + write.element(0x00180080, "DS", "8000")
        macros = write.sequence(0x00209116, write.item(plane)) + write.sequence(0x00289110, write.item(measures))
        frames.append(write.item(macros, undefined=undefined))
    return write.sequence(0x52009229, shared, undefined=undefined) + write.sequence(
        0x52009230, *frames, undefined=undefined
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("undefined", [True, False])
def test_functional_groups(syntax, undefined):
    changes: Changes = {0x00180050: None, 0x00280008: ("IS", "2")}
    series = tallied(header(changes, syntax=syntax, extra=enhanced(writer(syntax), undefined=undefined)))
    assert series.frames == 2
    assert series.nested == {
        "RepetitionTime": "2000",
        "FlipAngle": "9",
        "EchoTime": "2.5",
        "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
        "SliceThickness": "3",
        "PixelSpacing": "0.5\\0.5",
    }
    for keyword, text in series.nested.items():
        assert values(series, keyword) == {text: 1}


def test_top_level_wins_over_functional_groups():
    series = tallied(header({0x00180050: ("DS", "1.5")}, extra=enhanced(Writer())))
    assert values(series, "SliceThickness") == {"1.5": 1}
    assert series.nested["SliceThickness"] == "3"


def test_damaged_sequences_give_what_can_be_read():
    for length in range(0, len(enhanced(Writer())), 7):
        one = header()
        one.values[0x52009229] = enhanced(Writer(), undefined=True)[12:][:length]
        one.values[0x54 << 16 | 0x16] = bytes([length % 256]) * length
        assert tallied(one).objects == 1

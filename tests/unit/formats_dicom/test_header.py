"""Reading one object's header: what is read, how much of the object it takes, and what can't be kept."""

from __future__ import annotations

import zlib

import pytest

from scandock.formats import dicom_fallback
from scandock.formats.dicom_header import MAX_HEADER, Header, Unparseable, read_header
from scandock.model.tags import NUMBERS, TAGS
from tests.unit.formats_dicom.build import (
    BIG,
    DATASET,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    MR,
    PIXELS,
    SERIES,
    SOP,
    STUDY,
    UNDEFINED,
    Writer,
    make_object,
    meta,
    writer,
)

ALL = frozenset(TAGS)
LITTLE = Writer()
AGAIN = LITTLE.element(0x00100020, "LO", "P2")
"""An element that the data set has already: the fast scan leaves such objects to pydicom."""


def read(data: bytes, wanted: frozenset[int] = ALL) -> Header:
    return read_header(data, len(data), wanted)


def refusal(data: bytes) -> str:
    with pytest.raises(Unparseable) as refused:
        read(data)
    assert refused.value.message.endswith(".")
    return refused.value.code


@pytest.fixture
def only_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hot path must not need pydicom."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the fast scan declined")

    monkeypatch.setattr(dicom_fallback, "read_with_pydicom", refuse)


@pytest.mark.usefixtures("only_fast")
class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("syntax", "implicit", "big"),
        [(EXPLICIT, False, False), (IMPLICIT, True, False), (BIG, False, True), (JPEG, False, False)],
    )
    @pytest.mark.parametrize("preamble", [bytes(128), b"#!/bin/sh\nexit\n".ljust(128, b"\0"), None])
    def test_every_way_of_writing_gives_the_same_facts(self, syntax, implicit, big, preamble):
        data = make_object(syntax=syntax, preamble=preamble)
        header = read(data)
        assert (header.study_uid, header.series_uid, header.sop_uid, header.sop_class) == (STUDY, SERIES, SOP, MR)
        assert (header.implicit, header.big_endian, header.preamble) == (implicit, big, preamble is not None)
        assert header.transfer_syntax == ("" if preamble is None else syntax)
        assert header.dataset_at == (0 if preamble is None else 132 + len(meta(syntax)))
        expected = {number: writer(syntax).raw(*value) for number, value in DATASET.items()}
        assert {number: header.values[number] for number in DATASET} == expected
        assert header.pixels == "whole"
        assert header.notes == ()

    def test_a_memoryview_gives_values_that_outlive_it(self):
        buffer = bytearray(make_object())
        header = read_header(memoryview(buffer), len(buffer), ALL)
        buffer[:] = bytes(len(buffer))
        assert header.values[NUMBERS["PatientName"]] == b"DOE^JANE"
        assert all(type(value) is bytes for value in header.values.values())

    def test_meta_without_preamble(self):
        data = make_object()[132:]
        header = read(data)
        assert (header.preamble, header.transfer_syntax, header.sop_uid) == (False, EXPLICIT, SOP)

    def test_only_wanted_values_are_kept_and_the_uids_always_are(self):
        header = read(make_object(), frozenset({0x00080060}))
        assert header.values[0x00080060] == b"MR"
        assert 0x00100010 not in header.values
        assert header.series_uid == SERIES

    def test_tags_that_site_rules_name_are_read_at_run_time(self):
        private = LITTLE.element(0x00290010, "LO", "RULES") + LITTLE.element(0x00291001, "LO", "project=A")
        assert read(make_object(extra=private), ALL | {0x00291001}).values[0x00291001] == b"project=A "

    def test_padding_is_no_part_of_a_uid(self):
        changes = {0x0020000D: ("UI", b"1.2.3\0\0\0"), 0x0020000E: ("UI", b"1.2.3.4  "), 0x00080018: ("UI", b" 1.9 ")}
        header = read(make_object(changes))
        assert (header.study_uid, header.series_uid, header.sop_uid) == ("1.2.3", "1.2.3.4", "1.9")

    def test_a_uid_is_text_whatever_its_bytes(self):
        header = read(make_object({0x0020000D: ("UI", b"../\xff\x01\0x"), 0x0020000E: ("UI", "9" * 300)}))
        assert header.study_uid == "../\xff\ufffd\ufffdx"
        assert header.series_uid == "9" * 300

    def test_group_length_that_lies_is_not_believed(self):
        data = bytes(128) + b"DICM" + meta(EXPLICIT, group_length=5) + LITTLE.dataset(DATASET)
        assert read(data).sop_uid == SOP

    def test_transfer_syntax_that_lies_about_vrs_is_set_right(self):
        body = writer(IMPLICIT).dataset(DATASET)
        header = read(bytes(128) + b"DICM" + meta(EXPLICIT) + body)
        assert header.implicit
        assert header.values[NUMBERS["PatientID"]] == b"P1"

    def test_missing_transfer_syntax_is_told_by_the_data_set(self):
        for syntax in (EXPLICIT, IMPLICIT, BIG):
            data = bytes(128) + b"DICM" + meta(None) + writer(syntax).dataset(DATASET)
            assert read(data).study_uid == STUDY

    def test_unknown_transfer_syntax_is_explicit_little_endian(self):
        data = bytes(128) + b"DICM" + meta("1.2.3.4.5.6.7.8.9") + LITTLE.dataset(DATASET)
        assert read(data).study_uid == STUDY

    def test_a_dicomdir_is_told_and_needs_no_uids(self):
        data = bytes(128) + b"DICM" + meta(EXPLICIT, media_class="1.2.840.10008.1.3.10")
        header = read(data)
        assert header.is_dicomdir
        assert header.study_uid == ""
        assert not read(make_object()).is_dicomdir

    def test_media_storage_class_serves_where_there_is_no_sop_class(self):
        assert read(make_object({0x00080016: None})).sop_class == MR


@pytest.mark.usefixtures("only_fast")
class TestSequences:
    @pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
    @pytest.mark.parametrize("undefined", [True, False])
    def test_what_stands_in_a_sequence_is_not_taken_for_the_object(self, syntax, undefined):
        write = writer(syntax)
        inner = write.element(0x0020000D, "UI", "9.9") + write.element(0x0020000E, "UI", "9.9.9")
        nested = write.sequence(0x00081140, write.item(inner, undefined=undefined), undefined=undefined)
        sequence = write.sequence(0x00081115, write.item(nested, inner, undefined=undefined), undefined=undefined)
        data = make_object(syntax=syntax)
        at = data.index(write.element(0x00100010, "PN", "DOE^JANE"))
        header = read(data[:at] + sequence + data[at:])
        assert (header.study_uid, header.series_uid) == (STUDY, SERIES)

    def test_implicit_items_in_explicit_data(self):
        item = writer(IMPLICIT).item(writer(IMPLICIT).element(0x00080100, "SH", "A"), undefined=True)
        data = make_object(extra=LITTLE.sequence(0x00401008, item, undefined=True, vr="UN"))
        assert read(data).pixels == "whole"

    def test_compressed_pixels_within_a_sequence(self):
        icon = LITTLE.element(PIXELS, "OB", length=UNDEFINED) + LITTLE.item() + LITTLE.item(b"\xff\xd8" * 40)
        icon += b"\xfe\xff\xdd\xe0\0\0\0\0"
        extra = LITTLE.sequence(0x00880200, LITTLE.item(icon, undefined=True), undefined=True)
        data = make_object(extra=extra + LITTLE.element(0x54001001, "LO", "x"))
        assert read(data, ALL | {0x54001001}).values[0x54001001] == b"x "

    @pytest.mark.parametrize("undefined", [True, False])
    def test_wanted_sequences_are_kept_as_they_stand(self, undefined):
        item = LITTLE.item(LITTLE.element(0x00180031, "LO", "FDG "), undefined=undefined)
        data = make_object(extra=LITTLE.sequence(0x00540016, item, undefined=undefined))
        assert read(data).values[0x00540016].startswith(item)

    def test_a_wanted_sequence_is_bounded(self):
        frame = LITTLE.item(LITTLE.element(0x00189999, "OB", bytes(4000)))
        data = make_object(extra=LITTLE.sequence(0x52009230, *[frame] * 100, undefined=True))
        header = read(data)
        assert len(header.values[0x52009230]) == 65_536
        assert header.pixels == "whole"

    @pytest.mark.parametrize("first", [True, False])
    def test_10000_deep(self, first):
        opened = (LITTLE.element(0x00081115, "SQ", length=UNDEFINED) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 10_000
        closed = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * 10_000
        data = make_object()
        at = data.index(LITTLE.element(0x00080016, "UI", MR)) if first else data.index(b"\xe0\x7f\x10\x00OW")
        header = read(data[:at] + opened + closed + data[at:])
        assert (header.study_uid, header.pixels) == (STUDY, "whole")

    def test_100000_items_and_100000_private_elements(self):
        items = LITTLE.sequence(0x00081140, *[LITTLE.item(undefined=True)] * 100_000, undefined=True)
        private = b"".join(LITTLE.element(0x00091000 + number % 0xF000, "LO", "ab") for number in range(100_000))
        data = make_object()
        at = data.index(LITTLE.element(0x00100010, "PN", "DOE^JANE"))
        assert read(data[:at] + items + private + data[at:]).study_uid == STUDY


@pytest.mark.usefixtures("only_fast")
class TestPixels:
    def test_no_pixel_data(self):
        assert read(make_object(pixels=None)).pixels == "none"

    def test_cut_pixel_data_is_kept_and_said(self):
        data = make_object(pixels=bytes(1000))
        assert read(data[:-1]).pixels == "cut"

    def test_2_gb_claimed(self):
        data = make_object(pixels=None) + LITTLE.element(PIXELS, "OW", bytes(32), length=0x7FFFFFFE)
        assert read(data).pixels == "cut"

    @pytest.mark.parametrize(("cut", "state"), [(0, "whole"), (12, "cut"), (60, "cut")])
    def test_encapsulated(self, cut, state):
        fragments = LITTLE.item() + LITTLE.item(bytes(100)) + b"\xfe\xff\xdd\xe0\0\0\0\0"
        data = make_object(pixels=None) + LITTLE.element(PIXELS, "OB", length=UNDEFINED) + fragments
        assert read(data[: len(data) - cut]).pixels == state

    def test_the_whole_object_need_not_be_at_hand(self):
        data = make_object(pixels=bytes(1000))
        header = read_header(data[:-900], len(data), ALL)
        assert header.pixels == "whole"


@pytest.mark.usefixtures("only_fast")
class TestHowMuchIsRead:
    def test_more_is_asked_for_until_the_header_ends_and_no_further(self):
        extra = LITTLE.element(0x00291010, "OB", bytes(200_000))
        data = make_object({0x00280010: ("US", 77)}, extra=extra, pixels=bytes(5_000_000))
        asked: list[int] = []

        def more(length: int) -> memoryview:
            asked.append(length)
            return memoryview(data)[:length]

        header = read_header(memoryview(data)[:100], len(data), ALL, more)
        assert (header.study_uid, header.pixels) == (STUDY, "whole")
        assert header.values[0x00280010] == b"M\0"
        assert asked == sorted(set(asked))
        assert asked[-1] < 1_000_000

    def test_a_header_that_is_too_long_is_judged_by_its_leading_elements(self):
        asked: list[int] = []
        extra = LITTLE.element(0x00291010, "OB", bytes(1000), length=MAX_HEADER)
        data = make_object(extra=extra, pixels=None)

        def more(length: int) -> bytes:
            asked.append(length)
            return data

        header = read_header(data, 2 * MAX_HEADER, ALL, more)
        assert header.study_uid == STUDY
        assert "leading elements" in header.notes[0]
        assert asked == []

    def test_what_is_beyond_the_object_is_not_asked_for(self):
        data = make_object(pixels=None) + LITTLE.element(0x00420011, "OB", length=0x7FFFFFF0)
        header = read_header(data[:-100], len(data), ALL, lambda length: data[:length])
        assert header.pixels == "none"
        assert "(0042,0011) claims 2147483632 bytes" in header.notes[0]

    def test_without_more_the_head_must_do(self):
        data = make_object(extra=LITTLE.element(0x00291010, "OB", bytes(1000)))
        header = read_header(data[:-900], len(data), ALL)
        assert header.study_uid == STUDY
        assert "leading elements" in header.notes[0]


class TestDeflated:
    def deflated(self, body: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return bytes(128) + b"DICM" + meta(DEFLATED) + packer.compress(body) + packer.flush()

    def test_it_is_inflated(self):
        header = read(self.deflated(make_object(preamble=None)))
        assert (header.study_uid, header.transfer_syntax, header.pixels) == (STUDY, DEFLATED, "whole")
        assert header.dataset_at == 132 + len(meta(DEFLATED))

    def test_no_further_than_the_bound(self):
        body = make_object(preamble=None, pixels=None) + LITTLE.element(PIXELS, "OW", bytes(2 * MAX_HEADER))
        assert read(self.deflated(body)).study_uid == STUDY

    def test_unusual_data_set_by_pydicom(self):
        body = make_object(preamble=None, extra=AGAIN)
        header = read(self.deflated(body))
        assert (header.study_uid, header.values[0x00100020]) == (STUDY, b"P2")

    def test_damaged_or_cut(self):
        data = self.deflated(make_object(preamble=None, pixels=bytes(range(256)) * 8))
        assert refusal(data[:-20]) == "header_truncated"
        assert refusal(data[: 132 + len(meta(DEFLATED))] + b"\xff" * 300) == "header_damaged"

    def test_odd_meta_information_never_has_pydicom_inflate_it(self, monkeypatch):
        monkeypatch.setattr(zlib, "decompress", lambda *args: pytest.fail("inflated without a bound"))
        data = self.deflated(make_object(preamble=None))
        twice = LITTLE.element(0x00020010, "UI", DEFLATED)
        assert refusal(data[:132] + twice + data[132:]) == "header_damaged"


class TestRefused:
    def test_not_dicom(self):
        for data in (b"", b"DICM", b"\x89PNG\r\n\x1a\n" + bytes(200), b'{"a": 1}' * 50, bytes(500), b"\xff" * 500):
            assert refusal(data) == "not_dicom"

    @pytest.mark.parametrize(
        ("number", "code"), [(0x0020000D, "no_study_uid"), (0x0020000E, "no_series_uid"), (0x00080018, "no_sop_uid")]
    )
    @pytest.mark.parametrize("value", [None, ("UI", b""), ("UI", b" \0 \0")])
    def test_without_a_uid(self, number, code, value):
        assert refusal(make_object({number: value})) == code

    @pytest.mark.parametrize("number", [0x0020000D, 0x0020000E, 0x00080018])
    def test_a_uid_that_is_none_by_its_length(self, number):
        assert refusal(make_object({number: ("UI", "1" * 513)})) == "header_damaged"
        assert read(make_object({number: ("UI", "1" * 512)})).sop_class

    def test_preamble_only(self):
        assert refusal(bytes(128) + b"DICM") == "header_truncated"
        assert refusal(bytes(128) + b"DICM" + meta(EXPLICIT)) == "header_truncated"

    def test_every_cut_before_the_last_uid_is_refused_and_every_cut_in_the_pixels_kept(self):
        data = make_object(pixels=bytes(64))
        last_uid = data.index(LITTLE.element(0x00200011, "IS", "4"))
        pixels = data.index(b"\xe0\x7f\x10\x00OW")
        for length in range(132, last_uid):
            assert refusal(data[:length]) in {"header_truncated", "no_study_uid", "no_series_uid"}
        for length in range(pixels + 12, len(data)):
            assert read(data[:length]).pixels == "cut"

    def test_cut_in_an_identifying_group_behind_the_uids(self):
        data = make_object(pixels=None)
        assert refusal(data[:-1]) == "header_truncated"

    def test_cut_behind_the_identifying_groups_is_kept_and_said(self):
        data = make_object(extra=LITTLE.element(0x300A00B0, "UT", bytes(1000)), pixels=None)
        header = read(data[:-500])
        assert header.study_uid == STUDY
        assert "cut in element (300A,00B0)" in header.notes[0]

    def test_cut_in_a_sequence_of_undefined_length(self):
        data = make_object(extra=LITTLE.sequence(0x00400275, LITTLE.item(undefined=True), undefined=True), pixels=None)
        assert refusal(data[:-6]) == "header_truncated"

    def test_an_early_element_claims_2_gb(self):
        data = make_object()
        at = data.index(LITTLE.element(0x00100010, "PN", "DOE^JANE"))
        lie = LITTLE.element(0x00091010, "OB", bytes(16), length=0x7FFFFFF0)
        assert refusal(data[:at] + lie + data[at:]) == "header_damaged"

    def test_length_fffffffe_behind_all_that_identifies(self):
        lie = LITTLE.element(0x00291010, "OB", bytes(16), length=0xFFFFFFFE)
        assert "claims 4294967294 bytes" in read(make_object(extra=lie)).notes[0]

    def test_says_big_endian_but_is_little(self):
        data = bytes(128) + b"DICM" + meta(BIG) + LITTLE.dataset(DATASET)
        assert refusal(data).startswith(("no_", "header_"))


class TestUnusual:
    """What the fast scan declines and pydicom reads."""

    def test_an_element_that_stands_twice(self):
        assert read(make_object(extra=AGAIN)).values[0x00100020] == b"P2"

    def test_its_wanted_sequences_are_cut_from_the_bytes(self):
        item = LITTLE.item(LITTLE.element(0x00180031, "LO", "FDG "), undefined=True)
        extra = LITTLE.sequence(0x00540016, item, undefined=True) + LITTLE.element(0x54000010, "LO", "x")
        header = read(make_object(extra=AGAIN + extra))
        assert header.values[0x00540016] == item + b"\xfe\xff\xdd\xe0\0\0\0\0"

    def test_too_deep_for_pydicom_is_kept_by_its_leading_elements(self):
        opened = (LITTLE.element(0x00401008, "SQ", length=UNDEFINED) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 3_000
        header = read(make_object(extra=AGAIN + opened))
        assert header.study_uid == STUDY
        assert "nested too deeply" in header.notes[0]

    def test_too_much_for_pydicom_is_kept_by_its_leading_elements(self, monkeypatch):
        monkeypatch.setattr(dicom_fallback, "READS", 500)
        items = LITTLE.sequence(0x00401008, *[LITTLE.item(undefined=True)] * 300, undefined=True)
        header = read(make_object(extra=AGAIN + items))
        assert header.study_uid == STUDY
        assert "too many elements and items" in header.notes[0]

    def test_more_is_asked_for(self):
        extra = LITTLE.element(0x00291010, "OB", bytes(10_000))
        data = make_object(extra=AGAIN + extra)
        header = read_header(data[:600], len(data), ALL, lambda length: data[:length])
        assert (header.study_uid, header.pixels) == (STUDY, "whole")

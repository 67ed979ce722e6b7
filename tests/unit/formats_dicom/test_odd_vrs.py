"""Elements of a VR that is blank or does not exist: read as dcmdump reads them, by the fast scan and by pydicom."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import warnings
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydicom import dcmread

from scandock.formats import dicom_fallback, dicom_repair, dicom_vr
from scandock.formats.dicom_encoding import LITTLE
from scandock.formats.dicom_header import Header, Unparseable, read_header
from scandock.formats.dicom_items import Item, elements, first_item
from scandock.formats.dicom_repair import repair_header
from scandock.model.tags import TAGS
from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.frames import NotViewable
from tests.unit.formats_dicom.build import BIG, DATASET, EXPLICIT, IMPLICIT, STUDY, UNDEFINED, Writer, make_object, meta

ALL = frozenset(TAGS)
WRITE = Writer()
MODALITY, NAME, PRIVATE = 0x00080060, 0x00100010, 0x00091010
SHORT = [b"  ", b"??", b"xx", b"cs", b"A1", b" A", b"--", b"\0\0", b"~ "]
LONG = [b"ZZ", b"QQ", b"OX", b"ox", b"px", b"lt"]
ODD = [*((vr, False) for vr in SHORT), *((vr, True) for vr in LONG)]


def odd(number: int, vr: bytes, value: bytes, *, long: bool, order: str = "<") -> bytes:
    """An element of VR `vr`, its length written in four bytes or in two."""
    tag = struct.pack(order + "HH", number >> 16, number & 0xFFFF) + vr
    return tag + (struct.pack(order + "HI", 0, len(value)) if long else struct.pack(order + "H", len(value))) + value


def with_odd(number: int, vr: bytes, value: bytes, *, long: bool, syntax: str = EXPLICIT) -> bytes:
    """A small MR object with this element in its place."""
    write = Writer(big=syntax == BIG)
    pieces = {tag: write.element(tag, *DATASET[tag]) for tag in DATASET}
    pieces[number] = odd(number, vr, value, long=long, order=write.order)
    body = b"".join(pieces[tag] for tag in sorted(pieces)) + write.element(0x7FE00010, "OW", bytes(8))
    return bytes(128) + b"DICM" + meta(syntax) + body


def read(data: bytes) -> Header:
    return read_header(data, len(data), ALL)


@pytest.fixture
def only_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the fast scan declined")

    monkeypatch.setattr(dicom_fallback, "read_with_pydicom", refuse)


def by_pydicom(data: bytes, header: Header):
    """What pydicom makes of the object, its header set right for it."""
    right = repair_header(data, 132, header.dataset_at, "", (not header.implicit, header.big_endian))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(io.BytesIO(right or data), stop_before_pixels=True)


@pytest.mark.usefixtures("only_fast")
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
@pytest.mark.parametrize(("vr", "long"), ODD)
class TestOneElement:
    def test_it_costs_nothing(self, vr, long, syntax):
        header = read(with_odd(MODALITY, vr, b"MR", long=long, syntax=syntax))
        assert header.values[MODALITY] == b"MR"
        assert (header.study_uid, header.pixels, header.notes) == (STUDY, "whole", ())

    def test_one_that_is_not_wanted_is_skipped(self, vr, long, syntax):
        header = read(with_odd(PRIVATE, vr, b"XY", long=long, syntax=syntax))
        assert header.values[NAME] == b"DOE^JANE"

    def test_pydicom_reads_the_same(self, vr, long, syntax):
        data = with_odd(MODALITY, vr, b"MR", long=long, syntax=syntax)
        dataset = by_pydicom(data, read(data))
        assert (dataset.Modality, dataset.PatientName, dataset.Rows) == ("MR", "DOE^JANE", 2)


@pytest.mark.usefixtures("only_fast")
def test_many_in_one_object():
    body = b"".join(
        odd(tag, b"  ", WRITE.raw(*value), long=False) if tag != min(DATASET) else WRITE.element(tag, *value)
        for tag, value in sorted(DATASET.items())
    )
    header = read(bytes(128) + b"DICM" + meta(EXPLICIT) + body + WRITE.element(0x7FE00010, "OW", bytes(8)))
    assert {tag: header.values[tag] for tag in DATASET} == {tag: WRITE.raw(*value) for tag, value in DATASET.items()}
    assert header.pixels == "whole"


@pytest.mark.usefixtures("only_fast")
@pytest.mark.parametrize(("vr", "long"), ODD)
@pytest.mark.parametrize("undefined", [True, False])
def test_inside_a_sequence(vr, long, undefined):
    inner = [odd(0x00080100, vr, b"T-1 ", long=long), WRITE.element(0x00080104, "LO", "Brain ")]
    for content in (inner, [WRITE.element(0x00080050, "SH", "1 "), *inner]):
        sequence = WRITE.sequence(0x00081140, WRITE.item(*content, undefined=undefined), undefined=undefined)
        data = make_object()
        at = data.index(WRITE.element(NAME, "PN", "DOE^JANE"))
        data = data[:at] + sequence + data[at:]
        header = read(data)
        assert (header.study_uid, header.pixels) == (STUDY, "whole")
        item = by_pydicom(data, header)[0x00081140].value[0]
        assert (item.CodeMeaning, item[0x00080100].value) == ("Brain", "T-1")


BLANKED = [b"  ", b"??", b"\0\0", b"Us", b"\1\2", b"\xff\xfe"]
CSA = b"SV10\4\3\2\1" + bytes(range(256)) * 16
"""Begins as a header of Siemens's does: with the letters of a VR."""


def blanked(data: bytes, element: bytes, vr: bytes) -> bytes:
    """The object with this VR in one element, whatever its length is written in."""
    at = data.index(element) + 4
    return data[:at] + vr + data[at + 2 :]


def in_pieces(data: bytes, first: int) -> Header:
    return read_header(data[:first], len(data), ALL, lambda count: data[:count])


@pytest.mark.parametrize("vr", BLANKED)
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
class TestWhatHadALongLength:
    """VRs with a length of four bytes were blanked too; dcmdump gives up there, and such an image is whole."""

    @pytest.mark.parametrize("kind", ["OB", "UN", "SQ", "short SQ"])
    def test_it_costs_nothing(self, vr, syntax, kind):
        write = Writer(big=syntax == BIG)
        item = write.item(write.element(0x00080100, "SH", "T-1 "), write.element(0x00080104, "LO", "Brain "))
        element = {
            "OB": write.element(0x00091010, "OB", CSA),
            "UN": write.element(0x00091010, "UN", b"abcd"),
            "SQ": write.element(0x00081140, "SQ", item * 40),
            "short SQ": write.element(0x00081140, "SQ", item),
        }[kind]
        data = make_object(syntax=syntax)
        at = data.index(write.element(NAME, "PN", "DOE^JANE"))
        plain = data[:at] + element + data[at:]
        odd = blanked(plain, element, vr)
        for header in (read(odd), in_pieces(odd, at + len(element) // 2), in_pieces(odd, at + 10)):
            assert header == read(plain)

    def test_pydicom_finds_its_items(self, vr, syntax):
        write = Writer(big=syntax == BIG)
        item = write.item(write.element(0x00080100, "SH", "T-1 "), write.element(0x00080104, "LO", "Brain "))
        element = write.element(0x00081140, "SQ", item * 2)
        data = make_object(syntax=syntax)
        at = data.index(write.element(NAME, "PN", "DOE^JANE"))
        odd = blanked(data[:at] + element + data[at:], element, vr)
        dataset = by_pydicom(odd, read(odd))
        assert [one.CodeMeaning for one in dataset[0x00081140].value] == ["Brain", "Brain"]
        assert dataset.PatientName == "DOE^JANE"

    def test_pixel_data(self, vr, syntax):
        plain = make_object(syntax=syntax)
        odd = blanked(plain, plain[-20:-8], vr)
        assert plain[-20:-8] == Writer(big=syntax == BIG).element(0x7FE00010, "OW", bytes(8))[:12]
        assert read(odd) == read(plain)


@pytest.mark.parametrize("vr", [*BLANKED, b"XX", b"ox"])
def test_any_element_of_the_meta_information(vr):
    version = WRITE.element(0x00020001, "OB", b"\0\1")
    plain = make_object()
    plain = plain[:140] + struct.pack("<I", len(meta(EXPLICIT)) - 12 + len(version)) + version + plain[144:]
    at = 132
    for number in (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010):
        at = plain.index(struct.pack("<HH", number >> 16, number & 0xFFFF), at)
        assert read(plain[: at + 4] + vr + plain[at + 6 :]) == read(plain), hex(number)


@pytest.mark.parametrize("vr", BLANKED)
def test_the_first_element_of_all(vr):
    """Empty or not: by it the encoding of the data set is told."""
    for charset in (b"ISO_IR 100", b""):
        plain = make_object({0x00080005: ("CS", charset)})
        odd = blanked(plain, WRITE.element(0x00080005, "CS", charset), vr)
        assert read(odd) == read(plain)
        assert by_pydicom(odd, read(odd)).PatientName == "DOE^JANE"


def test_items_of_implicit_vr_are_not_odd(monkeypatch):
    """Of any number, at no cost: those of UN are written so (PS3.5 6.2.2, note 2)."""
    monkeypatch.setattr(dicom_vr, "MOST_ODD", 0)
    implicit = Writer(explicit=False)
    content = implicit.element(0x00080100, "SH", "T-1 "), implicit.element(0x00080104, "LO", "x ")
    items, undefined = implicit.item(*content) * 3, implicit.item(*content, undefined=True)
    data = make_object()
    at = data.index(WRITE.element(NAME, "PN", "DOE^JANE"))
    un = WRITE.element(0x00091010, "UN", length=UNDEFINED) + undefined * 3 + items + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert read(data[:at] + un + data[at:]).study_uid == STUDY


@pytest.mark.parametrize(("vr", "long"), ODD)
def test_elements_of_an_item(vr, long):
    item = WRITE.item(odd(0x00080100, vr, b"T-1 ", long=long), WRITE.element(0x00080104, "LO", "Brain "))
    found = first_item(item, LITTLE, explicit=True)
    assert isinstance(found, Item)
    assert [(one.number, item[one.start : one.end]) for one in elements(item, found, LITTLE)] == [
        (0x00080100, b"T-1 "),
        (0x00080104, b"Brain "),
    ]


@pytest.mark.usefixtures("only_fast")
def test_pixel_data_of_a_vr_that_is_none():
    for vr in (b"OX", b"  ", b"??"):
        data = make_object(pixels=None) + odd(0x7FE00010, vr, bytes(8), long=True)
        assert read(data).pixels == "whole"
        assert read(data[:-1]).pixels == "cut"


def test_two_capitals_with_a_length_of_two_bytes_all_the_same():
    """dcmdump takes four; what follows says that it is two."""
    header = read(with_odd(MODALITY, b"ZZ", b"MR", long=False))
    assert (header.values[MODALITY], header.values[NAME], header.pixels) == (b"MR", b"DOE^JANE", "whole")


@pytest.mark.usefixtures("only_fast")
def test_a_data_set_that_goes_on_in_implicit_vr():
    """As pydicom reads it, and as some writers write private elements."""
    implicit = Writer(explicit=False)
    for value in (b"", b"ab", b"abcdefghij", bytes(30)):
        private = implicit.element(PRIVATE, "LO", value) + implicit.element(PRIVATE + 1, "LO", b"xy")
        data = make_object()
        at = data.index(WRITE.element(NAME, "PN", "DOE^JANE"))
        data = data[:at] + private + data[at:]
        header = read(data)
        assert (header.values[NAME], header.pixels) == (b"DOE^JANE", "whole")
        assert by_pydicom(data, header).PatientName == "DOE^JANE"


def test_in_the_meta_information():
    data = make_object()
    at = data.index(WRITE.element(0x00020003, "UI", "1.2.3.4.5"))
    data = data[:at] + odd(0x00020003, b"  ", b"1.2.3.4.5\0", long=False) + data[at + 18 :]
    header = read(data)
    assert (header.transfer_syntax, header.study_uid) == (EXPLICIT, STUDY)
    assert by_pydicom(data, header).file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"


def test_as_the_very_first_element():
    data = make_object()
    at = data.index(b"\x08\x00\x05\x00CS")
    header = read(data[: at + 4] + b"  " + data[at + 6 :])
    assert header.values[0x00080005] == b"ISO_IR 100"
    assert header.pixels == "whole"


@pytest.mark.parametrize("nested", [True, False])
def test_a_great_many_are_left_to_pydicom_which_has_a_budget(monkeypatch, nested):
    monkeypatch.setattr(dicom_vr, "MOST_ODD", 20)
    private = b"".join(odd(PRIVATE + number, b"  ", b"ab", long=False) for number in range(30))
    if nested:
        private = WRITE.sequence(PRIVATE, WRITE.item(private, undefined=True), undefined=True)
    data = make_object()
    at = data.index(WRITE.element(NAME, "PN", "DOE^JANE"))
    data = data[:at] + private + data[at:]
    read_slow = Mock(wraps=dicom_fallback.read_with_pydicom)
    monkeypatch.setattr(dicom_fallback, "read_with_pydicom", read_slow)
    assert read(data).values[NAME] == b"DOE^JANE"
    assert read_slow.call_count == 1
    monkeypatch.setattr(dicom_repair, "MOST_SET_RIGHT", 20)
    with pytest.raises(Unparseable, match="elements have a value representation that does not exist"):
        read(data)
    assert read_slow.call_count == 1
    with pytest.raises(NotViewable, match="Too many of its elements"):
        open_dicom(io.BytesIO(data))


class TestPastTheWantedTags:
    def test_what_is_odd_there_costs_nothing(self):
        broken = struct.pack("<HH", 0x6000, 0x0010) + b"\xff\xfe\x01\x02\x03\x04\x05\x06garbage"
        header = read(make_object(extra=broken, pixels=None))
        assert (header.study_uid, header.notes) == (STUDY, ())

    def test_what_is_odd_behind_the_identifying_groups_is_said(self):
        broken = struct.pack("<HH", 0x0029, 0x1010) + b"\xff\xfe\xff\xff" + b"\xff" * 40
        header = read(make_object(extra=broken, pixels=None))
        assert header.study_uid == STUDY
        assert re.search(r"\(00(28|29),\d{4}\)", header.notes[0])

    def test_what_is_odd_behind_all_uids_costs_no_image(self):
        """Of the second one of two elements nothing was written but its tag and a blank VR."""
        broken = odd(0x00280120, b"  ", b"\0\0", long=False) + struct.pack("<HH", 0x0028, 0x0120) + b"  "
        rest = WRITE.element(0x00281050, "DS", "40") + WRITE.element(0x00281051, "DS", "400 ")
        header = read(make_object(extra=broken + rest))
        assert (header.study_uid, header.values[NAME]) == (STUDY, b"DOE^JANE")
        assert "(0028,0120) has a value representation that does not exist" in header.notes[0]
        with pytest.raises(Unparseable, match="no Study Instance UID"):
            read(make_object({0x0020000D: None}, extra=broken + rest))

    def test_what_is_odd_among_what_identifies_is_refused(self):
        data = make_object()
        at = data.index(WRITE.element(NAME, "PN", "DOE^JANE"))
        broken = struct.pack("<HH", 0x0009, 0x1010) + b"\xff\xfe\xff\xff" + b"\xff" * 40
        with pytest.raises(Unparseable, match=r"element \(0009,1010\) has a value representation that does not exist"):
            read(data[:at] + broken + data[at:])


class TestEveryReading:
    @pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
    @pytest.mark.parametrize("aligned", [True, False])
    def test_a_dicm_mark_by_chance_in_an_object_without_a_preamble(self, syntax, aligned):
        """`aligned`: an element ends right behind the mark, so that what follows it reads like a data set too."""
        write = Writer(explicit=syntax != IMPLICIT, big=syntax == BIG)
        begin = write.element(0x00080005, "CS", "ISO_IR 100") + write.element(0x00080008, "CS", "ORIGINAL\\PRIMARY")
        begin += write.element(0x00080016, "UI", DATASET[0x00080016][1]) + write.element(0x00080018, "UI", "1.2.3.4.5")
        at = len(begin) + 8
        value = b"x" * (128 - at) + b"DICM" + (b"" if aligned else b"yyyy")
        begin += write.element(0x00080050, "SH", value)
        rest = {tag: value for tag, value in DATASET.items() if tag > 0x00080050}
        data = begin + write.dataset(rest) + write.element(0x7FE00010, "OW", bytes(8))
        assert data[128:132] == b"DICM"
        header = read(data)
        assert (header.preamble, header.dataset_at, header.study_uid) == (False, 0, STUDY)
        assert header.values[0x00080005] == b"ISO_IR 100"
        assert header.values[0x00080050] == value
        assert (header.pixels, header.notes) == ("whole", ())

    @pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
    def test_a_mark_by_chance_before_all_that_identifies(self, syntax):
        """What stands behind the mark reads like an object of its own, without the character set."""
        write = Writer(explicit=syntax != IMPLICIT, big=syntax == BIG)
        begin = write.element(0x00080005, "CS", "ISO_IR 100")
        begin += write.element(0x00080008, "CS", b"x" * (120 - len(begin)) + b"DICM")
        rest = {tag: value for tag, value in DATASET.items() if tag > 0x00080008}
        data = begin + write.dataset(rest) + write.element(0x7FE00010, "OW", bytes(8))
        assert (data[128:132], len(begin)) == (b"DICM", 132)
        header = read(data)
        assert (header.preamble, header.values[0x00080005]) == (False, b"ISO_IR 100")

    def test_why_one_with_a_mark_by_chance_is_refused(self):
        """It says what is wrong with the object, not with the bytes behind the mark."""
        begin = WRITE.element(0x00080005, "CS", "ISO_IR 100") + WRITE.element(0x00080060, "CS", "MR")
        begin += WRITE.element(0x00080080, "LO", b"x" * (120 - len(begin) - 8))
        begin += WRITE.element(0x00081010, "SH", b"DICMA1")
        data = begin + WRITE.element(0x00081030, "LO", "Breast") + WRITE.element(0x0020000D, "UI", STUDY)
        assert data[128:132] == b"DICM"
        with pytest.raises(Unparseable) as refused:
            read(data)
        assert refused.value.code == "no_series_uid"

    def test_where_the_data_set_is_lost_no_cut_is_said(self):
        implicit = Writer(explicit=False)
        lost = implicit.element(0x00200010, "SH", "1 ") + struct.pack("<HHI", 0, 0, 1000) + bytes(100)
        data = bytes(128) + b"DICM" + meta(IMPLICIT) + implicit.element(0x00080005, "CS", "ISO_IR 100") + lost
        with pytest.raises(Unparseable, match=r"damaged: element \(0000,0000\) is none of a data set"):
            read(data)

    def test_a_preamble_that_begins_like_a_data_set(self):
        preamble = WRITE.element(0x00080005, "CS", "ISO_IR 100") + WRITE.element(0x00080008, "CS", "ORIGINAL")
        header = read(make_object(preamble=preamble.ljust(128, b"\0")))
        assert (header.preamble, header.study_uid) == (True, STUDY)
        without_meta = preamble.ljust(128, b"\0") + b"DICM" + make_object(preamble=None)
        assert (read(without_meta).preamble, read(without_meta).study_uid) == (True, STUDY)

    @pytest.mark.usefixtures("only_fast")
    def test_little_endian_items_in_big_endian_data(self):
        """`UN` of undefined length is implicit little endian in any data set (PS3.5 6.2.2, note 2)."""
        write, implicit = Writer(big=True), Writer(explicit=False)
        inner = implicit.element(0x00080100, "SH", "T-1 ") + implicit.sequence(
            0x00081140, implicit.item(implicit.element(0x00080104, "LO", "x "), undefined=True), undefined=True
        )
        items = implicit.item(inner, undefined=True) + implicit.item(inner) + b"\xfe\xff\xdd\xe0\0\0\0\0"
        for place, before in ((0x00091010, NAME), (0x00101002, 0x00180050)):
            data = make_object(syntax=BIG)
            at = data.index(write.element(before, *DATASET[before]))
            data = data[:at] + write.element(place, "UN", length=UNDEFINED) + items + data[at:]
            header = read(data)
            assert (header.study_uid, header.pixels, header.big_endian) == (STUDY, "whole", True)
            assert by_pydicom(data, header).Rows == 2

    def test_big_endian_that_says_little(self):
        write = Writer(big=True)
        data = (
            bytes(128) + b"DICM" + meta(EXPLICIT) + write.dataset(DATASET) + write.element(0x7FE00010, "OW", bytes(8))
        )
        header = read(data)
        assert (header.study_uid, header.big_endian, header.pixels) == (STUDY, True, "whole")
        assert "big endian" in header.notes[0]

    def test_little_endian_that_says_big_is_refused_for_that(self):
        with pytest.raises(Unparseable, match="says that it is big endian, but its data set is written in little"):
            read(bytes(128) + b"DICM" + meta(BIG) + WRITE.dataset(DATASET))

    def test_an_ordinary_object_is_read_once(self, monkeypatch):
        from scandock.formats import dicom_header

        monkeypatch.setattr(dicom_header, "_read_otherwise", lambda *args: pytest.fail("read again"))
        for syntax in (EXPLICIT, IMPLICIT, BIG):
            read(make_object(syntax=syntax))
            read(make_object(syntax=syntax, preamble=None))


@pytest.mark.parametrize("failed", ["OSError", "RecursionError", "BudgetError", "MemoryError", "DeflatedUnbounded"])
def test_no_exceptions_name_reaches_a_person(monkeypatch, failed):
    facts = dicom_fallback.PydicomFacts(failed=failed, number=NAME)
    monkeypatch.setattr(dicom_fallback, "read_with_pydicom", lambda *args, **kwargs: facts)
    again = WRITE.element(0x00100020, "LO", "P2")
    with pytest.raises(Unparseable) as refused:
        read(make_object({0x0020000D: None}, extra=again))
    assert not re.search(r"Error|Unbounded|[a-z][A-Z]", refused.value.message)


DUMPED = re.compile(r"^\(([0-9a-f]{4}),([0-9a-f]{4})\) (\S\S) (.*?) +#", re.MULTILINE)


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK's dcmdump is not on this machine")
def test_dcmdump_reads_the_same(subtests, tmp_path: Path):
    """dcmdump gives up at a VR of zeros; all others are checked against it."""
    for vr, long in ODD:
        if vr == b"\0\0":
            continue
        with subtests.test(repr(vr)):
            data = with_odd(MODALITY, vr, b"MR", long=long)
            (tmp_path / "odd.dcm").write_bytes(data)
            dumped = subprocess.run(
                ["dcmdump", "-q", "+L", tmp_path / "odd.dcm"], capture_output=True, text=True, check=True, timeout=60
            ).stdout
            seen = {int(group + element, 16): value for group, element, _, value in DUMPED.findall(dumped)}
            as_one_number = vr in {b"px", b"lt"}
            assert seen[MODALITY] == ("524d" if as_one_number else "4d\\52")
            assert seen[NAME] == "[DOE^JANE]"
            assert read(data).values[MODALITY] == b"MR"

"""Objects become trees and bytes again: each trap of reading and writing headers without touching pixels."""

from __future__ import annotations

import io
import mmap
import struct
import tracemalloc
import zlib

import pytest
from pydicom import Dataset, Sequence, dcmread, dcmwrite

from scandock.deidentification import parsing, walking
from scandock.deidentification.data_set import Range
from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ObjectUnreadable, ScrubError
from scandock.deidentification.parsing import inflate, parse
from scandock.deidentification.verification import verify
from scandock.formats.dicom_header import read_header
from tests.unit.deidentification.objects import (
    SYNTAXES,
    body,
    deflated,
    items_of,
    joined,
    pydicom_of,
    reader,
    same_again,
    whole,
    written,
)
from tests.unit.formats_dicom.build import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    PIXELS,
    UNDEFINED,
    Writer,
    make_object,
    meta,
)

WRITE, BARE = Writer(), Writer(explicit=False)
NAME, ROWS, REFERENCES, PADDING, PRIVATE = 0x00100010, 0x00280010, 0x00081140, 0xFFFCFFFC, 0x00291008
END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_changed_is_all_that_changes(syntax):
    write = SYNTAXES[syntax]
    inner = write.sequence(0x0040A170, write.item(write.element(0x00080104, "LO", "deep")), undefined=True)
    item = write.item(write.element(0x00081155, "UI", "1.2.9"), inner)
    data = whole(syntax, body(write, (REFERENCES, write.sequence(REFERENCES, item, item))))
    same_again(data)
    before, obj = pydicom_of(parse(data)), parse(data)
    obj.data.set_text(ROWS, "512")
    obj.data.set_text(0x00181310, "1\\2\\3\\258")
    items_of(items_of(obj.data, REFERENCES)[1], 0x0040A170)[0].set_text(0x00080104, "changed")
    obj.data.remove(0x00200011)
    read = pydicom_of(obj)
    assert (read.Rows, list(read.AcquisitionMatrix)) == (512, [1, 2, 3, 258])
    assert read.ReferencedImageSequence[1].PurposeOfReferenceCodeSequence[0].CodeMeaning == "changed"
    before.Rows, before.AcquisitionMatrix = 512, [1, 2, 3, 258]
    before.ReferencedImageSequence[1].PurposeOfReferenceCodeSequence[0].CodeMeaning = "changed"
    del before.SeriesNumber
    assert read == before


def test_new_elements_of_implicit_vr_are_read_by_the_dictionary():
    obj = parse(whole(IMPLICIT, body(BARE)))
    obj.data.set_text(0x00280011, "7")
    obj.data.set_text(0x00180050, "2.5")
    obj.data.set_text(0x00291001, "private")
    obj.data.set_text(0x00290010, "creator")
    assert [obj.data.vr(tag) for tag in (0x00291001, 0x00290010, 0x00280011)] == ["UN", "LO", "US"]
    read = pydicom_of(obj)
    assert (read.Columns, read.SliceThickness, read[0x00291001].value) == (7, 2.5, b"private\0")


def test_values_of_big_endian_are_numbers_in_its_order():
    obj = parse(whole(BIG, body(SYNTAXES[BIG], (0x00081163, SYNTAXES[BIG].element(0x00081163, "AT", b"\0\x10\0\x20")))))
    assert obj.data.texts(ROWS) == ["2"]
    assert obj.data.texts(0x00081163) == ["00100020"]
    obj.data.set_text(ROWS, "258")
    obj.data.set_text(0x00281052, "-1024.5")
    assert obj.data.value(ROWS) == b"\1\2"
    assert pydicom_of(obj).Rows == 258


def test_a_deflated_data_set_is_inflated_changed_and_deflated_again():
    data = deflated(body(WRITE, pixels=bytes(40_000)))
    obj = same_again(data)
    obj.data.set_text(NAME, "Nobody")
    out = written(obj)
    read = pydicom_of(parse(out))
    assert (read.PatientName, len(read.PixelData)) == ("Nobody", 40_000)
    assert len(out) % 2 == 0


def test_a_deflated_data_set_has_bounds(monkeypatch):
    data = deflated(body(WRITE, pixels=bytes(200_000)))
    monkeypatch.setattr(parsing, "MAX_INFLATED", 100_000)
    for wrong in (data, data[:-20], data[:300] + b"\xff" * 20):
        with pytest.raises(ObjectUnreadable):
            parse(wrong)


def test_what_stands_behind_a_deflated_stream_goes():
    data = deflated(body(WRITE))
    obj = parse(data + b"MARKMARK")
    assert obj.trailing == 8
    assert written(obj) == data
    obj = parse(deflated(body(WRITE) + b"MARKMARKMARK"))
    assert obj.trailing == 12
    assert b"MARK" not in inflate(written(obj)[written(obj).index(DEFLATED.encode()) + len(DEFLATED) :])[0]


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_un_of_undefined_length_holds_items_of_implicit_vr(syntax):
    write = SYNTAXES[syntax]
    items = BARE.item(BARE.element(NAME, "PN", "MARK"), BARE.element(ROWS, "US", 3), undefined=True)
    element = write.element(PRIVATE, "UN", length=UNDEFINED) + items + END
    obj = same_again(whole(syntax, body(write, (PRIVATE, element))))
    (item,) = items_of(obj.data, PRIVATE)
    assert (item.explicit, item.big, item.text(NAME), item.text(ROWS)) == (False, False, "MARK", "3")
    item.set_text(NAME, "Nobody^At^All")
    item.set_text(0x00100020, "new")
    out = written(obj)
    assert b"MARK" not in out
    (item,) = items_of(parse(out).data, PRIVATE)
    assert (item.text(NAME), item.text(0x00100020), item.explicit) == ("Nobody^At^All", "new", False)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_un_of_defined_length_that_holds_items_is_a_sequence(syntax):
    write = SYNTAXES[syntax]
    items = BARE.item(BARE.element(NAME, "PN", "MARK"))
    obj = same_again(whole(syntax, body(write, (PRIVATE, write.element(PRIVATE, "UN", items)))))
    assert PRIVATE in obj.data.sequence_tags()
    assert [(tag, data_set.text(tag)) for data_set, tag in obj.data.walk() if data_set is not obj.data] == [
        (NAME, "MARK")
    ]
    items_of(obj.data, PRIVATE)[0].remove(NAME)
    assert b"MARK" not in written(obj)


def test_un_with_items_of_explicit_vr_is_read_too():
    items = WRITE.item(WRITE.element(NAME, "PN", "MARK"))
    obj = same_again(whole(EXPLICIT, body(WRITE, (PRIVATE, WRITE.element(PRIVATE, "UN", items)))))
    (item,) = items_of(obj.data, PRIVATE)
    assert (item.explicit, item.text(NAME)) == (True, "MARK")


def test_un_that_begins_with_an_item_and_is_none_fails():
    for items in (b"\xfe\xff\0\xe0\x40\0\0\0cut", b"\xfe\xff\0\xe0\4\0\0\0MARK", BARE.item(b"") + b"MARK"):
        obj = parse(whole(EXPLICIT, body(WRITE, (PRIVATE, WRITE.element(PRIVATE, "UN", items)))))
        with pytest.raises(ObjectUnreadable):
            encode(obj)
        obj.data.remove(PRIVATE)
        assert b"MARK" not in written(obj)


def test_un_that_can_be_read_in_two_ways_fails():
    hidden = WRITE.element(0x00100020, "LO", b"MARK" * 5073)
    inner = WRITE.element(NAME, "LO", b"") + hidden
    assert len(inner) - 8 == 20_300 == int.from_bytes(b"LO", "little")  # of implicit VR: one element
    obj = parse(whole(EXPLICIT, body(WRITE, (PRIVATE, WRITE.element(PRIVATE, "UN", WRITE.item(inner))))))
    with pytest.raises(ObjectUnreadable):
        items_of(obj.data, PRIVATE)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_undefined_lengths_nest_and_stay(syntax):
    write = SYNTAXES[syntax]
    nested = write.item(write.element(NAME, "PN", "level 0"), undefined=True)
    for level in range(1, 6):
        sequence = write.sequence(0x0040A730, nested, write.item(), undefined=level % 2 == 1)
        nested = write.item(write.element(NAME, "PN", f"level {level}"), sequence, undefined=level % 3 > 0)
    data = whole(syntax, body(write, (0x0040A730, write.sequence(0x0040A730, nested, undefined=True))))
    obj = same_again(data)
    deepest = obj.data
    for _ in range(6):
        deepest = items_of(deepest, 0x0040A730)[0]
    deepest.set_text(NAME, "LEVEL 0")
    assert written(obj) == data.replace(b"level 0", b"LEVEL 0")


def test_too_many_levels_or_elements_fail(monkeypatch):
    for undefined in (True, False):
        nested = WRITE.item()
        for _ in range(walking.MOST_LEVELS + 1):
            nested = WRITE.item(WRITE.sequence(0x0040A730, nested, undefined=undefined))
        with pytest.raises(ObjectUnreadable):
            encode(parse(whole(EXPLICIT, body(WRITE, (0x0040A730, WRITE.sequence(0x0040A730, nested))))))
    monkeypatch.setattr(walking.Budget.__init__, "__defaults__", (50,))
    data = whole(EXPLICIT, body(WRITE, (REFERENCES, WRITE.sequence(REFERENCES, *[WRITE.item()] * 60))))
    with pytest.raises(ObjectUnreadable):
        encode(parse(data))


def encapsulated(*fragments: bytes) -> bytes:
    return WRITE.sequence(PIXELS, WRITE.item(b""), *map(WRITE.item, fragments), undefined=True, vr="OB")


def test_delimiters_within_fragments_are_none():
    pixels = encapsulated(b"\xff\xd8" + END + struct.pack("<HHI", 0xFFFE, 0xE00D, 0), b"\xff\xd9")
    data = whole(JPEG, body(WRITE, pixels=None) + pixels + WRITE.element(PADDING, "OB", bytes(4)))
    obj = same_again(data)
    assert PADDING in obj.data
    assert obj.pixels is not None
    assert obj.pixels.is_encapsulated
    assert obj.data.value(PIXELS) == pixels[12:-8]
    obj.data.remove(PADDING)
    assert written(obj).endswith(pixels)


def test_what_follows_pixel_data_is_walked():
    signature = WRITE.sequence(0xFFFAFFFA, WRITE.item(WRITE.element(0x04000100, "UI", "1.2.9")), undefined=True)
    padding = WRITE.element(PADDING, "OB", b"MARK")
    data = whole(EXPLICIT, body(WRITE) + signature + padding)
    obj = same_again(data)
    assert obj.data.tags()[-3:] == [PIXELS, 0xFFFAFFFA, PADDING]
    items_of(obj.data, 0xFFFAFFFA)[0].set_text(0x04000100, "1.2.8")
    obj.data.remove(PADDING)
    out = written(obj)
    assert (b"1.2.8" in out, b"1.2.9" in out, b"MARK" in out) == (True, False, False)


def test_junk_behind_the_data_set_is_not_written(subtests):
    for syntax, write in SYNTAXES.items():
        data = whole(syntax, body(write))
        without = whole(syntax, body(write, pixels=None))
        for junk in (b"MARKMARKMARK", b"\0", bytes(600), END, b"PK\3\4MARK", b"\x10\0\x10\0MARKMARK"):
            with subtests.test(syntax=syntax, junk=junk):
                obj = parse(data + junk)
                assert obj.trailing == len(junk)
                assert written(obj) == data
        for zeros in (b"\0", bytes(512)):
            obj = parse(without + zeros)
            assert (obj.trailing, written(obj)) == (len(zeros), without)


def test_stray_elements_behind_pixel_data_come_to_their_place():
    data = whole(EXPLICIT, body(WRITE) + WRITE.element(0x00104000, "LT", "MARK"))
    obj = parse(data)
    assert obj.data.text(0x00104000) == "MARK"
    assert pydicom_of(obj).PatientComments == "MARK"
    with pytest.raises(ObjectUnreadable):  # twice: which one counts?
        parse(whole(EXPLICIT, body(WRITE) + WRITE.element(NAME, "PN", "MARK")))


def test_pixel_data_of_icons_and_floats():
    icon = WRITE.item(WRITE.element(ROWS, "US", 1), WRITE.element(PIXELS, "OW", b"icon"))
    packed = WRITE.item(WRITE.element(ROWS, "US", 1), encapsulated(b"icon" + END))
    for number, vr in ((0x7FE00008, "OF"), (0x7FE00009, "OD"), (PIXELS, "OW")):
        for undefined in (True, False):
            icons = (0x00880200, WRITE.sequence(0x00880200, icon, packed, undefined=undefined))
            data = whole(EXPLICIT, body(WRITE, icons, pixels=None) + WRITE.element(number, vr, bytes(800)))
            parts = encode(same_again(data))
            assert isinstance(parts[1], memoryview)
            assert len(parts[1]) == 800
            obj = parse(data)
            assert obj.pixels is not None
            assert obj.pixels.tag == number
            assert items_of(obj.data, 0x00880200)[0].value(PIXELS) == b"icon"
            items_of(obj.data, 0x00880200)[0].set_text(ROWS, "2")
            items_of(obj.data, 0x00880200)[1].set_text(ROWS, "3")
            assert written(obj)[-800:] == bytes(800)
            obj.data.remove(number)
            assert len(written(obj)) == len(data) - 812


def test_lengths_that_lie_fail(subtests):
    late = WRITE.element(0x00324000, "LT", "comments")
    wrongs = {
        "a header that ends within an element": make_object(pixels=None)[:-3],
        "a length beyond the end": make_object(
            {0x00324000: None}, pixels=None, extra=late[:6] + b"\xf0\x7f" + late[8:]
        ),
        "pixel data that are cut": make_object()[:-2],
        "pixel data of a length beyond the end": make_object(pixels=None) + WRITE.element(PIXELS, "OW", length=1 << 30),
        "fragments that are cut": whole(JPEG, body(WRITE, pixels=None) + encapsulated(b"\xff\xd8" * 40)[:-20]),
        "fragments without an end": whole(JPEG, body(WRITE, pixels=None) + encapsulated(b"\xff\xd8" * 40)[:-8]),
        "no data set": make_object()[: make_object().index(b"\x08\0\5\0")],
        "a sequence without an end": make_object(
            pixels=None, extra=WRITE.sequence(0x00400275, WRITE.item(), undefined=True)[:-8]
        ),
        "an item longer than its sequence": make_object(
            extra=WRITE.sequence(0x00400275, WRITE.item(b"MARK" * 3)[:-4] + b"", undefined=False)
        ),
    }
    for name, data in wrongs.items():
        with subtests.test(name), pytest.raises(ScrubError):
            written(parse(data))


def test_what_is_stored_by_its_leading_elements_fails(subtests):
    odd = b"\x32\0\x00\x40\xff\xfe\xff\xff\xff\xffMARK"
    cases = [
        make_object(pixels=None, extra=odd),
        make_object(pixels=None, extra=WRITE.element(0x00324000, "LT", "MARK", length=4000)),
        make_object(pixels=None, extra=WRITE.sequence(0x00400275, b"MARKMARK", undefined=True)),
        make_object(pixels=None, extra=WRITE.element(0x00400254, "LO", length=0xFFF0) + b"MARK"),
    ]
    for data in cases:
        with subtests.test(data=data[-40:]):
            assert read_header(data, len(data), frozenset()).study_uid  # it is stored today
            with pytest.raises(ObjectUnreadable):
                encode(parse(data))


def test_pydicom_reads_what_is_odd_and_it_is_set_right(subtests):
    name, rows = WRITE.element(NAME, "PN", "Odd"), WRITE.element(0x00280103, "US", 1)
    short = name[:6] + b"\3\0Odd"
    cases = {
        "an odd length": (make_object({NAME: None}, pixels=None) + short, b"Odd "),
        "out of order": (
            make_object({NAME: None}, pixels=None) + rows.replace(b"\x10\0US", b"\x30\0US") + name,
            b"Odd ",
        ),
        "twice": (make_object(pixels=None) + name, b"Odd "),
    }
    for case, (data, value) in cases.items():
        with subtests.test(case):
            obj = parse(data)
            assert obj.data.value(NAME) == value
            out = written(obj)
            assert list(parse(out).data) == sorted(obj.data)
            assert parse(out).data.changes == {}
            assert pydicom_of(obj).PatientName == "Odd"


def test_pydicom_reads_odd_items_alone():
    item = WRITE.item(WRITE.element(NAME, "PN", "B"), WRITE.element(0x00081155, "UI", "1.2"))
    fine = WRITE.item(WRITE.element(NAME, "PN", "A"))
    data = whole(EXPLICIT, body(WRITE, (REFERENCES, WRITE.sequence(REFERENCES, fine, item))))
    obj = parse(data)
    assert not obj.data.changes
    assert [entry.text(NAME) for entry in items_of(obj.data, REFERENCES)] == ["A", "B"]
    out = written(obj)
    assert [list(entry) for entry in items_of(parse(out).data, REFERENCES)] == [[NAME], [0x00081155, NAME]]
    assert written(parse(out)) == out


def test_odd_pixel_data_is_padded():
    data = make_object(pixels=None) + WRITE.element(PIXELS, "OB", length=7) + b"1234567"
    out = written(parse(data))
    assert out == make_object(pixels=None) + WRITE.element(PIXELS, "OB", b"1234567\0")
    ranged = parse(data[:900], len(data), reader(data))
    assert joined(encode(ranged), data) == out


def test_a_command_group_or_a_directory_is_no_data_set():
    for number in (0x00000002, 0x00041130, 0x00030010):
        data = bytes(128) + b"DICM" + meta(EXPLICIT) + WRITE.element(number, "UI", "1.2") + body(WRITE)
        with pytest.raises(ObjectUnreadable):
            parse(data)
    for junk in (b"", b"DICM", b"GIF89a" * 50, bytes(128) + b"DICM", bytes(4000)):
        with pytest.raises(ObjectUnreadable):
            parse(junk)


def test_objects_without_meta_group_preamble_or_uids():
    for syntax, write in SYNTAXES.items():
        for data_set in (body(write), write.element(NAME, "PN", "A"), write.element(0x00080005, "CS", "ISO_IR 100")):
            obj = same_again(data_set)
            assert (obj.meta, obj.preamble, obj.preamble_bytes, obj.transfer_syntax) == (None, False, b"", "")
            assert obj.data.explicit == (syntax != IMPLICIT)
            same_again(whole(syntax, data_set))
        same_again(meta(syntax) + body(write))
    obj = parse(BARE.element(NAME, "PN", "A"))
    obj.data.set_text(NAME, "Nobody")
    assert written(obj) == BARE.element(NAME, "PN", "Nobody")


def test_the_meta_group_is_kept_and_its_length_is_computed():
    data = bytes(range(128)) + b"DICM" + meta(EXPLICIT, group_length=7) + body(WRITE)
    obj = same_again(data)  # wrong as it is, as long as nothing else changes
    assert obj.meta is not None
    obj.meta.set_text(0x00020003, "1.2.3.4.5.6.7.8.9")
    obj.data.set_text(0x00080018, "1.2.3.4.5.6.7.8.9")
    obj.preamble_bytes = bytes(128)
    out = written(obj)
    read = dcmread(io.BytesIO(out))
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5.6.7.8.9"
    assert read.file_meta.FileMetaInformationGroupLength == out.index(b"\x08\0\5\0") - 144
    assert out[:128] == bytes(128)


def test_odd_meta_information_is_set_right(subtests):
    uid = b"\2\0\3\0UI\7\x001.2.3.4"
    syntax = WRITE.element(0x00020010, "UI", EXPLICIT)
    media = WRITE.element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.4")
    for name, group in {
        "an odd length": media + uid + syntax,
        "out of order": syntax + media,
        "no group length": media + syntax,
        "a group length that is too large": WRITE.element(0x00020000, "UL", 90) + media + syntax,
        "a group length that ends in an element": WRITE.element(0x00020000, "UL", 9) + media + syntax,
    }.items():
        with subtests.test(name):
            obj = parse(bytes(128) + b"DICM" + group + body(WRITE))
            assert obj.meta is not None
            assert obj.transfer_syntax == EXPLICIT
            assert obj.meta.text(0x00020002) == "1.2.840.10008.5.1.4.1.1.4"
            assert all(tag >> 16 == 2 for tag in obj.meta)
            obj.meta.set_text(0x00020003, "1.2.3.4.5")
            out = written(obj)
            again = parse(out)
            assert again.meta is not None
            assert again.meta.changes == {}
            assert written(parse(out)) == out
            assert out.endswith(body(WRITE))
            assert dcmread(io.BytesIO(out)).file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"


def test_a_large_object_is_read_by_ranges():
    """Of 2 GB nothing is read but the header, the places of fragments, and what follows."""
    size, header = 2 << 30, whole(JPEG, body(WRITE, pixels=None))
    fragment = 1 << 28
    head = header + WRITE.element(PIXELS, "OB", length=UNDEFINED)
    places = {len(head) + index * (8 + fragment): struct.pack("<HHI", 0xFFFE, 0xE000, fragment) for index in range(7)}
    end = len(head) + 7 * (8 + fragment)
    tail = END + WRITE.element(PADDING, "OB", b"MARK")
    asked = []

    def read(start: int, stop: int) -> bytes:
        asked.append(stop - start)
        made = bytearray(stop - start)
        for at, piece in [(0, head), *places.items(), (end, tail)]:
            low, high = max(start, at), min(stop, at + len(piece))
            if low < high:
                made[low - start : high - start] = piece[low - at : high - at]
        return bytes(made)

    assert end + len(tail) < size
    tracemalloc.start()
    try:
        obj = parse(head[:300], end + len(tail), read)
        obj.data.set_text(NAME, "Nobody")
        obj.data.remove(PADDING)
        parts = encode(obj)
        verify(obj, parts)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert parts[1] == Range(len(head), end + 8)
    assert len(parts) == 2
    assert sum(asked) < 1_000_000


def test_ranges_give_what_the_whole_gives(subtests):
    long = WRITE.element(0x00104000, "LT", "x" * 60_000)
    for syntax, write in SYNTAXES.items():
        for pixels in (bytes(range(200)) * 40, None):
            tail = write.element(PADDING, "OB", bytes(5000)) if pixels else b""
            data = whole(
                syntax, body(write, (0x00104000, long) if syntax == EXPLICIT else (1 << 40, b""), pixels=pixels)
            )
            data += tail
            for have in (140, 1000, 62_000, len(data)):
                with subtests.test(syntax=syntax, have=have):
                    obj = parse(data[:have], len(data), reader(data))
                    assert joined(encode(obj), data) == data
                    obj.data.set_text(NAME, "Nobody")
                    other = parse(memoryview(data))
                    other.data.set_text(NAME, "Nobody")
                    assert joined(encode(obj), data) == joined(encode(other), data)
                    if pixels:
                        assert obj.data.value(PIXELS) == pixels


def test_a_mapped_file_is_read_in_place(tmp_path):
    path = tmp_path / "object.dcm"
    path.write_bytes(make_object(pixels=bytes(100_000)))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    obj = parse(memoryview(mapped))
    obj.data.set_text(NAME, "Nobody")
    assert isinstance(encode(obj)[1], memoryview)
    assert pydicom_of(obj).PatientName == "Nobody"


def test_a_header_that_does_not_end_within_the_bound_fails(monkeypatch):
    monkeypatch.setattr(parsing, "MAX_HEADER", 4096)
    data = make_object({0x00104000: ("LT", "x" * 5000)})
    with pytest.raises(ObjectUnreadable):
        parse(data[:1000], len(data), reader(data))
    behind = make_object() + WRITE.element(PADDING, "OB", bytes(5000))
    with pytest.raises(ObjectUnreadable):
        parse(behind[:1000], len(behind), reader(behind))


def test_no_message_has_a_value(subtests):
    for extra in (
        WRITE.element(0x00324000, "LT", "MARK", length=4000),
        WRITE.element(0x00324000, "MA", "MARK"),
        WRITE.sequence(0x00400275, b"MARKMARK"),
        WRITE.element(0x00400254, "LO", "MARK", length=3),
    ):
        with subtests.test(extra=extra), pytest.raises(ScrubError) as caught:
            encode(parse(make_object(pixels=None, extra=extra)))
        assert "MARK" not in f"{caught.value}{caught.value.__cause__ or ''}"
        assert caught.value.code == "deid_unreadable"


def test_what_pydicom_writes_is_read(tmp_path):
    data = Dataset()
    data.PatientName, data.SOPInstanceUID, data.SOPClassUID = "A^B", "1.2.3", "1.2.840.10008.5.1.4.1.1.4"
    data.StudyInstanceUID = data.SeriesInstanceUID = "1.2"
    data.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    data.ReferencedImageSequence[1].ReferencedSOPInstanceUID = "1.2.3.4"
    data.SelectorSVValue, data.LongCodeValue, data.PixelData = [-5], "long", bytes(6)
    data["PixelData"].VR = "OW"
    for implicit, little in ((True, True), (False, True), (False, False)):
        path = tmp_path / f"{implicit}{little}.dcm"
        dcmwrite(path, data, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
        obj = same_again(path.read_bytes())
        assert (obj.data.explicit, obj.data.big) == (not implicit, not little)
        assert obj.data.texts(0x00720082) == ["-5"]


def test_inflating_needs_no_zlib_header():
    with pytest.raises(ObjectUnreadable):
        parse(whole(DEFLATED, zlib.compress(body(WRITE))))

"""The tree: reading, changing and removing elements at any depth, and what that writes."""

from __future__ import annotations

import gc
from weakref import ref

import pytest

from scandock.deidentification.data_set import MOST_SHORT
from scandock.deidentification.errors import ObjectUnreadable, ValueUnfit
from scandock.deidentification.parsing import parse
from tests.unit.deidentification.objects import SYNTAXES, body, items_of, pydicom_of, whole, written
from tests.unit.formats_dicom.build import EXPLICIT, PIXELS, Writer, make_object

WRITE, BARE = Writer(), Writer(explicit=False)
NAME, ROWS, REFERENCES, CODES = 0x00100010, 0x00280010, 0x00081140, 0x0040A170


def data_of(*extra: tuple[int, bytes]):
    return parse(whole(EXPLICIT, body(WRITE, *extra))).data


def test_it_is_like_a_mapping_by_tag():
    data = data_of()
    tags = list(data)
    assert tags == sorted(tags)
    assert (len(data), NAME in data, 0x00100011 in data) == (len(tags), True, False)
    data.remove(NAME)
    data.remove(NAME)
    data.remove(0x00100011)
    data.set_value(0x00100011, "LO", b"new")
    assert (len(data), NAME in data, 0x00100011 in data) == (len(tags), False, True)
    assert list(data) == sorted({*tags, 0x00100011} - {NAME})
    data.remove(0x00100011)
    assert list(data) == [tag for tag in tags if tag != NAME]
    for read in (data.vr, data.value, data.items, data.size):
        for tag in (NAME, 0x00100011):
            with pytest.raises(KeyError):
                read(tag)
    assert (data.texts(NAME), data.text(NAME)) == ([], None)


def test_values_vrs_and_sizes():
    data = data_of((0x00081155, WRITE.element(0x00081155, "UI", "1.2.3")), (NAME + 1, WRITE.element(NAME + 1, "SH")))
    assert (data.vr(0x00081155), data.value(0x00081155), data.size(0x00081155)) == ("UI", b"1.2.3\0", 6)
    assert (data.text(NAME + 1), data.texts(NAME + 1), data.items(NAME + 1)) == ("", [], None)
    assert (data.size(PIXELS), data.value(PIXELS)) == (8, bytes(8))
    data.set_value(NAME, "PN", b"odd")
    data.set_value(0x00081155, "UI", b"1.2")
    data.set_value(0x00420011, "OB", b"pdf")
    assert [data.value(tag) for tag in (NAME, 0x00081155, 0x00420011)] == [b"odd ", b"1.2\0", b"pdf\0"]
    assert data.size(NAME) == 4


def test_many_are_changed_at_once():
    obj, other = parse(make_object()), parse(make_object())
    values = {NAME: ("PN", b"odd"), 0x00100020: None, 0x00100040: ("CS", b"O"), ROWS: ("US", b"\1\0")}
    replacements = {tag: value and obj.data.replacement(tag, *value) for tag, value in values.items()}
    obj.data.change_all(replacements)
    for tag, change in values.items():
        if change is None:
            other.data.remove(tag)
        else:
            other.data.set_value(tag, *change)
    assert written(obj) == written(other)
    item = parse(make_object(extra=b"")).data.new_item()
    item.change_all({NAME: item.replacement(NAME, "PN", b"A")})
    obj.data.set_items(REFERENCES, [item])
    parsed = parse(written(obj))
    items_of(parsed.data, REFERENCES)[0].change_all({NAME: None})
    assert len(written(parsed)) == len(written(obj)) - 10
    with pytest.raises(ValueUnfit):
        obj.data.replacement(NAME, "PN", bytes(MOST_SHORT + 1))


def test_a_sequence_that_is_kept_as_bytes_is_written_as_its_items_are(subtests):
    for undefined in (False, True):
        with subtests.test(undefined=undefined):
            obj, other = parse(make_object()), parse(make_object())
            for one in (obj, other):
                data = one.data
                data.set_items(REFERENCES, [data.new_item(), data.new_item()])
                vr, _, items, _, _ = data.changes[REFERENCES] or ("", None, None, False, None)
                data.changes[REFERENCES] = vr, None, items, undefined, None
                items_of(data, REFERENCES)[1].set_value(NAME, "PN", b"A")
            change = obj.data.changes[REFERENCES]
            assert change is not None
            kept = obj.data.as_written(REFERENCES, change)
            assert kept is not None
            assert kept[2] is None
            obj.data.change_all({REFERENCES: kept})
            assert written(obj) == written(other)
            assert [len(item) for item in items_of(obj.data, REFERENCES)] == [0, 1]
            assert written(obj) == written(other)


def test_values_too_long_for_their_length_are_refused():
    data = data_of()
    data.set_value(0x00104000, "LT", bytes(MOST_SHORT))
    data.set_value(0x00420011, "OB", bytes(70_000))
    for length in (MOST_SHORT + 1, MOST_SHORT + 2, 70_000):
        with pytest.raises(ValueUnfit) as caught:
            data.set_value(0x00104000, "LT", b"M" * length)
        assert (caught.value.code, "MMM" in str(caught.value)) == ("deid_value", False)
    bare = parse(whole("1.2.840.10008.1.2", body(BARE)))
    bare.data.set_value(0x00104000, "LT", b"x" * 70_000)
    assert parse(written(bare)).data.value(0x00104000) == b"x" * 70_000


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_are_made_changed_and_kept_in_their_style(syntax, undefined):
    write = SYNTAXES[syntax]
    items = [write.item(write.element(NAME, "PN", name), undefined=undefined) for name in ("A", "B")]
    sequence = write.sequence(REFERENCES, *items, undefined=undefined)
    source = whole(syntax, body(write, (REFERENCES, sequence)))
    obj = parse(source)
    first, second = items_of(obj.data, REFERENCES)
    assert (first.parent, first.text(NAME), second.text(NAME)) == (obj.data, "A", "B")
    new = obj.data.new_item()
    new.set_text(NAME, "C")
    inner = new.new_item()
    inner.set_text(0x00080104, "meaning")
    new.set_items(CODES, [inner])
    obj.data.set_items(REFERENCES, [second, new])
    second.set_text(NAME, "D")
    inner.set_text(0x00080100, "code")
    read = pydicom_of(obj)
    assert [str(item.PatientName) for item in read.ReferencedImageSequence] == ["D", "C"]
    assert read.ReferencedImageSequence[1].PurposeOfReferenceCodeSequence[0].CodeValue == "code"
    assert read.ReferencedImageSequence.is_undefined_length == undefined
    assert read.ReferencedImageSequence[0].is_undefined_length_sequence_item == undefined
    obj = parse(source)
    obj.data.set_items(REFERENCES, [])
    assert items_of(obj.data, REFERENCES) == []
    assert len(pydicom_of(obj).ReferencedImageSequence) == 0
    obj = parse(source)
    obj.data.set_text(REFERENCES, "what a text makes of a sequence")
    obj.data.set_text(CODES, "")
    assert pydicom_of(obj)[CODES].value == []
    obj = parse(source)
    assert obj.data.value(REFERENCES) == b"".join(items)
    items_of(obj.data, REFERENCES)[0].remove(NAME)
    assert obj.data.value(REFERENCES) == write.item(undefined=undefined) + items[1]


def test_a_change_deep_down_is_written_once_its_parents_are():
    code = WRITE.item(WRITE.element(0x00080104, "LO", "MARK"))
    level = WRITE.item(WRITE.sequence(CODES, code, code))
    data = whole(EXPLICIT, body(WRITE, (REFERENCES, WRITE.sequence(REFERENCES, level, level))))
    obj = parse(data)
    for item in items_of(obj.data, REFERENCES):
        for inner in items_of(item, CODES):
            inner.remove(0x00080104)
    assert b"MARK" not in written(obj)
    obj = parse(data)
    item = items_of(obj.data, REFERENCES)[0]
    inner = items_of(item, CODES)[1]
    item.remove(CODES)
    inner.set_text(0x00080104, "gone with its sequence")
    assert b"gone" not in written(obj)


def test_walking_is_safe_while_elements_go():
    code = WRITE.item(WRITE.element(0x00080104, "LO", "x"))
    level = WRITE.item(WRITE.element(0x00081155, "UI", "1.2"), WRITE.sequence(CODES, code, code))
    obj = parse(whole(EXPLICIT, body(WRITE, (REFERENCES, WRITE.sequence(REFERENCES, level)))))
    walked = [(data_set is obj.data, tag) for data_set, tag in obj.data.walk()]
    at = walked.index((True, REFERENCES))
    assert walked[at + 1 : at + 5] == [(False, 0x00081155), (False, CODES), (False, 0x00080104), (False, 0x00080104)]
    seen = []
    for data_set, tag in obj.data.walk():
        seen.append(tag)
        if tag == CODES:
            data_set.remove(tag)
        if tag == NAME:
            data_set.remove(0x00100020)
    assert 0x00080104 not in seen
    assert 0x00100020 not in seen


def test_what_may_have_items_is_listed(subtests):
    for syntax, write in SYNTAXES.items():
        with subtests.test(syntax=syntax):
            items = BARE.item(BARE.element(NAME, "PN", "A"))
            private = (0x00291008, write.element(0x00291008, "UN", items))
            icon = write.item(write.element(PIXELS, "OW", b"icon"))
            known = [(tag, write.sequence(tag, icon)) for tag in (REFERENCES, CODES)]
            data = parse(whole(syntax, body(write, private, *known))).data
            assert data.sequence_tags() == [REFERENCES, 0x00291008, CODES]
            data.remove(CODES)
            data.set_items(0x0040A730, [data.new_item()])
            data.set_value(0x00291010, "UN", items)
            data.set_text(NAME, "no sequence")
            assert data.sequence_tags() == [REFERENCES, 0x00291008, 0x00291010, 0x0040A730]
            assert items_of(data, 0x00291010)[0].text(NAME) == "A"


def test_the_character_set_in_force_is_the_nearest(subtests):
    for syntax, write in SYNTAXES.items():
        own = write.item(write.element(0x00080005, "CS", "ISO_IR 192"), write.element(NAME, "PN", b"M\xc3\xbcller"))
        plain = write.item(write.element(NAME, "PN", b"M\xfcller"))
        with subtests.test(syntax=syntax):
            obj = parse(whole(syntax, body(write, (REFERENCES, write.sequence(REFERENCES, own, plain)))))
            items = items_of(obj.data, REFERENCES)
            assert [item.text(NAME) for item in items] == ["Müller"] * 2
            assert [item.character_set for item in items] == [b"ISO_IR 192", b"ISO_IR 100"]
            for item in items:
                item.set_text(NAME, "Özil")
            assert [item.value(NAME) for item in items] == [b"\xc3\x96zil ", b"\xd6zil"]
            with pytest.raises(ValueUnfit):
                items[1].set_text(NAME, "Ōzil")
            items[0].set_text(NAME, "Ōzil")
            items[0].remove(0x00080005)
            assert items[0].character_set == b"ISO_IR 100"


def test_a_character_set_that_is_far_too_long_is_a_failure():
    data_set = parse(make_object({0x00080005: ("CS", b"ISO_IR 100" + b"\\" * 1_020)})).data
    with pytest.raises(ObjectUnreadable, match="character set"):
        assert data_set.character_set


def test_bytes_outside_the_character_set_are_told(subtests):
    for charset, raw, expected in (
        ("", b"M\xfcller", False),
        ("ISO_IR 192", b"M\xfcller", False),
        ("ISO_IR 192", b"M\xc3\xbcller", True),
        ("\\ISO 2022 IR 87", b"\x1b$Zxx", False),
        ("ISO_IR 100", b"M\xfcller", True),
    ):
        with subtests.test(charset=charset, raw=raw):
            data = parse(
                make_object({0x00080005: ("CS", charset), NAME: ("PN", raw), 0x00080060: ("CS", b"M\xff")})
            ).data
            assert data.is_decodable(NAME) == expected
            assert not data.is_decodable(0x00080060)
            assert data.is_decodable(ROWS)


def test_un_of_a_known_element_is_read_and_made_as_what_it_is():
    obj = parse(make_object({NAME: ("UN", b"M\xfcller"), ROWS: ("UN", b"\3\0")}))
    assert (obj.data.vr(NAME), obj.data.text(NAME), obj.data.text(ROWS)) == ("UN", "Müller", "3")
    obj.data.set_text(NAME, "Özil")
    obj.data.set_text(ROWS, "258")
    assert (obj.data.vr(NAME), obj.data.value(NAME), obj.data.value(ROWS)) == ("UN", b"\xd6zil", b"\2\1")
    read = pydicom_of(obj)
    assert (read.PatientName, read.Rows) == ("Özil", 258)


def test_vrs_of_new_elements():
    data = data_of()
    for tag, vr in (
        (0x00100030, "DA"),
        (0x00281052, "DS"),
        (0x00290010, "LO"),
        (0x00291001, "UN"),
        (0x00080000, "UL"),
        (0x60020010, "US"),
        (0x50FE3000, "OW"),
        (0x00080001 + 0x0E, "UN"),
        (0x00280106, "US"),
    ):
        assert data.default_vr(tag) == vr
    data.set_text(0x00280103, "1")
    assert data.default_vr(0x00280106) == "SS"
    assert data.new_item().default_vr(0x00280106) == "SS"
    data.set_text(0x00280106, "-5")
    assert data.texts(0x00280106) == ["-5"]
    data.set_text(0x00081030, "as told", "UT")
    assert (data.vr(0x00081030), data.value(0x00081030)) == ("UT", b"as told ")


def test_an_object_goes_without_the_collector_of_garbage():
    gc.disable()
    try:
        obj = parse(whole(EXPLICIT, body(WRITE, (REFERENCES, WRITE.sequence(REFERENCES, WRITE.item())))))
        item = items_of(obj.data, REFERENCES)[0]
        item.set_text(NAME, "A")
        obj.data.set_items(CODES, [obj.data.new_item()])
        written(obj)
        data, inner = ref(obj.data), ref(item)
        del obj, item
        assert (data(), inner()) == (None, None)
    finally:
        gc.enable()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_items_with_an_element_of_odd_length_are_read_at_all_depths(levels: int):
    """pydicom writes such elements; the sequence around them is of odd length, too."""
    odd = b"".join(
        (WRITE.element(0x00080020, "DA", "20200101"), b"\x29\0\x10\x10UN\0\0", (3).to_bytes(4, "little"), b"odd")
    )
    for _ in range(levels):
        item = b"\xfe\xff\0\xe0" + len(odd).to_bytes(4, "little") + odd
        odd = b"\x40\0\x75\x02SQ\0\0" + len(item).to_bytes(4, "little") + item
    obj = parse(whole(EXPLICIT, body(WRITE, (0x00400275, odd))))
    data = obj.data
    for _ in range(levels):
        (data,) = items_of(data, 0x00400275)
    assert data.value(0x00291010) == b"odd\0"
    data.set_text(0x00080020, "19000101")
    read = pydicom_of(obj)
    for _ in range(levels):
        read = read[0x00400275].value[0]
    assert (read.StudyDate, read[0x00291010].value) == ("19000101", b"odd\0")

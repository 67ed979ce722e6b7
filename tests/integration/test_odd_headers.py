"""Objects with odd headers, and names in every script, through a whole import: stored, filed, nothing said amiss."""

from __future__ import annotations

import struct

import pytest

from tests.badinput.objects import BIG_ENDIAN, dataset, element, meta, part10
from tests.builders import DataFolder, Image, ImportOutcome, make_data_folder
from tests.unit.formats_dicom.build import Writer

pytestmark = pytest.mark.long


def blank(data: bytes, tag: int) -> bytes:
    """The file with a blank VR at one element."""
    at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 144)
    return data[: at + 4] + b"  " + data[at + 6 :]


def to_come(image: Image) -> bytes:
    """A private element whose VR is two capitals that nobody knows yet: four bytes of length."""
    return image.with_inserted(0x00100000, struct.pack("<HH", 0x0009, 0x1010) + b"ZZ\0\0\4\0\0\0abcd")


def by_chance(image: Image) -> bytes:
    """A data set without a preamble, `DICM` in a value at byte 128."""
    low, high = image.parts(0x00080050)
    return low + element(0x00080050, b"SH", b"x" * (120 - len(low)) + b"DICM") + high


def big_endian(image: Image) -> bytes:
    """Big endian, with a sequence of undefined length whose items are little endian (PS3.5 6.2.2, note 2)."""
    write = Writer(big=True)
    items = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x04\x01\x04\x00\x00\x00text\xfe\xff\x0d\xe0" + bytes(4)
    sequence = write.element(0x00091010, "UN", length=0xFFFFFFFF) + items + b"\xfe\xff\xdd\xe0" + bytes(4)
    parts = {}
    for tag, (vr, value) in image.elements().items():
        swapped = value[::-1] if vr == b"US" else value
        parts[tag] = write.element(tag, vr.decode(), swapped)
    parts[0x00091010] = sequence
    return part10(meta(image.sop_class, image.sop_uid, BIG_ENDIAN), b"".join(parts[tag] for tag in sorted(parts)))


NAMED = {
    "chinese": (b"\\ISO 2022 IR 58", b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "N1", "N1"),
    "both": (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "N2", "Zhang_XiaoDong"),
    "undeclared": (b"", b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "N3", "N3"),
    "unknown": (b"ISO_IR 100", b"\x1b$)G\xc4\xe3\xc5\xa5", "N4", "N4"),
    "shift_jis": (b"", "ソン".encode("shift_jis"), "N5", "N5"),
}
"""Character set, PatientName, PatientID, and the label of the subject."""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> ImportOutcome:
    with pytest.MonkeyPatch.context() as patch:
        site: DataFolder = make_data_folder(tmp_path_factory.mktemp("odd"), patch)
        odd = {name: Image(case=name, patient_id=name.encode(), patient_name=b"") for name in ("b", "t", "c", "e", "w")}
        entries = {
            "b.dcm": blank(odd["b"].file(), 0x00080060),
            "t.dcm": to_come(odd["t"]),
            "c": by_chance(odd["c"]),
            "e.dcm": big_endian(odd["e"]),
            "w.dcm": odd["w"].file(syntax=BIG_ENDIAN),
        }
        for name, (charset, person, patient, _) in NAMED.items():
            also = {0x00080005: (b"CS", charset)} if charset else {}
            named = Image(case=name, patient_id=patient.encode(), patient_name=person, also=also)
            entries[f"{name}.dcm"] = named.file()
        return site.bring(entries)


def test_each_is_stored_and_only_the_one_that_says_what_it_is_not_is_named(imported: ImportOutcome):
    assert imported.state == "placed"
    assert imported.counts == {"stored": 4 + len(NAMED), "unparseable": 1}
    codes = imported.codes()
    assert codes["c"] == "stored stored_no_preamble"
    assert {codes[name] for name in ("b.dcm", "t.dcm", "e.dcm")} == {"stored stored"}
    line = imported.line("w.dcm")
    assert "big endian" in line["message"]
    assert "cut" not in line["message"]


def test_each_scan_is_what_its_header_says(imported: ImportOutcome):
    modalities = {session["label"]: [scan["modality"] for scan in session["scans"]] for session in imported.sessions}
    assert {label: modalities[label] for label in "btce"} == {label: ["MR"] for label in "btce"}


def test_no_label_is_made_of_the_bytes_of_an_escape_sequence(imported: ImportOutcome):
    subjects = {session["label"]: session["subject"] for session in imported.sessions}
    assert {patient: subjects[patient] for _, _, patient, _ in NAMED.values()} == {
        patient: label for _, _, patient, label in NAMED.values()
    }


def test_the_data_set_of_the_chance_mark_is_what_it_should_be():
    assert by_chance(Image(case="c", patient_id=b"c", patient_name=b""))[128:132] == b"DICM"
    assert dataset(Image(case="c").elements())[128:132] != b"DICM"

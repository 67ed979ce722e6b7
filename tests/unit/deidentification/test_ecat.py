"""ECAT 7 headers without what identifies a person: section 4's table, scripts' six fields, both byte orders."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from scandock.deidentification.data_set import Range
from scandock.deidentification.ecat import (
    BIRTH_DATE,
    INSTITUTION,
    OPERATOR,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY_DESCRIPTION,
    EcatProfile,
    read_mapped,
    rewrite,
)
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.scrub import Context, Rules, Scrubbed, scrub
from scandock.rules.privacy_policy import Policy
from tests.badinput.ecat import RECORD, ecat, main_header

MARK = b"SALT"
TEXTS = {  # offset: length
    0: 14, 14: 32, 52: 10, 66: 8, 78: 32, 154: 12, 166: 16, 182: 32, 232: 32, 264: 32, 296: 32, 332: 20, 434: 10,
    466: 32,
}  # fmt: skip


def profile(**changes):
    values: dict[str, Any] = {
        "patient_id": "", "patient_name": "", "shift_days": -100, "keep_device": False, "keep_patient": False,
        "clean_description": lambda _: "",
    }  # fmt: skip
    return EcatProfile(**(values | changes))


def rewritten(data, changes=None, rules=None):
    return rewritten_and_warned(data, changes, rules)[0]


def rewritten_and_warned(data, changes=None, rules=None):
    parts, had_text = rewrite(data[:2048], len(data), lambda start, end: data[start:end], changes or {}, rules)
    return b"".join(data[part.start : part.end] if isinstance(part, Range) else part for part in parts), had_text


def text(data, at):
    return data[at : at + TEXTS[at]].split(b"\0")[0]


def number(data, at, kind):
    return struct.unpack_from(kind, data, at)[0]


def swapped(data, *numbers):
    """The same file in the other byte order, as far as the profile reads it."""
    raw = bytearray(data)
    for kind, at in numbers:
        struct.pack_into("<" + kind, raw, at, struct.unpack_from(">" + kind, data, at)[0])
    return bytes(raw)


def salted(frames=2):
    """A file with a mark in each text, behind the NUL of each, in fill bytes, in subheaders and behind them."""
    raw = bytearray(ecat(frames=frames))
    for at, length in TEXTS.items():
        if at:
            raw[at : at + length] = (MARK + b"%d\0" % at + MARK * 10)[:length]
    raw[0:14] = b"MATRIX72v\0SALT"
    raw[500:512] = MARK * 3
    struct.pack_into(">3f", raw, 216, 93.0, 1.75, 71.5)
    raw[214:216] = b"FR"
    struct.pack_into(">i", raw, 228, -1_000_000_000)
    for at in range(0, len(raw) - RECORD + 1, RECORD):
        if struct.unpack_from(">5h", raw, at) == (6, 3, 16, 8, 2):
            raw[at + 122 : at + 162] = MARK * 10
            raw[at + 240 : at + 512] = MARK * 68
    return bytes(raw) + MARK * 200


def test_the_profile_leaves_no_mark_and_touches_no_voxel():
    data = salted()
    out = rewritten(data, rules=profile())
    assert MARK in data
    assert MARK not in out
    assert len(out) == len(data)
    for at in (14, 52, 66, 78, 154, 166, 182, 232, 264, 296, 332, 434, 466):
        assert out[at : at + TEXTS[at]] == bytes(TEXTS[at]), at
    assert (out[:14], number(out, 228, ">i"), out[214:216]) == (b"MATRIX72v\0\0\0\0\0", 0, b"\0\0")
    assert [number(out, at, ">f") for at in (216, 220, 224)] == [0, 0, 0]
    untouched = rewritten(ecat(frames=2), rules=profile())
    assert untouched[RECORD:] == ecat(frames=2)[RECORD:]


def test_times_move_together_and_age_stops_at_89():
    data = salted()
    out = rewritten(data, rules=profile(keep_device=True, keep_patient=True, patient_id="S-1", patient_name="P-1"))
    assert number(out, 62, ">i") == number(data, 62, ">i") - 100 * 86400
    assert number(out, 62, ">i") - number(out, 454, ">i") == number(data, 62, ">i") - number(data, 454, ">i") == 700
    assert [number(out, at, ">f") for at in (216, 220, 224)] == [89.0, 1.75, 71.5]
    assert (out[214:216], text(out, 52)) == (b"FR", b"SALT52")
    assert (text(out, 166), text(out, 182)) == (b"S-1", b"P-1")
    kept = rewritten(data, rules=profile(shift_days=0))
    assert (number(kept, 62, ">i"), number(kept, 454, ">i")) == (number(data, 62, ">i"), number(data, 454, ">i"))
    phantom = rewritten(ecat(scan_start_time=86400, dose_start_time=0), rules=profile())
    assert (number(phantom, 62, ">i"), number(phantom, 454, ">i")) == (0, 0)


@pytest.mark.parametrize(
    ("at", "known", "unknown"),
    [
        (66, [b"F-18", b"F18", b"18F", b"C-11", b"GE-68"], [b"JONES", b"F-1800"]),
        (78, [b"FDG", b"[F-18]FDG", b"18F-FDG", b"O-15 water", b"Fluoro-Deoxyglucose"], [b"FDG JONES", b"RM 17"]),
        (466, [b"Bq/cc", b"ECAT counts", b"nCi/ml"], [b"JONES"]),
    ],
)
def test_tracers_and_units_stay_where_they_are_known(at, known, unknown):
    name = {66: "isotope_name", 78: "radiopharmaceutical", 466: "data_units"}[at]
    for value in known:
        assert text(rewritten(ecat(**{name: value}), rules=profile()), at) == value
    for value in unknown:
        assert text(rewritten(ecat(**{name: value}), rules=profile()), at) == b""


def test_descriptions_are_cleaned_and_labels_are_cut_to_their_field():
    out = rewritten(
        ecat(study_type=b"BRAIN JONES"),
        rules=profile(clean_description=lambda words: words.replace(" JONES", ""), patient_id="L" * 40),
    )
    assert text(out, 154) == b"BRAIN"
    assert out[166:182] == b"L" * 15 + b"\0"


def test_scripts_reach_six_fields_and_nothing_else():
    data = salted()
    assert read_mapped(data) == {
        PATIENT_NAME: "SALT182",
        PATIENT_ID: "SALT166",
        STUDY_DESCRIPTION: "SALT296",
        INSTITUTION: "SALT332",
        OPERATOR: "SALT264",
        BIRTH_DATE: "19380424",
    }
    out = rewritten(data, {PATIENT_NAME: "Ümlaut", BIRTH_DATE: "19700102", OPERATOR: ""})
    assert out[182:214] == "Ümlaut".encode("latin-1").ljust(32, b"\0")
    assert (number(out, 228, ">i"), out[264:296]) == (86400, bytes(32))
    same = [
        i for i in range(len(data)) if data[i] != out[i] and not (182 <= i < 214 or 228 <= i < 232 or 264 <= i < 296)
    ]
    assert (same, len(out)) == ([], len(data))
    assert number(rewritten(data, {BIRTH_DATE: ""}), 228, ">i") == 0


def test_little_endian_files_keep_their_order():
    data = salted(1)
    numbers = [("h", 46), ("h", 50), ("i", 62), ("i", 454), ("i", 228), ("f", 216), ("H", 354)]
    numbers += [("h", 48), ("f", 74), ("h", 328), ("h", 330), ("H", 352), ("H", 356), ("f", 424)]
    numbers += [("h", 2 * RECORD + at) for at in range(0, 10, 2)]  # data type and dimensions
    numbers += [("f", 2 * RECORD + at) for at in (22, 26, 34, 38, 42)] + [("i", 2 * RECORD + at) for at in (46, 50)]
    little = bytearray(swapped(data, *numbers))
    for at in range(RECORD, 2 * RECORD, 4):  # the directory
        struct.pack_into("<i", little, at, struct.unpack_from(">i", data, at)[0])
    out = rewritten(bytes(little), rules=profile(keep_patient=True))
    assert number(out, 62, "<i") == number(data, 62, ">i") - 100 * 86400
    assert number(out, 216, "<f") == 89.0
    assert MARK not in out
    assert read_mapped(bytes(little))[BIRTH_DATE] == "19380424"


def test_what_can_not_be_cleaned_fails():
    good = ecat(frames=1)
    circle = bytearray(ecat(frames=1))
    struct.pack_into(">i", circle, RECORD + 4, 3)
    twice = bytearray(ecat(frames=2))
    struct.pack_into(">2i", twice, RECORD + 32 + 4, 4, 6)
    for broken, rules in (
        (good[:400], None),
        (good[:RECORD], profile()),  # no directory
        (good[: RECORD + 300], profile()),
        (main_header(file_type=5), profile()),  # subheaders of polar maps are not known
        (bytes(twice), profile()),
        (bytes(circle), profile()),
        (main_header(sw_version=0, file_type=99), None),
    ):
        with pytest.raises(ScrubError) as failed:
            rewritten(broken, rules=rules)
        assert failed.value.code == "deid_unreadable"
    for changes in ({PATIENT_NAME: "山田"}, {PATIENT_NAME: "A\0B"}, {BIRTH_DATE: "2024"}, {BIRTH_DATE: "18000101"}):
        with pytest.raises(ScrubError) as failed:
            rewritten(good, changes)
        assert failed.value.code == "deid_value"
        assert "山" not in failed.value.message


def test_deleted_matrices_become_zeros():
    data = bytearray(salted(2))
    struct.pack_into(">i", data, RECORD + 32 + 12, -1)  # the status of the second one
    struct.pack_into(">H", data, 354, 1)
    out = rewritten(bytes(data), rules=profile())
    first, last = struct.unpack_from(">2i", data, RECORD + 32 + 4)
    assert out[(first - 1) * RECORD : last * RECORD] == bytes((last - first + 1) * RECORD)


def test_entries_of_the_directory_that_are_not_in_use_become_zeros():
    raw = bytearray(ecat(frames=2))
    for row in range(3, 32):
        raw[RECORD + 16 * row : RECORD + 16 * row + 16] = MARK * 4
    clean = rewritten(bytes(raw), rules=profile())
    assert MARK not in clean
    assert clean[RECORD:] == ecat(frames=2)[RECORD:]
    struct.pack_into(">i", raw, RECORD + 16 * 2 + 12, 0)  # a matrix that was deleted
    assert rewritten(bytes(raw), rules=profile())[RECORD + 32 : RECORD * 2] == bytes(RECORD - 32)


def test_what_is_behind_the_pixels_of_a_matrix_becomes_zeros():
    """Pixels that fill a block but for some bytes; a directory that goes on beyond the end of the file."""
    raw = bytearray(ecat(frames=2))
    for subheader in (2 * RECORD, 4 * RECORD):
        struct.pack_into(">3h", raw, subheader + 4, 10, 5, 1)
    pixels = [slice(3 * RECORD, 3 * RECORD + 100), slice(5 * RECORD, 5 * RECORD + 100)]
    for where in pixels:
        raw[where.stop : where.start + RECORD] = (MARK * 128)[: RECORD - 100]
    struct.pack_into(">i", raw, RECORD + 32 + 8, 3011)  # the last record of the second matrix
    data = bytes(raw) + MARK * 500
    out = rewritten(data, rules=profile())
    assert [out[where] for where in pixels] == [data[where] for where in pixels]
    assert MARK not in out
    assert len(out) == len(data)


def test_a_long_file_is_not_read_for_what_is_behind_its_pixels():
    head = bytearray(ecat(frames=1))
    struct.pack_into(">i", head, RECORD + 16 + 8, 2**24)
    size = 2**24 * RECORD

    def read(start, end):
        assert end - start <= RECORD
        return bytes(head[start:end]).ljust(end - start, b"\1")

    parts = rewrite(bytes(head), size, read, {}, profile()).parts
    kept = [part for part in parts if isinstance(part, Range)]
    assert kept == [Range(3 * RECORD, 4 * RECORD)]
    zeros = [part for part in parts if isinstance(part, memoryview)]
    assert sum(map(len, zeros)) == size - 4 * RECORD
    assert len({id(part.obj) for part in zeros}) == 1


@pytest.mark.parametrize("numbers", [(99, 3, 16, 8, 2), (6, 3, 0, 8, 2), (6, 3, 16, 8, 3)])
def test_pixels_whose_end_is_not_known_or_not_in_their_matrix_fail(numbers):
    raw = bytearray(ecat(frames=2))
    struct.pack_into(">5h", raw, 2 * RECORD, *numbers)
    with pytest.raises(ScrubError) as failed:
        rewritten(bytes(raw), rules=profile())
    assert failed.value.code == "deid_unreadable"
    assert rewritten(bytes(raw)) == bytes(raw)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *((b"ZZMARKNAME", 5), (b"4711081570", 5), ("Jörg Müßig".encode("latin-1"), 5), (b"ANNA DAVIES", 8)),
        *((b"Miller", 5), (b"HansEder", 5), (b"McDonald", 5), (b"miller", 5)),
    ],
)
def test_no_text_stays_at_any_place_of_main_header_or_subheader(name, most):
    good = ecat(frames=2)
    failed = set()
    places = [(0, at) for at in range(14, RECORD - len(name), 3)]
    places += [(2 * RECORD, at) for at in range(0, RECORD - len(name), 3)]
    for base, at in places:
        raw = bytearray(good)
        raw[base + at : base + at + len(name)] = name
        try:
            out, had_text = rewritten_and_warned(bytes(raw), rules=profile(keep_patient=True, shift_days=0))
        except ScrubError as error:
            failed.add((error.code, at < 52))  # over the file type, or what pixels need
            continue
        pieces = [name[start : start + most + 1] for start in range(len(name) - most)]
        assert not any(piece in out for piece in pieces), (base, at)
        if base and 60 <= at <= 110:
            assert had_text, at
    assert failed == {("deid_unreadable", True)}


def test_numbers_that_are_none_by_chance_stay():
    raw = bytearray(ecat(frames=1))
    struct.pack_into(">f", raw, 144, 5_123_456.5)  # calibration
    for bed in range(15):
        struct.pack_into(">f", raw, 364 + 4 * bed, -14.985 * bed)
    struct.pack_into(">2f", raw, 458, 3.7e8, 1.0)
    struct.pack_into(">2h", raw, 2 * RECORD + 30, -8000, 32767)
    struct.pack_into(">2h", raw, 148, 1, -1)
    out, had_text = rewritten_and_warned(bytes(raw), rules=profile())
    assert not had_text
    assert (out[110:154], out[352:434], out[458:466]) == (raw[110:154], raw[352:434], raw[458:466])
    assert out[RECORD:] == bytes(raw[RECORD:])


def test_numbers_with_letters_in_no_order_of_words_stay():
    """Of random numbers that make sense one header in a hundred has six letters in a row."""
    raw = bytearray(ecat(frames=1))
    for begin, letters in ((364, b"AqZrBcYx"), (400, b"DxEyFaQb"), (2 * RECORD + 34, b"BqZrCcYx")):
        raw[begin : begin + len(letters)] = letters
    out, had_text = rewritten_and_warned(bytes(raw), rules=profile())
    assert not had_text
    assert (out[352:434], out[RECORD:]) == (raw[352:434], raw[RECORD:])


def test_letters_in_a_subheader_of_a_sinogram_fail():
    raw = bytearray(ecat(frames=1, file_type=11))
    assert rewritten(bytes(raw), rules=profile())[RECORD:] == bytes(raw[RECORD:])
    raw[2 * RECORD + 300 : 2 * RECORD + 306] = b"MILLER"
    with pytest.raises(ScrubError) as failed:
        rewritten(bytes(raw), rules=profile())
    assert failed.value.code == "deid_unreadable"


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_nothing_of_a_patient_stays_behind_the_end_of_a_shorter_text(level):
    """As where somebody has blanked a field by its first byte, or written over its beginning."""
    data = bytearray(ecat())
    data[166:182] = b"\0OE123".ljust(16, b"\0")
    data[182:214] = b"anonymous\0Doe^John Smith".ljust(32, b"\0")
    made = scrub(bytes(data), rules=Rules(policy=Policy(patient=level)), context=Context(key=b"k" * 32))
    assert isinstance(made, Scrubbed)
    header = bytes(made.parts[0])
    assert header[166:182] == bytes(16)
    assert header[182:214].partition(b"\0")[2].strip(b"\0") == b""

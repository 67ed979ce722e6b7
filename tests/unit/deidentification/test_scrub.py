"""The function as a whole: bytes in, new bytes, a rejection or a failure out."""

from __future__ import annotations

import io
import struct
from datetime import date

import pydicom
import pytest

from scandock.deidentification.data_set import Range
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rejected, Rules, Scrubbed, scrub
from scandock.rules.privacy_policy import Policy
from tests.builders import Image, ecat
from tests.unit.deidentification.objects import joined

CONTEXT = Context(key=b"key" * 8, variables={"project": "P", "subject": "S-1", "session": "E-1"})
BASIC = parse_profile("basic")


def scripts(*bodies):
    return tuple(parse_script(f'version "6.6"\n{body}\n', f"{n}.das") for n, body in enumerate(bodies))


def written(data, rules, context=CONTEXT):
    result = scrub(data, rules=rules, context=context)
    assert isinstance(result, Scrubbed), result
    return joined(result.parts, data)


def read(data):
    return pydicom.dcmread(io.BytesIO(data), force=True)


def test_without_rules_nothing_changes():
    data = Image(case="scrub").file()
    assert written(data, Rules()) == data
    assert written(ecat(), Rules()) == ecat()


def test_scripts_run_before_the_profile_and_the_profile_says_what_was_done():
    data = Image(case="scrub", also={0x00081030: (b"LO", b"Knee of Jane")}).file()
    by_script = read(written(data, Rules(scripts=scripts('(0010,0010) := subject\n(0008,1030) := "T1"'))))
    assert (by_script.PatientName, by_script.StudyDescription) == ("S-1", "T1")
    assert "PatientIdentityRemoved" not in by_script
    rules = Rules(scripts=scripts("(0010,0010) := subject"), profile=BASIC)
    both = read(written(data, rules))
    assert both.PatientName == ""
    assert both.PatientIdentityRemoved == "YES"
    codes = [(item.CodingSchemeDesignator, item.CodeValue) for item in both.DeidentificationMethodCodeSequence]
    assert codes[0] == ("DCM", "113100")
    assert [scheme for scheme, _ in codes] == ["DCM", "XNAT"]
    assert "0.das" not in str(both)  # a script's name could name somebody
    assert both.LongitudinalTemporalInformationModified == "REMOVED"


def test_the_same_comes_out_whether_the_object_is_whole_or_read_by_ranges():
    data = Image(case="scrub", also={0x7FE00010: (b"OW", bytes(range(256)) * 400)}).file()
    rules = Rules(scripts=scripts('(0010,0010) := "X"'), profile=BASIC)
    reads = []

    def more(start, end):
        reads.append((start, end))
        return data[start:end]

    for head in (200, 700, 5_000):
        result = scrub(data[:head], len(data), more, rules=rules, context=CONTEXT)
        assert isinstance(result, Scrubbed)
        assert any(isinstance(part, Range) and part.end - part.start == 102_400 for part in result.parts)
        out = joined(result.parts, data)
        assert out == written(data, rules)
    assert max(end - start for start, end in reads) < 20_000  # never the pixels


def test_what_fails_gives_a_code_and_no_bytes_nor_a_value():
    data = Image(case="scrub", patient_name=b"SALT^MARY").file()
    for broken, rules in (
        (data[:403], Rules(profile=BASIC)),
        (data[:-3], Rules(profile=BASIC)),
        (b"\0" * 128 + b"DICM" + b"\xff" * 200, Rules()),
        (data, Rules(scripts=scripts("(0008,0020) := shiftDateByIncrement[(0010,0010), 3]"))),
        (data, Rules(scripts=scripts("(0010,0010) := nobody"))),
        (data, Rules(scripts=scripts("(0028,0010) := (0010,0010)"))),
        (ecat()[:600], Rules(profile=BASIC)),
    ):
        result = scrub(broken, rules=rules, context=CONTEXT)
        assert isinstance(result, Failed)
        assert result.code.startswith("deid_")
        assert "SALT" not in result.message


def test_rejections_are_no_failures():
    data = Image(case="scrub").file()
    assert scrub(data, rules=Rules(scripts=scripts("reject[]")), context=CONTEXT) == Rejected(
        "deid_rejected", "A script rejects it."
    )
    assert isinstance(scrub(ecat(), rules=Rules(scripts=scripts("reject[]")), context=CONTEXT), Rejected)
    meta = b"\2\0\2\0UI\x14\x001.2.840.10008.1.3.10"
    directory = scrub(bytes(128) + b"DICM" + meta + b"\4\0\x30\x11CS\4\0JANE", rules=Rules(), context=CONTEXT)
    assert isinstance(directory, Rejected)
    assert directory.code == "dicomdir"


def test_residue_warns_or_refuses_and_burned_in_texts_are_warned_of():
    data = Image(
        case="scrub",
        patient_name=b"SALTMARY^JANE",
        also={0x00280301: (b"CS", b"YES"), 0x00180024: (b"SH", b"saltmary 3d")},
    ).file()
    result = scrub(data, rules=Rules(profile=BASIC), context=CONTEXT)
    assert isinstance(result, Scrubbed)
    assert [notice.code for notice in result.warnings] == ["deid_residue", "burned_in"]
    assert "(0018,0024)" in result.warnings[0].message
    assert not any("SALT" in notice.message.upper() for notice in result.warnings)
    refused = scrub(data, rules=Rules(profile=BASIC, residue="refuse"), context=CONTEXT)
    assert isinstance(refused, Failed)
    assert refused.code == "deid_residue"
    by_script = scrub(data, rules=Rules(scripts=scripts('(0010,0010) := "X"')), context=CONTEXT)
    assert isinstance(by_script, Scrubbed)
    assert by_script.warnings == ()  # with the profile only


def test_filled_pixels_are_said_to_be_clean_and_are_warned_of_all_the_same():
    data = Image(case="scrub", also={0x00280301: (b"CS", b"YES")}).file()
    fill = scripts('alterPixels["rectangle", "l=0,t=0,r=2,b=2", "solid", "v=0"]')
    result = scrub(data, rules=Rules(scripts=fill, profile=BASIC), context=CONTEXT)
    assert isinstance(result, Scrubbed), result
    assert [notice.code for notice in result.warnings] == ["burned_in"]
    after = read(written(data, Rules(scripts=fill, profile=BASIC)))
    assert after.BurnedInAnnotation == "NO"
    assert not after.pixel_array[:2, :2].any()
    plain = scrub(Image(case="scrub").file(), rules=Rules(scripts=fill, profile=BASIC), context=CONTEXT)
    assert isinstance(plain, Scrubbed)
    assert plain.warnings == ()  # where nothing speaks of texts
    outside = scripts('alterPixels["rectangle", "l=9000,t=9000,r=9002,b=9002", "solid", "v=0"]')
    untouched = read(written(data, Rules(scripts=outside, profile=BASIC)))
    assert untouched.BurnedInAnnotation == "YES"
    assert "113101" not in str(untouched)


def test_data_sets_without_uids_and_meta_information_are_taken():
    data = b"\x10\0\x10\0PN\x04\0DOE \x10\0\x20\0LO\x02\x0042"
    out = written(data, Rules(scripts=scripts("(0010,0020) := hashUID[(0010,0020)]")))
    assert out.startswith(data[:12])
    assert b"2.25." in out
    assert b"DOE" not in written(data, Rules(profile=BASIC))


def test_ecat_times_move_as_the_dates_of_the_patients_dicom_objects():
    rules = Rules(profile=parse_profile("basic,modified-dates"))
    image = read(written(Image(case="scrub", patient_id=b"PET1", study_date=b"20200131").file(), rules))
    shifted = date(int(image.StudyDate[:4]), int(image.StudyDate[4:6]), int(image.StudyDate[6:]))
    days = (shifted - date(2020, 1, 31)).days
    assert -3650 <= days <= -1
    out = written(ecat(patient_id=b"PET1"), rules)
    assert struct.unpack_from(">i", out, 62)[0] == 1_580_465_700 + days * 86400
    assert out[166:182].rstrip(b"\0") == b"E-1"
    assert out[182:214].rstrip(b"\0") == b"S-1"
    kept = written(ecat(patient_id=b"PET1"), Rules(profile=parse_profile("basic,retain-full-dates")))
    assert struct.unpack_from(">i", kept, 62)[0] == 1_580_465_700
    nobody = written(ecat(study_type=b"BRAIN JONES"), Rules(profile=BASIC), Context(key=b"k"))
    assert nobody[154:214] == bytes(60)
    cleaned = written(ecat(study_type=b"BRAIN JONES"), Rules(profile=parse_profile("basic,clean-descriptors")))
    assert cleaned[154:166].rstrip(b"\0") == b"BRAIN"


@pytest.mark.parametrize("body", ['(0008,0060) := "CT"', "removeAllPrivateTags", "hashUIDList[*/(0020,000D)]"])
def test_statements_on_other_elements_do_nothing_to_ecat(body):
    result = scrub(ecat(), rules=Rules(scripts=scripts(body)), context=CONTEXT)
    assert isinstance(result, Scrubbed)
    assert [notice.code for notice in result.warnings] == ["ecat_script"]
    assert written(ecat(), Rules(scripts=scripts(body))) == ecat()


def test_a_text_among_the_numbers_of_ecat_is_warned_of_without_its_words():
    raw = bytearray(ecat())
    raw[112:118] = b"MILLER"
    result = scrub(bytes(raw), rules=Rules(profile=BASIC), context=CONTEXT)
    assert isinstance(result, Scrubbed)
    assert [notice.code for notice in result.warnings] == ["ecat_text"]
    assert "MILLER" not in result.warnings[0].message
    assert written(bytes(raw), Rules(profile=BASIC)) == written(ecat(), Rules(profile=BASIC))


def test_ecat_texts_that_are_cut_are_warned_of_by_field_and_scripts_are_with_the_profile_too():
    long = Context(key=b"k", variables={"subject": "S" * 32, "session": "E" * 26})
    by_profile = scrub(ecat(), rules=Rules(scripts=scripts('(0008,1070) := "N"'), profile=BASIC), context=long)
    assert isinstance(by_profile, Scrubbed)
    assert [notice.code for notice in by_profile.warnings] == ["ecat_script", "ecat_cut"]
    assert "the patient's name, the patient's id is longer" in by_profile.warnings[1].message
    rules = Rules(scripts=scripts('(0010,0020) := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"\n(0010,0010) := "fits"'))
    by_script = scrub(ecat(), rules=rules, context=CONTEXT)
    assert isinstance(by_script, Scrubbed)
    assert [notice.code for notice in by_script.warnings] == ["ecat_script", "ecat_cut"]
    assert "for the patient's id is longer" in by_script.warnings[1].message
    assert "ABC" not in by_script.warnings[1].message
    fits = Context(key=b"k", variables={"subject": "S" * 31, "session": "E" * 15})
    plain = scrub(ecat(), rules=Rules(profile=BASIC), context=fits)
    assert isinstance(plain, Scrubbed)
    assert plain.warnings == ()


@pytest.mark.parametrize(
    ("cut", "body", "code"),
    [
        (600, '(0010,0010) := "A"', "deid_unreadable"),
        (0, '(0010,0010) := "A"', "deid_unreadable"),
        (None, 'alterPixels["rectangle", "l=0,t=0,r=1,b=1", "solid", "v=0"]', "deid_pixels"),
    ],
)
@pytest.mark.parametrize("profile", [None, BASIC])
def test_an_ecat_file_fails_that_is_cut_or_whose_pixels_a_script_hides(cut, body, code, profile):
    whole = ecat()
    data = whole if cut is None else whole[: cut or len(whole) - 600]
    result = scrub(data, rules=Rules(scripts=scripts(body), profile=profile), context=CONTEXT)
    assert isinstance(result, Failed)
    assert result.code == code
    untouched = "false[] ? " + body if code == "deid_pixels" else body
    assert isinstance(scrub(whole, rules=Rules(scripts=scripts(untouched)), context=CONTEXT), Scrubbed)


@pytest.mark.parametrize("profile", [None, BASIC])
def test_odd_lengths_in_a_sequence_of_defined_length_are_read_by_a_policy(profile):
    elements = b"\x09\x00\x10\x10OB\0\0\x03\0\0\0odd" + b"\x10\x00\x20\x00LO\x08\0MARK-ID "
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(elements)) + elements
    head = b"\x40\x00\x75\x02SQ\0\0"
    data = Image(case="scrub", also={0x00400275: (b"SQ", b"")}).file()
    assert head + bytes(4) in data
    data = data.replace(head + bytes(4), head + struct.pack("<I", len(item)) + item)
    out = written(data, Rules(profile=profile, policy=Policy(study_uid="drop", patient="drop")))
    assert b"MARK-ID" not in out
    assert (0x00400275 in read(out)) is (profile is None)

"""What an object says of its de-identification."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from pydicom.sequence import Sequence

from scandock.deidentification.encoding import encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.method import ScriptName, record_method
from scandock.deidentification.profile.options import OPTIONS, parse_profile
from tests.unit.deidentification.generated import code, item, make_object, written


def _recorded(ds: Any, profile: str | None, *scripts: ScriptName, **options: bool) -> Any:
    obj = parse(written(ds))
    record_method(obj.data, parse_profile(profile) if profile else None, scripts, **options)
    return pydicom.dcmread(io.BytesIO(b"".join(bytes(part) for part in encode(obj))))


def _codes(ds: Any) -> list[tuple[str, str]]:
    return [(i.CodingSchemeDesignator, i.CodeValue) for i in ds.DeidentificationMethodCodeSequence]


def test_the_profile_its_edition_and_its_options() -> None:
    after = _recorded(make_object("MR"), "basic,retain-uids,modified-dates,safe-private")
    assert after.PatientIdentityRemoved == "YES"
    assert after.DeidentificationMethod[1] == "PS3.15 2026c Annex E"
    assert after.DeidentificationMethod[0].startswith("Scandock ")
    assert _codes(after) == [("DCM", "113100"), ("DCM", "113110"), ("DCM", "113107"), ("DCM", "113111")]
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "BurnedInAnnotation" not in after
    assert _recorded(make_object("MR"), "basic").LongitudinalTemporalInformationModified == "REMOVED"


def test_each_option_has_its_code() -> None:
    codes = {option: method.code for option, method in OPTIONS.items()}
    assert sorted(codes.values()) == [str(number) for number in range(113103, 113113)]
    for option, value in codes.items():
        assert _codes(_recorded(make_object("MR"), f"basic,{option}")) == [("DCM", "113100"), ("DCM", value)]


def test_scripts_and_cleaned_pixels() -> None:
    script = ScriptName("7", "sha256 0123abcd")
    after = _recorded(make_object("MR"), "basic", script, has_clean_pixels=True)
    assert _codes(after) == [("DCM", "113100"), ("DCM", "113101"), ("XNAT", "7")]
    assert after.DeidentificationMethodCodeSequence[2].CodeMeaning == "XNAT DicomEdit 6 Script"
    assert after.DeidentificationMethod[-1] == "Script sha256 0123abcd"
    assert after.BurnedInAnnotation == "NO"


def test_scripts_alone_say_nothing_of_dates_and_keep_earlier_steps() -> None:
    ds = make_object("MR")
    ds.DeidentificationMethod = "Manual"
    ds.DeidentificationMethodCodeSequence = code("L1", "99LOCAL", "By hand")
    after = _recorded(ds, None, ScriptName("7", "abc"))
    assert after.DeidentificationMethod[0] == "Manual"
    assert _codes(after) == [("99LOCAL", "L1"), ("XNAT", "7")]
    assert "LongitudinalTemporalInformationModified" not in after


def test_with_the_profile_earlier_steps_stay_only_where_their_codes_are_known() -> None:
    ds = make_object("MR")
    ds.DeidentificationMethod = "By Dr. DOE"
    ds.DeidentificationMethodCodeSequence = Sequence(
        [
            item(CodeValue="113101", CodingSchemeDesignator="DCM", CodeMeaning="Clean Pixel Data Option"),
            item(CodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="Basic"),
            item(CodeValue="L1", CodingSchemeDesignator="99LOCAL", CodeMeaning="By Dr. DOE"),
        ]
    )
    after = _recorded(ds, "basic")
    assert _codes(after) == [("DCM", "113101"), ("DCM", "113100")]
    assert "DOE" not in "".join(after.DeidentificationMethod)

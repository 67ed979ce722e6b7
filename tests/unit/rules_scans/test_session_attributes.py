from __future__ import annotations

import datetime as dt

import pytest

from scandock.rules.mr import field_strength
from scandock.rules.session_attributes import session_attributes
from tests.unit.rules_scans.tallies import PET, SR, ecat, mr, tally


def codes(remarks):
    return [remark.code for remark in remarks]


def test_attributes_on_which_all_objects_agree():
    one = mr(
        InstitutionName="Hospital",
        StudyDescription="Brain",
        StationName="MR1",
        Manufacturer="SIEMENS",
        ManufacturerModelName="Skyra",
        OperatorsName="op",
        StudyID="7",
        AccessionNumber="A1",
        PatientID="P1",
        PatientName="DOE^JOHN",
        PatientBirthDate="19700102",
        PatientWeight="70",
        StudyComments="note",
        StudyDate="20240102",
        StudyTime="101530.5",
        MagneticFieldStrength="3",
    )
    found, remarks = session_attributes([one])
    assert remarks == []
    assert found == {
        "UID": "1.9",
        "modality": "MR",
        "acquisition_site": "Hospital",
        "session_type": "Brain",
        "scanner": "MR1",
        "scanner/manufacturer": "SIEMENS",
        "scanner/model": "Skyra",
        "operator": "op",
        "study_id": "7",
        "dcmAccessionNumber": "A1",
        "dcmPatientId": "P1",
        "dcmPatientName": "DOE^JOHN",
        "dcmPatientBirthDate": "1970-01-02",
        "dcmPatientWeight": "70",
        "studyComments": "note",
        "date": "2024-01-02",
        "time": "10:15:30",
        "fieldStrength": "3.0",
    }


def test_the_date_is_the_earliest_of_the_images_and_a_disagreement_is_said():
    found, remarks = session_attributes(
        [
            mr("1.1", StudyDate="20240103", StudyTime="0800"),
            mr("1.2", StudyDate="20240102", StudyTime="2200"),
            mr("1.3", StudyDate="2023rubbish", StudyTime="0100"),
        ]
    )
    assert (found["date"], found["time"]) == ("2024-01-02", "22:00:00")
    assert codes(remarks) == ["dates_disagree"]
    assert "2024-01-02, 2024-01-03" in remarks[0].message


def test_a_report_s_date_is_not_the_session_s():
    report = tally("1.2", SOPClassUID=SR, Modality="SR", StudyDate="20200101", StudyTime="0100")
    found, remarks = session_attributes([mr(StudyDate="20240102", StudyTime="1000"), report])
    assert (found["date"], found["time"]) == ("2024-01-02", "10:00:00")
    assert remarks == []


def test_a_session_of_reports_alone_has_their_date():
    found, _ = session_attributes([tally(SOPClassUID=SR, Modality="SR", StudyDate="20200101")])
    assert (found["date"], found["modality"]) == ("2020-01-01", "SR")


def test_times_that_disagree_are_said_and_the_earliest_is_taken():
    found, remarks = session_attributes([mr(StudyDate="20240102", StudyTime={"1000": 1, "0900": 1})])
    assert found["time"] == "09:00:00"
    assert codes(remarks) == ["dates_disagree"]


@pytest.mark.parametrize("text", ["", "00000000", "20241332", "yesterday", "99999999", "2024-01-02T00:00"])
def test_a_date_that_can_t_be_read_is_left_out(text):
    found, remarks = session_attributes([mr(StudyDate=text, StudyTime=text, PatientBirthDate=text)])
    assert not {"date", "time", "dcmPatientBirthDate"} & set(found)
    assert remarks == []


def test_many_dates_are_named_but_not_all():
    dates = {f"202401{day:02}": 1 for day in range(1, 20)}
    _, remarks = session_attributes([mr(StudyDate=dates)])
    assert "19 study dates" in remarks[0].message
    assert "15 more" in remarks[0].message


def test_values_that_disagree_are_left_empty_and_named_once():
    found, remarks = session_attributes(
        [mr("1.1", OperatorsName="a", StudyID="1"), mr("1.2", OperatorsName="b", StudyID="2")]
    )
    assert not {"operator", "study_id"} & set(found)
    assert codes(remarks) == ["values_disagree"]
    assert "different values of the operator and the study ID;" in remarks[0].message
    assert remarks[0].remedy


def test_objects_without_a_value_do_not_disagree():
    found, remarks = session_attributes([mr("1.1", OperatorsName="a"), mr("1.2", OperatorsName="")])
    assert (found["operator"], remarks) == ("a", [])


def test_a_stray_report_empties_nothing():
    report = tally("1.2", SOPClassUID=SR, Modality="SR", Manufacturer="OTHER")
    found, remarks = session_attributes([mr(Manufacturer="GE"), report])
    assert (found["scanner/manufacturer"], found["modality"], remarks) == ("GE", "MR", [])


def test_a_capture_from_a_workstation_empties_nothing():
    capture = tally("1.2", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="MR", Manufacturer="OTHER")
    found, remarks = session_attributes([mr(Manufacturer="GE"), capture])
    assert (found["scanner/manufacturer"], remarks) == ("GE", [])


def test_several_scanners_are_joined():
    found, _ = session_attributes([mr("1.1", StationName="MR2"), mr("1.2", StationName="MR1")])
    assert found["scanner"] == "MR1,MR2"


def test_a_pet_study_with_captures_is_pt():
    capture = tally("1.2", SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality={"OT": 50})
    found, _ = session_attributes([tally("1.1", SOPClassUID=PET, Modality="PT"), capture])
    assert found["modality"] == "PT"


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("3", "3.0"),
        ("2.89362", "3.0"),
        ("1.494", "1.5"),
        ("15000", "1.5"),
        ("30000", "3.0"),
        ("500", "0.05"),
        ("0.064", "0.064"),
        ("0.35", "0.5"),
        ("6.98", "7.0"),
        ("9.4", "9.5"),
        ("0", ""),
        ("-3", ""),
        ("nan", ""),
        ("strong", ""),
        ("", ""),
    ],
)
def test_field_strength_in_tesla_to_the_nearest_half(text, strength):
    assert field_strength(text) == strength


def test_field_strengths_that_round_alike_agree():
    found, _ = session_attributes([mr("1.1", MagneticFieldStrength="2.89"), mr("1.2", MagneticFieldStrength="3")])
    assert found["fieldStrength"] == "3.0"
    found, _ = session_attributes([mr("1.1", MagneticFieldStrength="1.5"), mr("1.2", MagneticFieldStrength="3")])
    assert "fieldStrength" not in found


def test_the_tracer_of_a_pet_study():
    nested = {
        "Radiopharmaceutical": "FDG",
        "RadiopharmaceuticalStartTime": "093000.00",
        "RadionuclideTotalDose": "370000000",
        "RadionuclideHalfLife": "6586.2",
        "RadionuclideCodeMeaning": "^18^Fluorine",
    }
    found, _ = session_attributes([tally(SOPClassUID=PET, Modality="PT", nested=nested)])
    assert {name: value for name, value in found.items() if name.startswith("tracer")} == {
        "tracer/name": "FDG",
        "tracer/startTime": "09:30:00",
        "tracer/dose": "370000000",
        "tracer/isotope": "^18^Fluorine",
        "tracer/isotope/half-life": "6586.2",
    }


def test_the_tracer_of_an_enhanced_object():
    nested = {"RadiopharmaceuticalCodeMeaning": "FDG", "RadiopharmaceuticalStartDateTime": "20240102093000.000000+0100"}
    found, _ = session_attributes([tally(SOPClassUID=PET, Modality="PT", nested=nested)])
    assert (found["tracer/name"], found["tracer/startTime"]) == ("FDG", "09:30:00")


def test_the_tracer_s_start_may_stand_outside_its_sequence():
    found, _ = session_attributes([tally(SOPClassUID=PET, Modality="PT", RadiopharmaceuticalStartTime="0930")])
    assert found["tracer/startTime"] == "09:30:00"


def test_a_session_of_ecat_files():
    found, remarks = session_attributes([], [ecat(), ecat(scan_start_time=999_999_999, operator="other")])
    assert remarks == []
    assert found == {
        "modality": "PT",
        "studyType": "brain",
        "session_type": "FDG brain",
        "acquisition_site": "PET Centre",
        "patientID": "P1",
        "patientName": "DOE",
        "tracer/name": "FDG",
        "tracer/isotope": "F-18",
        "date": "2001-09-09",
        "time": "01:46:39",
    }


def test_dicom_says_more_where_both_are_there():
    found, _ = session_attributes([mr(StudyDate="20240102", StudyTime="1000")], [ecat()])
    assert (found["modality"], found["date"], found["patientID"]) == ("MR", "2024-01-02", "P1")


def test_ecat_times_are_told_in_the_zone_asked_for():
    found, _ = session_attributes([], [ecat()], dt.timezone(dt.timedelta(hours=-5)))
    assert (found["date"], found["time"]) == ("2001-09-08", "20:46:40")


def test_nothing_gives_nothing():
    assert session_attributes([]) == ({}, [])

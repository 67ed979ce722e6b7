from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from scandock.rules.ecat_attributes import ecat_scan_attributes, ecat_session_attributes, header_time, scan_label
from tests.unit.rules_scans.tallies import ecat


@pytest.mark.parametrize("seconds", [0, -1, -(2**31), 2**31, 2**32 - 1, 2**40])
def test_odd_times_are_no_dates(seconds):
    assert header_time(seconds, dt.UTC) is None
    assert "date" not in ecat_session_attributes([ecat(scan_start_time=seconds)])
    assert "startTime" not in ecat_scan_attributes(ecat(scan_start_time=seconds))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu"])
@pytest.mark.parametrize("seconds", [1, 2**31 - 1])
def test_the_first_and_last_second_are_read_in_any_zone(seconds, zone):
    time = header_time(seconds, ZoneInfo(zone))
    assert time is not None
    assert time.timestamp() == seconds


def test_times_in_a_zone_follow_its_summer_time():
    zone = ZoneInfo("Europe/Berlin")
    assert ecat_scan_attributes(ecat(scan_start_time=1_000_000_000), zone)["startTime"] == "03:46:40"
    assert ecat_scan_attributes(ecat(scan_start_time=1_010_000_000), zone)["startTime"] == "20:33:20"


def test_tracer_times_come_from_dynamic_emission_and_transmission_files():
    found = ecat_session_attributes(
        [
            ecat(acquisition_type=4, dose_start_time=1_000_000_060),
            ecat(acquisition_type=2, dose_start_time=0, scan_start_time=1_000_000_120),
            ecat(acquisition_type=3, dose_start_time=1_000_000_999),
        ]
    )
    assert found["tracer/startTime"] == "01:47:40"
    assert found["tracer/transmissionsStartTime"] == "01:48:40"


def test_texts_that_disagree_are_left_out():
    found = ecat_session_attributes([ecat(patient_name="A"), ecat(patient_name="B")])
    assert "patientName" not in found
    assert found["patientID"] == "P1"


def test_no_files_give_nothing():
    assert ecat_session_attributes([]) == {}


def test_attributes_of_a_scan():
    found = ecat_scan_attributes(
        ecat(
            num_frames=2,
            parameters={"orientation": "3", "dimensions.x": "128"},
            frames=((1, 0.0, 60.0), (2, 60.0, 120.5)),
        )
    )
    assert found == {
        "modality": "PT",
        "type": "Static emission",
        "quality": "usable",
        "series_description": "FDG brain",
        "frames": "2",
        "startTime": "01:46:40",
        "start_date": "2001-09-09",
        "parameters/format": "MATRIX72v",
        "parameters/originalFileName": "a.v",
        "parameters/systemType": "962",
        "parameters/fileType": "7",
        "parameters/acqType": "3",
        "parameters/facility": "PET Centre",
        "parameters/numPlanes": "47",
        "parameters/numGates": "1",
        "parameters/orientation": "3",
        "parameters/dimensions/x": "128",
        "parameters/frames/1/starttime": "0",
        "parameters/frames/1/length": "60",
        "parameters/frames/1/units": "sec",
        "parameters/frames/2/starttime": "60",
        "parameters/frames/2/length": "120.5",
        "parameters/frames/2/units": "sec",
    }


@pytest.mark.parametrize(
    ("file_type", "acquisition", "label"),
    [
        (7, 0, "Undefined"),
        (7, 1, "Blank"),
        (7, 2, "Transmission"),
        (7, 3, "Static emission"),
        (7, 4, "Dynamic emission"),
        (7, 5, "Gated emission"),
        (2, 6, "Transmission rectilinear"),
        (2, 7, "Emission rectilinear"),
        (7, 8, "Undefined"),
        (7, -1, "Undefined"),
        (7, 32767, "Undefined"),
        (1, 4, "Sinogram"),
        (11, 4, "Sinogram 3D"),
        (3, 2, "Attenuation correction"),
        (4, 0, "Normalization"),
        (13, 0, "Normalization 3D"),
        (99, 0, "Unknown"),
        (-1, 0, "Unknown"),
    ],
)
def test_the_type_tells_emissions_apart_and_what_is_no_image(file_type, acquisition, label):
    assert scan_label(ecat(file_type=file_type, acquisition_type=acquisition)) == label


def test_frames_by_the_thousand_are_not_all_listed():
    found = ecat_scan_attributes(ecat(num_frames=65535, frames=tuple((n, n, 1.0) for n in range(1, 5001))))
    assert found["frames"] == "65535"
    assert len(found) < 1000


def test_texts_of_controls_and_nothing_give_no_attribute():
    assert "patientID" not in ecat_session_attributes([ecat(patient_id="\0\x01 ")])
    assert "parameters/originalFileName" not in ecat_scan_attributes(ecat(original_file_name="\x1b"))

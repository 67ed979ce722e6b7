from __future__ import annotations

from typing import Any

import pytest

from scandock.rules import ct as ct_rules
from scandock.rules import mr as mr_rules
from scandock.rules import pet as pet_rules
from scandock.rules.mr import orientation
from scandock.rules.scan_attributes import COMMON, NAMES, scan_attributes, scan_label
from tests.unit.rules_scans.tallies import CT, MR, PET, mr, tally

TRA, COR, SAG = "1\\0\\0\\0\\1\\0", "1\\0\\0\\0\\0\\-1", "0\\1\\0\\0\\0\\-1"


def test_attributes_of_every_scan():
    found = scan_attributes(
        tally(
            "1.1",
            frames=12,
            SeriesDescription={"t1_mprage": 2, "t1": 1},
            Modality="OT",
            StationName="S1",
            Manufacturer="GE",
            ManufacturerModelName="M",
            RequestedProcedureDescription="R",
            ProtocolName="P",
            BodyPartExamined="HEAD",
            SeriesDate={"20240103": 2, "20240102": 1},
            SeriesTime={"1100": 2, "101500": 1},
        )
    )
    assert found == {
        "UID": "1.1",
        "series_description": "t1_mprage",
        "modality": "OT",
        "scanner": "S1",
        "scanner/manufacturer": "GE",
        "scanner/model": "M",
        "requestedProcedureDescription": "R",
        "protocolName": "P",
        "bodyPartExamined": "HEAD",
        "start_date": "2024-01-02",
        "startTime": "10:15:00",
        "frames": "12",
        "type": "t1_mprage",
        "quality": "usable",
    }


@pytest.mark.parametrize(
    ("description", "label"),
    [
        ("t1_mprage", "t1_mprage"),
        ("", "unknown"),
        ("INVALID: t1", "t1"),
        ("INVALID: ", "unknown"),
        ("INVALID:t1", "INVALID:t1"),
    ],
)
def test_the_label_is_the_description(description, label):
    assert scan_label(description) == label


def test_mr_parameters():
    found = scan_attributes(
        mr(
            PixelSpacing="0.5\\0.75",
            SliceThickness="3",
            SpacingBetweenSlices="3.3",
            ReceiveCoilName="Head",
            MagneticFieldStrength="2.89",
            RepetitionTime="2000",
            EchoTime="30",
            InversionTime="900",
            FlipAngle="90",
            SequenceName="epfid2d1_64",
            ImageType="ORIGINAL\\PRIMARY\\M\\ND",
            ScanningSequence="EP",
            SequenceVariant="SK",
            ScanOptions="FS",
            MRAcquisitionType="2D",
            PixelBandwidth="2232",
            Columns="64",
            Rows="48",
            ContrastBolusAgent="Gd",
            AcquisitionMatrix="64\\0\\0\\48",
            InPlanePhaseEncodingDirection="COL",
            ImageOrientationPatient=TRA,
            DiffusionBValue={"0": 1, "1000": 3, "500": 1},
        )
    )
    assert {
        name: value
        for name, value in found.items()
        if name.startswith("parameters/") or name in {"coil", "fieldStrength"}
    } == {
        "coil": "Head",
        "fieldStrength": "3.0",
        "parameters/voxelRes/x": "0.75",
        "parameters/voxelRes/y": "0.5",
        "parameters/voxelRes/z": "3",
        "parameters/fov/x": "64",
        "parameters/fov/y": "48",
        "parameters/tr": "2000",
        "parameters/te": "30",
        "parameters/ti": "900",
        "parameters/flip": "90",
        "parameters/sequence": "epfid2d1_64",
        "parameters/imageType": "ORIGINAL\\PRIMARY\\M\\ND",
        "parameters/scanSequence": "EP",
        "parameters/seqVariant": "SK",
        "parameters/scanOptions": "FS",
        "parameters/acqType": "2D",
        "parameters/pixelBandwidth": "2232",
        "parameters/contrastBolusAgent": "Gd",
        "parameters/matrix/x": "64",
        "parameters/matrix/y": "48",
        "parameters/inPlanePhaseEncoding/direction": "COL",
        "parameters/orientation": "Tra",
        "parameters/diffusion/bValues": "0,500,1000",
    }


def test_numbers_are_told_in_their_shortest_form():
    found = scan_attributes(
        mr(EchoTime="3.700000e+00", RepetitionTime="4000.0000", PixelSpacing={"0.50\\.5": 1, "0.5\\0.5": 1})
    )
    assert (found["parameters/te"], found["parameters/tr"], found["parameters/voxelRes/x"]) == ("3.7", "4000", "0.5")


def test_the_spacing_between_slices_serves_where_the_thickness_is_missing():
    assert scan_attributes(mr(SpacingBetweenSlices="3.3"))["parameters/voxelRes/z"] == "3.3"


def test_several_echo_times_are_listed_shortest_first():
    found = scan_attributes(mr(EchoTime={"10": 1, "2.5": 1, "2.50": 1, "7": 1}))
    assert "parameters/te" not in found
    assert [found[f"parameters/addParam/MultiEcho_TE{n}"] for n in (1, 2, 3)] == ["2.5", "7", "10"]


def test_echo_times_without_end_are_left_out():
    found = scan_attributes(mr(EchoTime={str(n): 1 for n in range(500)}))
    assert not any("te" in name.lower() and name.startswith("parameters/") for name in found)


def test_enhanced_objects_give_values_from_their_functional_groups():
    found = scan_attributes(
        mr(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
            nested={
                "PixelSpacing": "0.5\\0.75",
                "SliceThickness": "3",
                "RepetitionTime": "2000",
                "ImageOrientationPatient": SAG,
            },
        )
    )
    assert found["parameters/voxelRes/x"] == "0.75"
    assert found["parameters/voxelRes/z"] == "3"
    assert found["parameters/tr"] == "2000"
    assert found["parameters/orientation"] == "Sag"


def test_a_value_above_counts_before_the_functional_groups():
    assert scan_attributes(mr(RepetitionTime="1", nested={"RepetitionTime": "2"}))["parameters/tr"] == "1"


def test_values_on_which_a_series_disagrees_are_empty():
    assert "parameters/flip" not in scan_attributes(mr(FlipAngle={"10": 1, "20": 1}))


@pytest.mark.parametrize(
    ("texts", "plane"),
    [
        ([TRA], "Tra"),
        ([COR], "Cor"),
        ([SAG], "Sag"),
        (["0.999\\0.04\\0\\-0.04\\0.999\\0", TRA], "Tra"),
        ([TRA, SAG], ""),
        (["1\\0\\0\\0\\0.7071067\\0.7071067"], ""),
        (["1\\0\\0"], ""),
        (["a\\b\\c\\d\\e\\f"], ""),
        (["0\\0\\0\\0\\0\\0"], ""),
        (["nan\\0\\0\\0\\1\\0"], ""),
        ([], ""),
    ],
)
def test_orientation_by_the_slice_normal(texts, plane):
    assert orientation(dict.fromkeys(texts, 1)) == plane


def test_ct_parameters():
    found = scan_attributes(
        tally(
            SOPClassUID=CT,
            Modality="CT",
            RescaleIntercept="-1024",
            RescaleSlope="1",
            KVP="120",
            AcquisitionNumber="2",
            DataCollectionDiameter="500",
            DistanceSourceToDetector="1085",
            DistanceSourceToPatient="595",
            GantryDetectorTilt="0",
            TableHeight="150",
            RotationDirection="CC",
            ExposureTime="1000",
            XRayTubeCurrent="200",
            Exposure="200",
            FilterType="WEDGE",
            GeneratorPower="24",
            FocalSpots="0.7\\0.7",
            ConvolutionKernel="H31s",
            SingleCollimationWidth="0.6",
            TotalCollimationWidth="38.4",
            TableSpeed="20",
            TableFeedPerRotation="10",
            SpiralPitchFactor="0.5",
            EstimatedDoseSaving="10",
            CTDIvol="40",
            ContrastBolusAgent="Iod",
            ScanOptions="HELIX",
            PixelSpacing="0.5\\0.5",
            Rows="512",
            Columns="512",
        )
    )
    parameters = {
        name.removeprefix("parameters/"): text for name, text in found.items() if name.startswith("parameters/")
    }
    assert parameters == {
        "rescale/intercept": "-1024",
        "rescale/slope": "1",
        "kvp": "120",
        "acquisitionNumber": "2",
        "collectionDiameter": "500",
        "distanceSourceToDetector": "1085",
        "distanceSourceToPatient": "595",
        "gantryTilt": "0",
        "tableHeight": "150",
        "rotationDirection": "CCW",
        "exposureTime": "1000",
        "xrayTubeCurrent": "200",
        "exposure": "200",
        "filter": "WEDGE",
        "generatorPower": "24",
        "focalSpots": "0.7\\0.7",
        "convolutionKernel": "H31s",
        "collimationWidth/single": "0.6",
        "collimationWidth/total": "38.4",
        "tableSpeed": "20",
        "tableFeedPerRotation": "10",
        "pitchFactor": "0.5",
        "estimatedDoseSaving": "10",
        "ctDIvol": "40",
        "contrastBolus": "Iod",
        "options": "HELIX",
        "voxelRes/x": "0.5",
        "voxelRes/y": "0.5",
        "fov/x": "512",
        "fov/y": "512",
    }


def test_pet_parameters():
    found = scan_attributes(
        tally(
            SOPClassUID=PET,
            Modality="PT",
            InstitutionName="PET Centre",
            NumberOfSlices="47",
            NumberOfTimeSlices="3",
            ActualFrameDuration="60000",
            FrameReferenceTime={"0": 1, "120000": 1, "60000": 1},
        )
    )
    assert found["parameters/facility"] == "PET Centre"
    assert found["parameters/frameDuration"] == "60000"
    assert found["parameters/frameReferenceTimes"] == "0,60000,120000"
    assert found["parameters/numberOfTimeSlices"] == "3"


def test_an_unknown_class_has_its_modality_s_parameters():
    assert scan_attributes(tally(SOPClassUID="1.2.3", Modality="MR", RepetitionTime="1"))["parameters/tr"] == "1"
    assert "parameters/tr" not in scan_attributes(tally(SOPClassUID="1.2.3", Modality="XX", RepetitionTime="1"))


def test_no_text_of_a_header_breaks_xml_or_utf8():
    found = scan_attributes(tally(SeriesDescription="a\0\ud800\x1b<b>"))
    assert found["series_description"] == found["type"] == "a<b>"


def test_every_attribute_that_a_scan_can_have_is_among_the_names():
    """Which are columns of scans: one that is missing there would be empty for ever."""
    other = {
        "AcquisitionMatrix": "256\\0\\0\\192", "ImageOrientationPatient": TRA, "PixelSpacing": "1\\2", "Rows": "4",
        "Columns": "5", "SliceThickness": "3", "MagneticFieldStrength": "3", "EchoTime": "5", "DiffusionBValue": "1000",
        "RotationDirection": "CW", "SeriesDate": "20240102", "SeriesTime": "1015",
    }  # fmt: skip
    seen = set()
    for sop_class, plain in ((MR, mr_rules.PLAIN), (CT, ct_rules.PLAIN), (PET, pet_rules.PLAIN)):
        values: dict[str, Any] = dict.fromkeys((*COMMON.values(), *plain.values()), "1") | other
        values["FrameReferenceTime"] = {"1": 1, "2": 1}
        seen |= set(scan_attributes(tally("1.1", **values | {"SOPClassUID": sop_class, "Modality": "OT"})))
    assert seen - {"UID", "type", "quality", "frames"} == set(NAMES)

from __future__ import annotations

import itertools

import pytest

from scandock.rules.sop_classes import (
    LEAD,
    PRIMARY,
    ROOT,
    TYPE_OF_CLASS,
    has_pixels,
    is_image,
    is_primary,
    leading_element,
    scan_type,
)

# xnat-behaviour.md 4.3, written out again so that a slip in the table shows
TYPES = {
    "pet": "128 130",
    "mr": "4 4.1 4.3",
    "ct": "2 2.1",
    "xa": "12.1 13.1.1",
    "us": "6.1 3.1",
    "rtImage": "481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9",
    "cr": "1",
    "opt": "77.1.5.4",
    "dx3DCraniofacial": "13.1.2",
    "ecg": "9.1.1 9.1.3",
    "eps": "9.3.1",
    "hd": "9.2.1",
    "esv": "77.1.1.1",
    "gmv": "77.1.2.1",
    "xcv": "77.1.4.1",
    "io": "1.3 1.3.1",
    "mg": "1.2 1.2.1",
    "dx": "1.1 1.1.1",
    "nm": "20",
    "op": "77.1.5.1 77.1.5.2",
    "rf": "12.2",
    "sc": "7",
    "seg": "66.4",
    "sr": "88.11 88.22 88.33 88.50 88.65 88.67 88.69 88.70",
    "sm": "77.1.6",
    "gm": "77.1.2",
    "dms": "77.1.7",
    "cfm": "77.1.8",
    "pa": "6.3",
    "ann": "91.1",
    "emg": "9.7.2",
    "eog": "9.7.3",
    "resp": "9.6.1 9.6.2",
    "pos": "9.8.1",
    "obj": "104.4",
    "mtl": "104.5",
    "eeg": "9.7.1",
}
# the classes of PS3.4 Annex B that the original's table lacks, and that are a newer form of one it has
KIN = {
    "pet": "128.1",
    "mr": "4.4",
    "ct": "2.2",
    "xa": "12.1.1",
    "us": "6.2",
    "rtImage": " ".join(f"481.{n}" for n in range(10, 26)),
    "opt": "77.1.5.7 77.1.5.8",
    "mg": "13.1.3 13.1.4 13.1.5",
    "op": "77.1.5.5 77.1.5.6",
    "rf": "12.2.1",
    "sc": "7.1 7.2 7.3 7.4",
    "seg": "66.5 66.7",
    "sr": "88.34 88.35 88.40 88.68 88.71 88.72 88.73 88.74 88.75 88.76 88.77",
    "cfm": "77.1.9",
}
PRIMARY_KIN = "2.2 4.3 4.4 6.2 12.1.1 12.2.1 13.1.4 13.1.5 66.7 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8 77.1.9 88.33 88.34"
ROWS = [(ROOT + suffix, element) for element, suffixes in TYPES.items() for suffix in suffixes.split()]
KIN_ROWS = [(ROOT + suffix, element) for element, suffixes in KIN.items() for suffix in suffixes.split()]
SECONDARY = ["7", "7.2", "66.4", "66.5", "9.1.2", "481.3", "481.5", "88.59", "88.67", "88.68", "11.1", "11.2"]


def test_the_type_of_each_class():
    assert {sop_class: scan_type([sop_class]) for sop_class, _ in ROWS + KIN_ROWS} == {
        sop_class: f"xnat:{element}ScanData" for sop_class, element in ROWS + KIN_ROWS
    }


def test_no_class_beyond_the_table_has_a_type():
    assert dict(ROWS + KIN_ROWS) == TYPE_OF_CLASS


@pytest.mark.parametrize("sop_class", ["1.3.12.2.1107.5.9.1", "", "1.2.3", ROOT + "6", ROOT + "88.59", ROOT + "30"])
def test_all_other_classes_are_other_dicom(sop_class):
    assert scan_type([sop_class]) == "xnat:otherDicomScanData"


def test_a_series_of_several_classes_takes_the_first_in_precedence():
    order = [element for element in LEAD if element in TYPES]
    for first, second in itertools.combinations(order, 2):
        classes = [ROOT + TYPES[second].split()[0], ROOT + TYPES[first].split()[0]]
        assert scan_type(classes) == scan_type(reversed(classes)) == f"xnat:{first}ScanData"


def test_a_type_that_the_precedence_lacks_stands_alone_and_gives_way_in_company():
    op, other_op, sc, io = ROOT + "77.1.5.1", ROOT + "77.1.5.2", ROOT + "7", ROOT + "1.3"
    assert scan_type([op, other_op]) == "xnat:opScanData"
    assert scan_type([op, sc]) == "xnat:scScanData"
    assert scan_type([op, io]) == "xnat:otherDicomScanData"


def test_no_class_at_all():
    assert scan_type([]) == "xnat:otherDicomScanData"
    assert leading_element([]) == "otherDicom"


def test_the_precedence_as_it_is_written():
    assert LEAD[:6] == ("pet", "mr", "ct", "xa", "us", "rtImage")
    assert LEAD[-1] == "otherDicom"
    assert len(LEAD) == len(set(LEAD)) == 32


def test_primary_classes():
    suffixes = ["1", "2", "2.1", "4", "4.1", "128", "20", "77.1.6", "88.11", "88.22", "91.1", "481.2"]
    assert [suffix for suffix in suffixes if not is_primary(ROOT + suffix)] == []


def test_all_other_classes_are_secondary():
    classes = [*(ROOT + suffix for suffix in SECONDARY), "1.3.12.2.1107.5.9.1", "", "1.2"]
    assert [sop_class for sop_class in classes if is_primary(sop_class)] == []


def test_the_primary_list_has_all_its_rows():
    kin = {ROOT + suffix for suffix in (PRIMARY_KIN + " 88.35 128.1 481.23 481.24").split()}
    assert kin <= PRIMARY
    assert len(PRIMARY - kin) == 47


def test_every_image_class_of_the_standard_that_makes_a_type_is_primary_but_captures():
    """A class whose kin's images are in `DICOM` is not set aside: what is left are captures and the original's own."""
    left = {suffix for sop_class, _ in ROWS + KIN_ROWS if is_image(sop_class) and not is_primary(sop_class)
            for suffix in [sop_class.removeprefix(ROOT)]}  # fmt: skip
    assert left == {"7", "7.1", "7.2", "7.3", "7.4"}


@pytest.mark.parametrize(
    ("suffix", "image"),
    [
        ("4", True),
        ("4.2", True),
        ("2", True),
        ("7", True),
        ("128", True),
        ("481.1", True),
        ("30", False),
        ("88.22", False),
        ("88.59", False),
        ("66.4", False),
        ("66.1", False),
        ("66", False),
        ("11.1", False),
        ("481.2", False),
        ("481.3", False),
        ("481.5", False),
        ("104.1", False),
        ("9.1.1", False),
        ("91.1", False),
        ("66.7", False),
        ("481.23", True),
        ("78.1", False),
        ("80.1", False),
        ("200.2", False),
    ],
)
def test_what_accompanies_images_is_none(suffix, image):
    assert is_image(ROOT + suffix, "MR") is image


def test_private_and_missing_classes_go_by_modality():
    assert not is_image("1.3.12.2.1107.5.9.1", "MR")
    assert is_image("1.2.3.4", "MR")
    assert is_image("", "")
    assert not is_image("", "SR")
    assert not is_image("1.2.3.4", "pr")


@pytest.mark.parametrize("suffix", ["1", "4", "4.4", "7", "128", "77.1.6", "30", "66.4", "66.7", "481.1", "481.2"])
def test_objects_of_pixels_are_counted_as_images(suffix):
    assert has_pixels(ROOT + suffix, "OT")


@pytest.mark.parametrize(
    "suffix", ["4.2", "66", "66.1", "66.5", "67", "88.11", "88.33", "88.59", "11.1", "9.1.1", "104.1", "481.3", "481.5"]
)
def test_raw_data_reports_and_what_else_has_no_pixels_is_not(suffix):
    assert not has_pixels(ROOT + suffix, "MR")


def test_pixels_of_private_and_missing_classes_go_by_modality():
    assert has_pixels("1.2.3.4", "MR")
    assert has_pixels("", "")
    assert not has_pixels("1.2.3.4", "SR")
    assert not has_pixels("1.3.12.2.1107.5.9.1", "MR")

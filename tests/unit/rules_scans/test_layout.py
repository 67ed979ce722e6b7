from __future__ import annotations

import itertools
import re

import pytest

from scandock.rules.layout import MAX_FOLDERS, escapes_archive, parse_layout, split_path

DOCUMENTED = [
    ("S1/scans/4/resources/DICOM/files/1.dcm", "S1", "4", "DICOM"),
    ("s1/SCANS/4-t1_mprage/Resources/dicom/FILES/1.dcm", "s1", "4-t1_mprage", "dicom"),
    ("S1/scans/4/resources/ECAT/files/a.v", "S1", "4", "ECAT"),
    ("S1/scans/4/resources/secondary/files/1.dcm", "S1", "4", "secondary"),
    ("export/of/tuesday/S1/scans/4/resources/DICOM/files/deep/er/1.dcm", "S1", "4", "DICOM"),
    ("./S1//scans/4/./resources/DICOM/files/1.dcm", "S1", "4", "DICOM"),
    ("/S1/scans/4/resources/DICOM/files/1.dcm", "S1", "4", "DICOM"),
    ("S1\\scans\\4\\resources\\DICOM\\files\\1.dcm", "S1", "4", "DICOM"),
    ("scans/4/resources/DICOM/files/1.dcm", None, "4", "DICOM"),
    ("scans/scans/resources/resources/DICOM/files/1.dcm", "scans", "resources", "DICOM"),
    ("S1/resources/DICOM/files/1.dcm", "S1", None, "DICOM"),
    ("arc001/S1/SCANS/4/DICOM/1.dcm", "S1", "4", "DICOM"),
    ("S1/SCANS/4/secondary/1.dcm", "S1", "4", "secondary"),
    ("SCANS/4/DICOM/1.dcm", None, "4", "DICOM"),
]
RESOURCES = [
    ("S1/scans/4/resources/NIFTI/files/x.nii.gz", "S1", "4", "NIFTI"),
    ("S1/scans/4/resources/SNAPSHOTS/files/DICOM/1.dcm", "S1", "4", "SNAPSHOTS"),
    ("S1/resources/NOTES/files/a/b.txt", "S1", None, "NOTES"),
    ("resources/NOTES/files/b.txt", None, None, "NOTES"),
    ("S1/SCANS/4/NIFTI/x.nii.gz", "S1", "4", "NIFTI"),
    ("S1/assessors/QC1/resources/DATA/files/q.xml", "S1", None, "DATA"),
    ("S1/assessors/ROI1/out/resources/RTSTRUCT/files/r.dcm", "S1", None, "RTSTRUCT"),
    ("S1/scans/4/resources/NIFTI/files/T/scans/1/resources/DICOM/files/1.dcm", "S1", "4", "NIFTI"),
]
NEITHER = [
    "IM00001",
    "DICOM/PA000000/ST000000/SE000001/IM000001",
    "scans/patient1/series3/IM001",
    "S1/scans/4/NOTES/1.dcm",
    "S1/scans/4/resources/DICOM/1.dcm",
    "viewer/resources/images/logo.png",
    "resources/files/1.dcm",
    "scans/1.dcm",
    "S1/scans",
    "",
]


@pytest.mark.parametrize(("path", "session", "scan", "resource"), DOCUMENTED)
def test_image_folders_of_the_known_layouts(path, session, scan, resource):
    place = parse_layout(path)
    assert (place.session_folder, place.scan_folder, place.resource) == (session, scan, resource)
    assert place.is_image_folder
    assert not place.is_resource_folder


@pytest.mark.parametrize(("path", "session", "scan", "resource"), RESOURCES)
def test_resource_folders_of_the_known_layouts(path, session, scan, resource):
    place = parse_layout(path)
    assert (place.session_folder, place.scan_folder, place.resource) == (session, scan, resource)
    assert place.is_resource_folder
    assert not place.is_image_folder


@pytest.mark.parametrize("path", NEITHER)
def test_other_folders_are_no_layout(path):
    place = parse_layout(path)
    assert (place.session_folder, place.scan_folder, place.resource) == (None, None, None)
    assert not place.is_image_folder
    assert not place.is_resource_folder


def test_the_folders_beneath_a_resource_are_its_own():
    assert parse_layout("S/scans/1/resources/NIFTI/files/a/b/c.nii").rest == ("a", "b")
    assert parse_layout("S/resources/NOTES/files/n.txt").rest == ()
    assert parse_layout("a/b/c.txt").rest == ("a", "b")


def test_the_session_depth_leads_to_the_session_folder():
    place = parse_layout("x/y/S/scans/1/resources/DICOM/files/1.dcm")
    assert place.folders[: place.session_depth] == ("x", "y", "S")
    assert parse_layout("scans/1/resources/DICOM/files/1.dcm").session_depth == 0


@pytest.mark.parametrize(
    ("path", "folders", "base"),
    [
        ("a/b/../c/1", ("a", "c"), "1"),
        ("../../etc/passwd", ("etc",), "passwd"),
        ("..\\..\\x", (), "x"),
        ("C:\\x\\1", ("C:", "x"), "1"),
        ("a/", ("a",), ""),
        ("a/..", (), ""),
        ("a/.", ("a",), ""),
        ("..", (), ""),
    ],
)
def test_folders_never_leave_the_top(path, folders, base):
    place = parse_layout(path)
    assert (place.folders, place.base) == (folders, base)


def test_a_decoded_shift_jis_name_is_not_split():
    name = b"\x95\x5c\x83\x5c/1.dcm".decode("shift_jis")  # two characters whose second byte is 0x5C
    assert split_path(name) == ("表ソ/", "1.dcm")
    assert parse_layout(name).folders == ("表ソ",)


def test_the_layout_is_read_from_the_inner_name_alone():
    inner = "T/scans/2/resources/DICOM/files/1.dcm"
    assert parse_layout(inner, ("S/scans/1/resources/NIFTI/files/x.zip",)) == parse_layout(inner)


def test_a_zip_that_lies_in_a_resource_gives_files_of_that_resource():
    place = parse_layout("a/1.dcm", ("outer.zip", "S/scans/1/resources/NIFTI/files/b/x.zip", "c/y.tar"))
    assert (place.session_folder, place.scan_folder, place.resource) == ("S", "1", "NIFTI")
    assert place.is_resource_folder
    assert place.rest == ("b", "x.zip", "c", "y.tar", "a")
    assert place.base == "1.dcm"


def test_a_zip_in_an_image_folder_gives_images():
    assert parse_layout("1.dcm", ("S/scans/1/resources/DICOM/files/x.zip",)).is_image_folder


def test_a_name_of_many_thousand_folders_is_read_in_no_time():
    place = parse_layout("d/" * 30_000 + "S/scans/1/resources/DICOM/files/1.dcm")
    assert place.resource is None
    assert len(place.folders) == MAX_FOLDERS


@pytest.mark.parametrize(
    "name",
    ["/a", "//a", "\\\\server\\x", "..\\x", "a/../b", "C:x", "C:\\x", ".", "..", "", "a/", "a/.", "a\0b", "a/\n", "\n"],
)
def test_a_name_that_would_lead_out_or_to_no_file_is_told(name):
    assert escapes_archive(name)


def test_every_short_name_is_told_that_would_lead_out_or_to_no_file() -> None:
    for length in range(6):
        for letters in itertools.product("a./\\:\0", repeat=length):
            name = "".join(letters)
            pieces = re.split(r"[/\\]", name)
            is_absolute = pieces[0] == "" or pieces[0][:2] == "a:"
            expected = is_absolute or "\0" in name or ".." in pieces or pieces[-1] in {"", "."}
            assert escapes_archive(name) == expected, name


@pytest.mark.parametrize("name", ["a/b", "./a/b", "a..b/c..", "~root/x", "%2e%2e/x", "ab:c", ".hidden"])
def test_other_odd_names_are_just_names(name):
    assert not escapes_archive(name)

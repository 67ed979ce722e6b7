from __future__ import annotations

import time

import pytest

from scandock.rules import loose_files
from scandock.rules.loose_files import EntryPath, FolderIndex, StudyMatch, split_levels


def index_of(*images):
    index = FolderIndex()
    for image in images:
        path, study, *rest = image
        spot = path if isinstance(path, EntryPath) else EntryPath((), path)
        index.add_image(spot, study, *rest)
    return index


def study_of(index, path, *outer):
    return index.find_study(EntryPath(outer, path)).study


def test_a_file_beside_the_images_of_one_study_is_that_study_s():
    index = index_of(("a/1", "A"), ("a/2", "A"), ("b/1", "B"))
    assert study_of(index, "a/log.txt") == "A"
    assert study_of(index, "b/sub/log.txt") == "B"


def test_a_file_in_a_folder_without_images_goes_by_the_nearest_above_that_has_any():
    index = index_of(("top/images/1", "A"))
    assert study_of(index, "top/physio/run1/log.txt") == "A"
    assert study_of(index, "readme.txt") == "A"


def test_a_file_above_two_studies_is_nobody_s_and_the_reason_says_so():
    index = index_of(("top/a/1", "A"), ("top/b/1", "B"))
    home = index.find_study(EntryPath((), "top/readme.txt"))
    assert home.study is None
    assert "2 studies" in home.reason


def test_a_folder_of_two_studies_is_not_passed_over_for_a_wider_one():
    index = index_of(("a/mixed/1", "A"), ("a/mixed/2", "B"))
    assert study_of(index, "a/mixed/log.txt") is None
    assert study_of(index, "log.txt") is None


def test_no_image_anywhere():
    home = FolderIndex().find_study(EntryPath((), "a/log.txt"))
    assert home == StudyMatch(study=None, reason="no image lies in the folders above it")


def test_an_inner_archive_is_a_folder_of_the_one_around_it():
    index = index_of((EntryPath(("in/p1.zip",), "d/1"), "A"))
    assert study_of(index, "in/readme.txt") == "A"
    assert study_of(index, "d/log.txt", "in/p1.zip") == "A"


def test_a_file_never_looks_beyond_its_own_archive():
    index = index_of((EntryPath(("p1.zip",), "1"), "A"))
    assert study_of(index, "report.pdf", "p2.zip") is None


def test_inner_archives_of_one_name_in_different_folders_are_told_apart():
    index = index_of((EntryPath(("a/x.zip",), "1"), "A"), (EntryPath(("b/x.zip",), "1"), "B"))
    assert study_of(index, "log.txt", "a/x.zip") == "A"
    assert study_of(index, "log.txt", "b/x.zip") == "B"
    assert study_of(index, "log.txt") is None


def test_windows_and_unix_names_are_one_tree():
    index = index_of(("a\\b\\1", "A"), ("c/1", "B"))
    assert study_of(index, "a/b/log.txt") == "A"


DICOM = "{}/scans/{}/resources/DICOM/files/1.dcm"


def test_a_resource_goes_to_the_session_of_its_folder():
    index = index_of((DICOM.format("S", 1), "A", "s1"), (DICOM.format("T", 1), "B", "s2"))
    assert study_of(index, "S/resources/NOTES/files/n.txt") == "A"
    assert study_of(index, "T/resources/NOTES/files/n.txt") == "B"


def test_a_resource_of_a_session_folder_without_images_is_nobody_s():
    index = index_of((DICOM.format("S", 1), "A", "s1"))
    home = index.find_study(EntryPath((), "U/resources/NOTES/files/n.txt"))
    assert home.study is None
    assert home.reason


def test_a_resource_goes_to_the_one_series_of_its_scan_folder():
    index = index_of((DICOM.format("S", 1), "A", "s1"), (DICOM.format("S", 2), "A", "s2"))
    home = index.find_study(EntryPath((), "S/scans/2/resources/NIFTI/files/x.nii"))
    assert (home.study, home.series) == ("A", "s2")


def test_a_resource_of_a_scan_folder_without_or_with_several_series_stays_at_the_session():
    index = index_of(("S/scans/1/resources/DICOM/files/1", "A", "s1"), ("S/scans/1/resources/DICOM/files/2", "A", "s2"))
    for scan in (1, 7):
        home = index.find_study(EntryPath((), f"S/scans/{scan}/resources/NIFTI/files/x.nii"))
        assert (home.study, home.series) == ("A", None)


def test_a_session_folder_of_two_studies_leaves_the_scan_folder_to_decide():
    index = index_of((DICOM.format("S", 1), "A", "s1"), (DICOM.format("S", 2), "B", "s2"))
    assert study_of(index, "S/scans/2/resources/NIFTI/files/x.nii") == "B"
    assert study_of(index, "S/resources/NOTES/files/n.txt") is None


def test_resources_at_the_top_belong_to_the_one_study_there():
    index = index_of(("scans/1/resources/DICOM/files/1", "A", "s1"))
    assert study_of(index, "resources/NOTES/files/n.txt") == "A"
    home = index.find_study(EntryPath((), "scans/1/resources/NIFTI/files/x.nii"))
    assert (home.study, home.series) == ("A", "s1")


def test_a_zip_that_lies_in_a_resource_folder_goes_where_that_folder_goes():
    index = index_of((DICOM.format("S", 1), "A", "s1"), (DICOM.format("T", 1), "B", "s2"))
    assert study_of(index, "n.txt", "S/resources/NOTES/files/notes.zip") == "A"


def test_xnat_s_own_layout():
    index = index_of(("arc/S/SCANS/4/DICOM/1.dcm", "A", "s1"), ("arc/T/SCANS/4/DICOM/1.dcm", "B", "s2"))
    home = index.find_study(EntryPath((), "arc/S/SCANS/4/NIFTI/x.nii"))
    assert (home.study, home.series) == ("A", "s1")


def test_the_order_of_images_does_not_show():
    images = [("a/1", "A"), ("a/b/1", "B"), ("c/1", "A"), ("c/2", "C")]
    there, back = index_of(*images), index_of(*reversed(images))
    for name in ("x", "a/x", "a/b/x", "a/d/x", "c/x"):
        assert study_of(there, name) == study_of(back, name)


@pytest.mark.long
def test_two_hundred_thousand_entries_take_seconds():
    index = FolderIndex()
    begun = time.process_time()
    for n in range(100_000):
        index.add_image(EntryPath((), f"p{n % 500}/st/se{n % 5000}/IM{n}"), f"S{n % 500}")
    assert study_of(index, "p7/log.txt") == "S7"
    for n in range(100_000):
        index.find_study(EntryPath((), f"p{n % 500}/physio/{n}.log"))
    assert time.process_time() - begun < 10


def test_beyond_the_bound_on_folders_images_still_count_above(monkeypatch):
    monkeypatch.setattr(loose_files, "MAX_NODES", 4)
    index = index_of(("a/b/c/1", "A"), ("a/x/1", "B"), ("z/1", "C"))
    assert study_of(index, "a/b/c/log") == "A"
    assert study_of(index, "a/x/log") is None
    assert study_of(index, "z/log") is None


@pytest.mark.parametrize(
    ("path", "levels", "spot"),
    [
        ("a/1.dcm", 1, EntryPath((), "a/1.dcm")),
        ("a!/1.dcm", 1, EntryPath((), "a!/1.dcm")),
        ("x.zip!a/1.dcm", 2, EntryPath(("x.zip",), "a/1.dcm")),
        ("x.zip!a!b/1.dcm", 2, EntryPath(("x.zip",), "a!b/1.dcm")),
        ("odd!name.zip!1.dcm", 2, EntryPath(("odd!name.zip",), "1.dcm")),
        ("x.zip!y/z.tar.gz!1", 3, EntryPath(("x.zip", "y/z.tar.gz"), "1")),
    ],
)
def test_a_receipt_path_is_taken_apart(path, levels, spot):
    assert split_levels(path, levels) == spot

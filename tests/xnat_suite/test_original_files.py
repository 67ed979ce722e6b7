"""Files of resources, as the original's suite sends and reads them."""

from __future__ import annotations

import pytest

from tests.xnat_suite.originals import original
from tests.xnat_suite.requests import Suite, expect, form, members

ARCHIVES = {"Zip": "mr_1.zip", "Tar": "mr_1.tar", "TarGz": "mr_1.tar.gz", "Tgz": "mr_1.tgz"}


def make_mr(suite: Suite) -> str:
    """What each test of the class begins with."""
    suite.make_subject("1", gender="male")
    return suite.make_session("1", "MR1", date="01/01/2000")


@original("TestFileUpload.testImageUploadWResourcePrecreate")
def test_an_image_of_a_resource_that_was_made_before(suite):
    precreated(suite, "mr_1/1.dcm")


@original("TestFileUpload.testTextUploadWResourcePrecreate")
def test_a_text_of_a_resource_that_was_made_before(suite):
    precreated(suite, "dummy.txt")


def precreated(suite: Suite, name: str) -> None:
    session = make_mr(suite)
    scan = suite.make_scan(session, "1", series_description="LOCALIZER", quality="usable")
    suite.make_scan(session, "2", series_description="localizer", quality="questionable")
    expect(suite.main.put(f"{scan}/resources/DICOM"), 200)
    address = f"{scan}/resources/DICOM/files/{name.rpartition('/')[2]}"
    suite.put_file(address, name)
    suite.is_file(address, name)


def session_date(suite: Suite, session: str) -> str:
    text = expect(suite.main.get(session, params={"format": "xml"}), 200).text
    return text.partition("<xnat:date>")[2].partition("<")[0]


@original("TestFileUpload.testResourcesUpload")
def test_resources_of_session_subject_and_project_and_folders_in_one(suite):
    session = make_mr(suite)
    assert session_date(suite, session) == "2000-01-01"
    homes = {session: "mr_1/1.dcm", suite.subject("1"): "mr_1/2.dcm", f"/data/projects/{suite.project}": "mr_1/3.dcm"}
    for home, name in homes.items():
        address = f"{home}/resources/TEST/files/{name[5:]}"
        suite.put_file(address, name)
        suite.is_file(address, name)
    zipped = suite.main.get(f"{session}/resources/TEST/files", params={"format": "zip", "compression": "0"})
    assert members(expect(zipped, 200).content) == {"MR1/resources/TEST/files/1.dcm": suite.file("mr_1/1.dcm")}
    assert session_date(suite, session) == "2000-01-01"

    files = f"/data/projects/{suite.project}/resources/TEST2/files"
    for path in ("1.dcm", "sub/2.dcm", "sub/folder/3.dcm"):
        suite.put_file(f"{files}/{path}", "mr_1/3.dcm")
    assert len(suite.rows(f"{files}/sub/")) == 2
    assert len(suite.rows(f"{files}/sub/", recursive="false")) == 1
    assert len(members(expect(suite.main.get(f"{files}/sub/", params={"format": "zip"}), 200).content)) == 2
    expect(suite.main.delete(f"{files}/sub/folder"), 200)
    assert len(suite.rows(f"{files}/sub/")) == 1


@original("TestFileUpload.testTextIMGUploadWOPrecreate")
def test_a_file_of_a_scan_whose_resource_was_not_made(suite):
    session = make_mr(suite)
    scan = suite.make_scan(session, "1", series_description="LOCALIZER", quality="usable")
    suite.make_scan(session, "2", series_description="localizer", quality="questionable")
    both_ways(suite, scan, "TEST", "3.dcm", "mr_1/2.dcm")


@original("TestFileUpload.testScanUpload")
def test_a_file_of_a_scan(suite):
    scan = suite.make_scan(make_mr(suite), "MR1_scan1")
    both_ways(suite, scan, "DICOM", "1.dcm", "mr_1/1.dcm")


@original("TestFileUpload.testMRResourceUpload")
def test_a_file_of_a_session(suite):
    both_ways(suite, make_mr(suite), "DICOM", "1.dcm", "mr_1/2.dcm")


@original("TestFileUpload.testSubjectResourceUpload")
def test_a_file_of_a_subject(suite):
    make_mr(suite)
    both_ways(suite, suite.subject("1"), "TEST1", "1.dcm", "mr_1/3.dcm")


@original("TestFileUpload.testProjectResourceUpload")
def test_a_file_of_a_project(suite):
    both_ways(suite, f"/data/projects/{suite.project}", "TEST1", "1.dcm", "mr_1/3.dcm")


def both_ways(suite: Suite, home: str, resource: str, called: str, name: str) -> None:
    """A file is found below its resource and among all files of what has the resource."""
    suite.put_file(f"{home}/resources/{resource}/files/{called}", name)
    suite.is_file(f"{home}/resources/{resource}/files/{called}", name)
    suite.is_file(f"{home}/files/{called}", name)


HOMES = {"MR": "session", "Scan": "scan", "Subject": "subject", "Project": "project"}


@pytest.mark.parametrize(
    ("home", "archive"),
    [
        pytest.param(HOMES[of], name, marks=pytest.mark.original(f"TestFileUpload.test{of}ResourceUpload{kind}"))
        for of in HOMES
        for kind, name in ARCHIVES.items()
    ],
)
def test_an_archive_is_unpacked(suite, home, archive):
    session = make_mr(suite)
    address = {"session": session, "subject": suite.subject("1"), "project": f"/data/projects/{suite.project}"}
    address = suite.make_scan(session, "MR1_scan1") if home == "scan" else address[home]
    files = f"{address}/resources/TEST/files"
    expect(suite.main.post(files, params={"extract": "true"}, files=form(archive, suite.file(archive))), 200)
    for n in range(1, 7):
        suite.is_file(f"{files}/mr_1/{n}.dcm", f"mr_1/{n}.dcm")


@original("TestFileUpload.testMRResourcesTotalRecordsCount")
def test_a_listing_says_how_many_resources_there_are(suite):
    session = make_mr(suite)

    def totals() -> list[object]:
        asked: tuple[dict[str, str], ...] = ({"file_stats": "true"}, {}, {"file_stats": "false"})
        answers = [suite.main.get(f"{session}/resources", params={"format": "json", **one}) for one in asked]
        return [int(expect(answer, 200).json()["ResultSet"]["totalRecords"]) for answer in answers]

    assert totals() == [0, 0, 0]
    for n in (1, 2, 3):
        suite.put_file(f"{session}/resources/TEST{n}/files/{n}.dcm", f"mr_1/{n}.dcm")
    assert totals() == [3, 3, 3]


@original("TestFileFiltering.testFileFiltering")
def test_files_are_filtered_by_content(suite):
    files = f"{suite.make_session('S', 'MR1')}/resources/TEST/files"
    for n, content in enumerate(("TEST1", "TEST1", "TEST2", "TEST2", "TEST3"), start=1):
        suite.put_file(f"{files}/Louie{n}.jpg", "louie.jpg", content=content)
    assert len(suite.rows(files)) == 5
    assert len(suite.rows(files, file_content="TEST2")) == 2
    assert len(suite.rows(files, file_content="TEST3")) == 1
    expect(suite.main.get(files, params={"file_content": "TEST3", "index": "1"}), 404)
    second = suite.main.get(files, params={"file_content": "TEST2", "index": "1"})
    assert expect(second, 200).content == suite.file("louie.jpg")


@original("TestProjectURIs.testProjectDeleteCrossover")
def test_deleting_a_project_leaves_the_files_of_others(suite):
    one, two = (suite.new_project(name) for name in ("ONE", "TWO"))
    kept = f"/data/projects/{one}/resources/TESTING/files/louie.jpg"
    suite.put_file(kept, "louie.jpg")
    suite.put_file(f"/data/projects/{two}/resources/TESTING2/files/louie.jpg", "louie.jpg")
    suite.is_file(kept, "louie.jpg")
    expect(suite.main.delete(f"/data/projects/{two}", params={"removeFiles": "true"}), 200)
    suite.is_file(kept, "louie.jpg")

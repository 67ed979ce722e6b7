"""Archiving, the prearchive's listings and moves, and direct archiving, as the original's suite asks for them."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from tests.builders import zip_entries
from tests.xnat_suite.originals import original
from tests.xnat_suite.requests import Suite, expect

SUBJECT = "SPP_0x220790"
SESSION = "SPP_0x220790_MR2"
"""What the headers of mr_1.zip say."""


def is_mr_1(suite: Suite, subject: str, session: str) -> None:
    """Scan 1 of the session has the files of mr_1.zip."""
    for n in range(1, 7):
        suite.is_file(f"{suite.session(subject, session)}/scans/1/resources/DICOM/files/{n}.dcm", f"mr_1/{n}.dcm")


@original("TestArchive.testFixScanTypes")
def test_scan_types_are_those_of_the_projects_other_sessions(suite):
    one, two = (suite.make_session("S", label, date=f"01/0{n}/2001") for n, label in enumerate(("MR1", "MR2"), 1))
    for scan, quality in (("1", "usable"), ("2", "questionable")):
        address = suite.make_scan(one, scan, series_description="localizer", quality=quality)
        expect(suite.main.put(f"{address}/resources/DICOM", params={"format": "DICOM"}), 200)
    suite.make_scan(two, "1", series_description="localizer", type="MAPPED", quality="usable")
    expect(suite.main.put(one, params={"fixScanTypes": "true"}), 200)
    assert [scan["type"] for scan in suite.rows(f"{one}/scans")] == ["MAPPED", "MAPPED"]


@original("TestArchive.testSetScanProperties")
def test_a_scans_note_is_set_in_every_way(suite):
    session = suite.make_session("S", "MR1", date="01/01/2001")
    scan = suite.make_scan(session, "1", series_description="localizer", quality="usable")
    expect(suite.main.put(scan), 200)

    def note() -> str:
        [row] = suite.rows(f"{session}/scans")
        assert (row["ID"], row["series_description"]) == ("1", "localizer")
        return str(row["note"])

    assert not note()
    for params in (
        {"xsiType": "xnat:mrScanData", "note": "note 1"},
        {"note": "note 2"},
        {"xnat:imageScanData/note": "note 3"},
        {"xnat:mrScanData/note": "note 4"},
    ):
        expect(suite.main.put(scan, params=params), 200)
        assert note() == list(params.values())[-1]
    wrong = suite.main.put(scan, params={"xsiType": "xnat:petScanData", "note": "bad"})
    assert "Specified xsiType differs from existing xsiType" in expect(wrong, 409).text
    assert note() == "note 4"


@original("TestArchive.testImportToArchive")
def test_an_import_that_names_project_subject_and_session(suite):
    suite.imported(
        "mr_1.zip", triggerPipelines="false", dest="/archive", project=suite.project, subject="1", session="MR1",
        overwrite="append",
    )  # fmt: skip
    is_mr_1(suite, "1", "MR1")


def waiting(suite: Suite) -> str:
    """The address of mr_1.zip once it waits in the project's prearchive."""
    dest = f"/prearchive/projects/{suite.project}"
    return suite.imported("mr_1.zip", triggerPipelines="false", dest=dest, overwrite="append")


@original("TestArchive.testBasicArchiveFromPrearc")
def test_archiving_by_the_service(suite):
    params = {"src": waiting(suite), "triggerPipelines": "false", "overwrite": "append"}
    expect(suite.main.post("/data/services/archive", params=params), 200)
    is_mr_1(suite, SUBJECT, SESSION)


@original("TestArchive.testBasicArchiveFromPrearcWParams")
def test_archiving_by_the_service_under_other_names(suite):
    params = {
        "src": waiting(suite), "triggerPipelines": "false", "overwrite": "append",
        "xnat:mrSessionData/project": suite.project, "xnat:mrSessionData/subject_id": "1",
        "xnat:mrSessionData/label": "MR1",
        "xnat:mrSessionData/scans/scan[0][@xsi:type=xnat:mrScanData]/type": "ARC_TEST",
    }  # fmt: skip
    expect(suite.main.post("/data/services/archive", params=params), 200)
    is_mr_1(suite, "1", "MR1")
    suite.is_file(f"{suite.session('1', 'MR1')}/scans/ARC_TEST/resources/DICOM/files/1.dcm", "mr_1/1.dcm")


@original("TestPrearchiveMgmt.testGradualCommitUnassignedMove")
def test_one_object_committed_in_unassigned_and_moved_twice(suite):
    one, two = (suite.new_project(name) for name in ("ONE", "TWO"))
    session = suite.imported("mr_1/1.dcm", import__handler="gradual-DICOM", dest="/prearchive")
    try:
        expect(suite.admin.post(session, params={"action": "commit"}), 200)
        expect(suite.admin.get(session), 200)
        move(suite, session, one)
        [row] = suite.waiting(one, subject=SUBJECT, name=SESSION)
        move(suite, f"/data{row['url']}", two)
        [row] = suite.waiting(two, subject=SUBJECT, name=SESSION)
        expect(suite.main.delete(f"/data{row['url']}"), 200)
        assert (suite.waiting(one), suite.waiting(two)) == ([], [])
    finally:
        suite.admin.delete(session)


def move(suite: Suite, session: str, project: str, by: str = "admin") -> None:
    params = {"src": session, "newProject": project, "async": "false"}
    expect(getattr(suite, by).post("/data/services/prearchive/move", params=params), 200)


@original("TestPrearchiveMgmt.testPrearchiveListing")
def test_the_listing_names_each_session(suite):
    wanted = {"MR11": "1", "MR12": "1", "MR21": "2", "MR31": "3"}
    for session, subject in wanted.items():
        suite.imported(
            "mr_1.zip", triggerPipelines="false", project=suite.project, subject=subject, session=session,
            overwrite="append", action="commit",
        )  # fmt: skip
    for session, subject in wanted.items():
        [row] = suite.waiting(subject=subject, name=session, status="READY")
        expect(suite.main.get(f"/data{row['url']}"), 200)


@original("TestPrearchiveMgmt.testPrearchiveSessionDelete")
def test_a_session_that_waits_is_deleted(suite):
    assert suite.waiting() == []
    suite.imported(
        "mr_1.zip", triggerPipelines="false", project=suite.project, subject="SUBJ1", session="SUBJ1_MR1",
        overwrite="append",
    )  # fmt: skip
    [row] = suite.waiting(subject="SUBJ1", name="SUBJ1_MR1")
    expect(suite.main.delete(f"/data{row['url']}"), 200)
    assert suite.waiting() == []


@original("TestPrearchiveMgmt.testPrearchiveWithDestination")
def test_a_session_waits_where_the_sender_says(suite):
    dest = f"/prearchive/projects/{suite.project}/20000101_050505/11223344556677"
    suite.imported(
        "mr_1.zip", triggerPipelines="false", dest=dest, subject="SUBJ9", session="SUBJ9_MRI", overwrite="append"
    )
    assert len(suite.waiting()) == 1
    expect(suite.main.delete(f"/data{dest}"), 200)
    assert suite.waiting() == []


@original("TestPrearchiveMgmt.testUnassignedMove")
def test_a_session_of_unassigned_is_moved_twice(suite):
    one, two = (suite.new_project(name) for name in ("ONE", "TWO"))
    unassigned = suite.imported("mr_1.zip", triggerPipelines="false", dest="/prearchive", subject="subject1")
    try:
        answer = expect(suite.admin.get("/data/prearchive/projects/Unassigned", params={"format": "json"}), 200)
        [row] = [
            row
            for row in answer.json()["ResultSet"]["Result"]
            if (row["subject"], row["name"], row["status"]) == ("subject1", SESSION, "READY")
        ]
        move(suite, f"/data{row['url']}", one)
        [row] = suite.waiting(one)
        assert (row["subject"], row["name"]) == ("subject1", SESSION)
        move(suite, f"/data{row['url']}", two, by="main")
        [row] = suite.waiting(two, subject="subject1", name=SESSION)
        assert suite.waiting(one) == []
        expect(suite.main.delete(f"/data{row['url']}"), 200)
    finally:
        suite.admin.delete(unassigned)


@original("TestProjectURIs.testPrearchiveConfig")
def test_the_projects_policy_takes_each_code(suite):
    for code in ("4", "0", "11"):
        expect(suite.main.put(f"/data/projects/{suite.project}/prearchive_code/{code}"), 200)


@original("TestDirectArchive.testDirectArchiveAPI", "TestDirectArchive.testDirectArchiveCStore")
def test_archived_directly(suite):
    direct(suite)
    expect(suite.main.get(suite.session(SUBJECT, SESSION)), 200)
    assert suite.waiting() == []


@original("TestDirectArchive.testDirectArchiveConflict")
def test_what_clashes_with_what_was_archived_directly_waits_as_a_conflict(suite):
    """Other bytes under the same UIDs: the same ones are no conflict here."""
    direct(suite)
    with zipfile.ZipFile(BytesIO(suite.file("mr_1.zip"))) as opened:
        changed = {name: opened.read(name)[:-1] + b"\x7f" for name in opened.namelist() if name.endswith(".dcm")}
    direct(suite, zip_entries(changed))
    assert [row["status"] for row in suite.waiting(name=SESSION)] == ["CONFLICT"]
    is_mr_1(suite, SUBJECT, SESSION)


@original("TestDirectArchive.testDirectArchiveAPICommit")
def test_archived_directly_and_committed(suite):
    expect(suite.main.post(direct(suite)), 200)
    expect(suite.main.get(suite.session(SUBJECT, SESSION)), 200)


def direct(suite: Suite, body: bytes | None = None) -> str:
    params = {"import__handler": "DICOM-zip", "Direct__Archive": "true", "project": suite.project}
    return suite.imported("mr_1.zip", body, **params)


@original("TestImport.simpleAutoarchiveMerge")
def test_series_after_series_join_one_session_where_the_project_archives(suite):
    """The original's suite sends those that follow by DICOM's network protocol."""
    expect(suite.main.put(f"/data/projects/{suite.project}/prearchive_code/4"), 200)
    dest = f"/archive/projects/{suite.project}/subjects/S/experiments/E"
    suite.imported("scan1.zip", dest=dest)
    suite.imported("scan2.zip", import__handler="DICOM-zip", action="commit", dest=f"/archive/projects/{suite.project}")
    session = suite.session("S", "E")
    assert [row["ID"] for row in suite.rows(f"{session}/scans")] == ["1", "2"]
    for scan in ("1", "2"):
        [resource] = suite.rows(f"{session}/scans/{scan}/resources")
        assert (resource["label"], int(resource["file_count"])) == ("DICOM", 16)
    assert suite.waiting() == []


@pytest.mark.parametrize(
    "importer",
    [
        pytest.param(
            "DICOM-zip",
            marks=pytest.mark.original(
                "TestImportCompartmentalization.testDicomZipPerReceiverRoutingLeakMissingReceivers",
                "TestImportCompartmentalization.testDicomZipPerReceiverRoutingLeak",
            ),
        ),
        pytest.param(
            "SI",
            marks=pytest.mark.original(
                "TestImportCompartmentalization.testSessionImporterPerReceiverRoutingLeakMissingReceivers",
                "TestImportCompartmentalization.testSessionImporterPerReceiverRoutingLeak",
            ),
        ),
    ],
)
def test_names_come_from_the_headers_where_none_are_given(suite, importer):
    """No receiver of DICOM's network protocol routes otherwise, as there is none.

    The original's suite sends another archive, which is not in its repository.
    """
    if importer == "DICOM-zip":
        session = suite.imported("mr_1.zip", import__handler=importer, dest="/prearchive", project=suite.project)
        expect(suite.main.post(session, params={"action": "commit", "AA": "true"}), 200, 301)
    else:
        suite.imported("mr_1.zip", dest="/archive", project=suite.project)
    assert [row["label"] for row in suite.rows(f"/data/projects/{suite.project}/subjects")] == [SUBJECT]
    assert [row["label"] for row in suite.rows(f"/data/projects/{suite.project}/experiments")] == [SESSION]

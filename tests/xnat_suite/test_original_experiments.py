"""Projects, subjects, experiments and scans made by hand, as the original's suite makes, renames and deletes them."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.xnat_suite.originals import differs, original
from tests.xnat_suite.requests import Suite, expect

XNAT = "{http://nrg.wustl.edu/xnat}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
XML = {"Content-Type": "text/xml"}
PASSED_OVER = {"ID", "project", "subject_ID", "image_session_ID", "secondary_ID", "active", "schemaLocation"}
"""What the original's suite does not compare: where a thing stands, and what the server calls it."""


def fields(document: str | bytes) -> dict[str, str]:
    """Each text and attribute of a document by its path; scans are told apart by their ID."""
    return dict(_fields(ET.fromstring(document), ""))


def _fields(element: ET.Element, path: str) -> list[tuple[str, str]]:
    told = []
    for name, value in element.attrib.items():
        short = name.rpartition("}")[2]
        if value and short not in PASSED_OVER and name != XSI_TYPE:
            told.append((f"{path}@{short}", value))
    for child in element:
        name = child.tag.removeprefix(XNAT)
        if name in PASSED_OVER or name in {"studyProtocol", "sharing"}:
            continue
        below = f"{path}{name}" + (f"[{child.get('ID')}]" if name == "scan" else "") + "/"
        told += _fields(child, below)
        if text := (child.text or "").strip():
            told.append((below, text))
    return told


def same(suite: Suite, address: str, name: str) -> None:
    """What the server says as XML is what a document of the suite says."""
    assert fields(as_xml(suite, address)) == fields(suite.file(name))


def as_xml(suite: Suite, address: str) -> str:
    return expect(suite.main.get(address, params={"format": "xml"}), 200).text


def put_xml(suite: Suite, address: str, name: str, *statuses: int, **params: str) -> httpx.Response:
    answer = suite.main.put(address, params={"format": "xml", **params}, content=suite.file(name), headers=XML)
    return expect(answer, *(statuses or (200, 201)))


def html(suite: Suite, address: str) -> None:
    """The listing is there as a page too."""
    expect(suite.main.get(address, params={"format": "html"}), 200)


# Scans


@original("TestScans.testImplicitScanTypeChangeValidation")
def test_a_field_of_another_scan_type_changes_nothing(suite):
    session = archived(suite, "S", "MR1")

    def scan() -> tuple[str, str]:
        [row] = suite.rows(f"{session}/scans")
        return row["xsiType"], row["note"]

    assert scan() == ("xnat:mrScanData", "")
    expect(suite.main.put(f"{session}/scans/1", params={"xnat:ctScanData/note": "test"}), 200)
    assert scan() == ("xnat:mrScanData", "")


def archived(suite: Suite, subject: str, session: str, name: str = "scan1.zip") -> str:
    dest = f"/archive/projects/{suite.project}/subjects/{subject}/experiments/{session}"
    suite.imported(name, dest=dest)
    return suite.session(subject, session)


@original("TestScans.testPullDataFromHeadersSession")
def test_headers_are_read_for_a_session(suite):
    session = suite.make_session("S", "MR1", date="09/03/2015")
    with_unknown_type(suite, session, "1", "sag_flair", "mr_1/1.dcm")
    assert types(suite, session) == {"1": "Unknown"}
    expect(suite.main.put(session, params={"pullDataFromHeaders": "true"}), 200)
    assert types(suite, session)["1"] != "Unknown"


@original("TestScans.testPullDataFromHeadersScan")
def test_headers_are_read_for_one_scan(suite):
    session = suite.make_session("S", "MR1", date="09/03/2015")
    first = with_unknown_type(suite, session, "1", "ax-20-flip", "scan1/000000.dcm")
    with_unknown_type(suite, session, "2", "ax-25-flip", "scan2/000000.dcm")
    assert types(suite, session) == {"1": "Unknown", "2": "Unknown"}
    expect(suite.main.put(first, params={"pullDataFromHeaders": "true"}), 200)
    after = types(suite, session)
    assert (after["1"] != "Unknown", after["2"]) == (True, "Unknown")


def with_unknown_type(suite: Suite, session: str, scan: str, description: str, name: str) -> str:
    """A scan with one object, made as on the original's pages."""
    address = suite.make_scan(session, scan, series_description=description, type="Unknown", quality="usable")
    expect(suite.main.put(f"{address}/resources/DICOM", params={"format": "DICOM"}), 200)
    suite.put_file(f"{address}/resources/DICOM/files/{name.rpartition('/')[2]}", name)
    return address


def types(suite: Suite, session: str) -> dict[str, str]:
    return {row["ID"]: row["type"] for row in suite.rows(f"{session}/scans")}


# Renaming


@original("TestRename.testExptRename")
def test_a_session_is_renamed(suite):
    session = suite.make_session("S", "MR1")
    suite.put_file(f"{session}/resources/TESTRESOURCE/files/louie.jpg", "louie.jpg")
    scan = suite.make_scan(session, "1", series_description="FLAIR", type="FLAIR")
    suite.put_file(f"{scan}/resources/TESTRESOURCE2/files/1.dcm", "mr_1/1.dcm")
    expect(suite.main.put(session, params={"label": "MOD1"}), 200)
    renamed = suite.session("S", "MOD1")
    suite.is_file(f"{renamed}/resources/TESTRESOURCE/files/louie.jpg", "louie.jpg")
    suite.is_file(f"{renamed}/scans/1/resources/TESTRESOURCE2/files/1.dcm", "mr_1/1.dcm")


@original("TestRename.testSubjRename")
def test_a_subject_is_renamed(suite):
    subject = suite.make_subject("2")
    suite.put_file(f"{subject}/resources/TESTRESOURCE2/files/1.dcm", "mr_1/1.dcm")
    session = suite.make_session("2", "MR2")
    suite.put_file(f"{session}/resources/TESTRESOURCE/files/louie.jpg", "louie.jpg")
    suite.make_scan(session, "1", series_description="FLAIR", type="FLAIR")
    suite.main.put(subject, params={"label": "MOD2"})
    suite.is_file(f"{suite.subject('MOD2')}/resources/TESTRESOURCE2/files/1.dcm", "mr_1/1.dcm")
    suite.is_file(f"{suite.session('MOD2', 'MR2')}/resources/TESTRESOURCE/files/louie.jpg", "louie.jpg")


# Deleting


@pytest.mark.parametrize(
    "neighbor",
    [
        pytest.param(kind, marks=pytest.mark.original(f"TestDeletionAccuracy.{name}"))
        for kind, name in {
            "empty session": "testDeleteResourcelessSessionNoScans",
            "session with a scan": "testDeleteResourcelessSessionWithScans",
            "session": "testDeleteNeighboringSession",
            "subject": "testDeleteNeighboringSubject",
            "project": "testDeleteNeighboringProject",
        }.items()
    ],
)
def test_deleting_a_neighbor_leaves_a_session_whole(suite, neighbor):
    """The original's suite sends another archive, which is not in its repository."""
    session = archived(suite, "S", "KEPT")
    match neighbor:
        case "project":
            gone = f"/data/projects/{suite.new_project('GONE')}"
        case "subject":
            gone = suite.make_subject("GONE")
        case "session":
            suite.imported("scan2_diffUID.zip", dest=f"/archive/projects/{suite.project}/subjects/S/experiments/GONE")
            gone = suite.session("S", "GONE")
        case _:
            gone = suite.make_session("S", "GONE")
            if neighbor == "session with a scan":
                suite.make_scan(gone, "1", series_description="LOCALIZER")
    expect(suite.main.delete(gone, params={"removeFiles": "true"}), 200)
    expect(suite.main.get(gone), 404)
    files = suite.rows(f"{session}/scans/1/resources/DICOM/files")
    sent = {hashlib.md5(path.read_bytes()).hexdigest() for path in (suite.data / "scan1").iterdir()}
    read = {hashlib.md5(suite.main.get(row["URI"]).content).hexdigest() for row in files}
    assert (len(files), read) == (16, sent)


# Documents


@original("TestProjectResources.testProjectList")
def test_projects_are_listed_as_a_page(suite):
    html(suite, "/data/projects")


@original("TestProjectResources.testQueryCRUD")
def test_a_project_is_found_by_its_alias(suite):
    project, alias = f"{suite.project}_Q", f"{suite.project}_Q_ALIAS"
    params = {"format": "xml", "req_format": "qs", "alias": alias}
    expect(suite.main.put(f"/data/projects/{project}", params=params), 200)
    as_xml(suite, f"/data/projects/{project}")
    as_xml(suite, f"/data/projects/{alias}")


@original("TestProjectResources.testProjectXmlCRUD")
def test_a_project_by_documents(suite):
    project = f"/data/projects/{suite.project}_X"
    for name in ("test_project_v1.xml", "test_project_v2.xml", "test_project_v2.xml"):
        put_xml(suite, project, name)
        same(suite, project, name)
    expect(suite.main.delete(project, params={"removeFiles": "true"}), 200)
    expect(suite.main.get(project, params={"format": "xml"}), 404)


@original("TestSubjectResources.testSubjectResourceQueryCRUD")
def test_a_subject_by_a_query(suite):
    params = {
        "format": "xml", "req_format": "qs", "group": "control", "src": "12", "gender": "male", "handedness": "left",
        "dob": "2000-01-01", "xnat:subjectData/investigator/firstname": "Tim",
        "xnat:subjectData/investigator/lastname": "Olsen",
    }  # fmt: skip
    expect(suite.main.put(suite.subject("1"), params=params), 201)
    same(suite, suite.subject("1"), "qs_subject_v1.xml")


@original("TestSubjectResources.testSubjectResourceXMLCrud")
def test_a_subject_by_documents(suite):
    listing, subject = f"/data/projects/{suite.project}/subjects", suite.subject("1")
    html(suite, listing)
    put_xml(suite, subject, "test_subject_v1.xml")
    same(suite, subject, "test_subject_v1.xml")
    html(suite, listing)
    put_xml(suite, subject, "test_subject_v2.xml", 200)  # which lacks the education
    same(suite, subject, "test_subject_v1.xml")
    put_xml(suite, subject, "test_subject_v2.xml", 200, allowDataDeletion="true")
    same(suite, subject, "test_subject_v2.xml")
    put_xml(suite, subject, "test_subject_v3.xml", 200)
    same(suite, subject, "test_subject_v3.xml")
    html(suite, listing)
    expect(suite.main.delete(subject, params={"removeFiles": "true"}), 200)
    expect(suite.main.get(subject, params={"format": "xml"}), 404)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"test_expt_bad_{what}.xml", marks=pytest.mark.original(f"TestSubjAssessmentResources.{test}"))
        for what, test in {
            "date": "testDateFormatValidation",
            "int": "testIntegerFormatValidation",
            "length": "testLengthValidation",
        }.items()
    ],
)
def test_a_document_with_a_value_that_is_none_is_refused(suite, name):
    post_xml(suite, suite.subject("1"), name, 400)


def post_xml(suite: Suite, subject: str, name: str, status: int) -> None:
    suite.make_subject("1")
    address, params = f"{subject}/experiments", {"format": "xml"}
    expect(suite.main.post(address, params=params, content=suite.file(name), headers=XML), status)


@original("TestSubjAssessmentResources.testInvalidSubjectValidation")
def test_a_document_below_an_unknown_subject_is_not_found(suite):
    post_xml(suite, suite.subject("INVALIDSUBJECT"), "test_expt_v1.xml", 404)


@original("TestSubjAssessmentResources.testSubjectAssessmentXMLCRUD")
def test_a_session_by_documents(suite):
    listing = f"{suite.make_subject('1')}/experiments"
    session = suite.session("1", "TEST_E1")
    html(suite, listing)
    put_xml(suite, session, "test_expt_v1.xml")
    same(suite, session, "test_expt_v1.xml")
    put_xml(suite, session, "test_expt_v2.xml", 200)
    html(suite, listing)
    same(suite, session, "test_expt_v2.xml")
    expect(suite.main.delete(session, params={"removeFiles": "true"}), 200)
    html(suite, listing)
    expect(suite.main.get(session, params={"format": "xml"}), 404)


@original("TestXmlOddities.testXmlUploadRejectsDoctype")
def test_a_document_with_a_type_is_refused(suite):
    params = {"allowDataDeletion": "false"}
    body = suite.file("doctype_upload.xml")
    answer = suite.main.put("/xapi/archive/upload/xml", params=params, content=body, headers=XML)
    assert answer.status_code >= 400
    assert "DOCTYPE is disallowed" in answer.text


@original("TestXmlOddities.testXmlUploadRoundTripsSubject")
def test_a_subject_is_changed_by_its_own_document(suite):
    subject = suite.make_subject("1", group="before")
    body = as_xml(suite, subject).replace('"before"', '"after"')
    params = {"allowDataDeletion": "false"}
    expect(suite.main.put("/xapi/archive/upload/xml", params=params, content=body, headers=XML), 200)
    assert 'group="after"' in as_xml(suite, subject)


# Accounts


@original("TestUserAccess.testValidAccess")
def test_who_logs_in_sees_projects(suite):
    assert expect(suite.main.get("/data/projects", params={"format": "xml"}), 200).text


@original("TestUserAccess.testInvalidAccess")
def test_a_wrong_password_sees_nothing(suite):
    suite.main.auth = httpx.BasicAuth("main", "wrong")
    expect(suite.main.get("/data/projects", params={"format": "xml"}), 401)


@original("TestUserAccess.testNonExpiringUserRestCalls")
def test_another_account_makes_a_project_with_a_file(suite, other):
    project = f"/data/projects/{suite.project}_OTHER"
    expect(other.put(project), 200)
    body = {"file": ("louie.jpg", suite.file("louie.jpg"))}
    expect(other.put(f"{project}/resources/test-resource/files/louie.jpg", files=body), 200)


@differs("Of a login the server keeps no more than a hash, so it tells of none by its secret.")
@original("TestUserAccess.testUserSessionInvalidation")
def test_an_administrator_ends_logins(suite, other, suite_server):
    project = f"/data/projects/{suite.project}_PRIVATE"
    expect(other.put(project), 200)
    expect(suite.admin.delete("/xapi/users/active/other"), 200)
    for count in (1, 2):
        logins = {expect(other.get("/data/auth"), 200).cookies["JSESSIONID"] for _ in range(count)}
        assert set(expect(suite.admin.delete("/xapi/users/active/other"), 200).json()) == logins
        for login in logins:
            with suite_server.client(cookies={"JSESSIONID": login}) as client:
                expect(client.get(project), 401)

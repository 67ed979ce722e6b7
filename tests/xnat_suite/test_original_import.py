"""Imports and the prearchive, as the original's suite asks for them."""

from __future__ import annotations

import zipfile
from io import BytesIO

import httpx
import pytest

from tests.xnat_suite.originals import differs, original
from tests.xnat_suite.requests import Suite, expect, form

SUBJECT = "SPP_0x220790"
SESSION = "SPP_0x220790_MR2"
"""What the headers of mr_1.zip say."""
NO_DICOM = "non_dicom_text_file.dcm"


TWICE = differs("What is there already is no conflict: an answer may have been lost, and the client sends it again.")


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.original(f"TestImport.{name}")


def archive(suite: Suite, subject: str = "", session: str = "") -> dict[str, str]:
    """The parameters of an import into the archive."""
    dest = f"/archive/projects/{suite.project}"
    dest += f"/subjects/{subject}" if subject else ""
    dest += f"/experiments/{session}" if session else ""
    return {"triggerPipelines": "false", "dest": dest}


def refused(suite: Suite, name: str, *statuses: int, **params: str) -> None:
    """The original answers 409, 400 where its default is the importer of DICOM zips."""
    expect(suite.send(name, None, **params), *(statuses or (409, 400)))


@original("TestImport.testDataProject")
def test_into_a_project(suite):
    suite.imported("mr_1.zip", **archive(suite))
    expect(suite.main.get(suite.session(SUBJECT, SESSION)), 200)
    expect(suite.main.delete(suite.session(SUBJECT, SESSION), params={"removeFiles": "true"}), 200)


@original("TestImport.testDataSubject")
def test_into_a_subject(suite):
    suite.imported("mr_1.zip", **archive(suite, "SUBJ1"))
    expect(suite.main.get(suite.session("SUBJ1", SESSION)), 200)


@original("TestImport.testDataProjectExperimentNew")
def test_into_a_new_session(suite):
    suite.imported("mr_1.zip", **archive(suite, "SUBJ2", "MR0"))
    expect(suite.main.get(suite.session("SUBJ2", "MR0")), 200)


@original("TestImport.testDataProjectExperimentOldRes")
def test_into_a_session_that_has_a_date_and_a_file(suite):
    session = suite.make_session("SUBJ_0002", "MR1", date="01/01/2000")
    suite.put_file(f"{session}/resources/TEST/files/mr_1.zip", "mr_1.zip")
    suite.imported("mr_1.zip", overwrite="append", **archive(suite, "SUBJ_0002", "MR1"))
    assert len(suite.rows(f"{session}/scans")) == 1
    [row] = suite.rows(f"{suite.subject('SUBJ_0002')}/experiments")
    assert row["date"] == "2000-01-01"
    suite.is_file(f"{session}/resources/TEST/files/mr_1.zip", "mr_1.zip")


@original("TestImport.testDataProjectExperimentNewExptXSIOverwriteFDeleteF")
def test_an_mr_exam_into_a_pet_session(suite):
    suite.make_session("SUBJ3", "PET", "pet", date="01/01/2000")
    refused(suite, "mr_1.zip", **archive(suite, "SUBJ3", "PET"))


@original("TestImport.testDataProjectExperimentNewExptXSIOverwriteTDeleteF")
def test_an_mr_exam_over_a_pet_session(suite):
    """The original refuses that where its site prevents it; else the session stays PET, and its scan is MR."""
    suite.make_session("SUBJ_03", "PET", "pet", date="01/01/2000")
    suite.imported("mr_1.zip", overwrite="delete", **archive(suite, "SUBJ_03", "PET"))
    [row] = suite.rows(f"{suite.subject('SUBJ_03')}/experiments")
    assert row["xsiType"] == "xnat:petSessionData"
    assert [(scan["ID"], scan["xsiType"]) for scan in suite.rows(f"{suite.session('SUBJ_03', 'PET')}/scans")] == [
        ("1", "xnat:mrScanData")
    ]


@TWICE
@original("TestImport.testDataDuplicateScanFilesOverwriteFDeleteF")
def test_the_same_files_twice(suite):
    where = archive(suite, "SUBJ5", "MR2")
    suite.imported("mr_1.zip", **where)
    refused(suite, "mr_1.zip", **where)


@TWICE
@original("TestImport.testDataDuplicateScanFilesOverwriteTDeleteF")
def test_the_same_files_twice_appended(suite):
    where = archive(suite, "SUBJ_5", "MR3")
    suite.imported("mr_1.zip", **where)
    refused(suite, "mr_1.zip", overwrite="append", **where)


@original("TestImport.testDataDuplicateScanFilesOverwriteTDeleteFWithFileFlag")
def test_the_same_files_twice_appended_over_files(suite):
    where = archive(suite, "SUBJ_05", "MR4")
    suite.imported("mr_1.zip", **where)
    suite.imported("mr_1.zip", overwrite="append", overwrite_files="true", **where)


@original("TestImport.testDataDuplicateScanFilesOverwriteTDeleteT")
def test_the_same_files_twice_overwritten(suite):
    where = archive(suite, "SUBJ_005", "MR5")
    suite.imported("mr_1.zip", **where)
    suite.imported("mr_1.zip", overwrite="delete", **where)


@pytest.mark.parametrize(
    ("second", "overwrite"),
    [
        pytest.param("scan1_last_5_files.zip", "append", marks=of("testDataScan2partsFilesOverwriteTDeleteF")),
        pytest.param("scan1_last_6_files.zip", "delete", marks=of("testDataScan2partsOverlapFilesOverwriteTDeleteT")),
    ],
)
def test_a_scan_in_two_parts(suite, second, overwrite):
    where = archive(suite, "SUBJ5", "MR6")
    suite.imported("scan1_first_11_files.zip", **where)
    suite.imported(second, overwrite=overwrite, **where)
    assert len(suite.rows(f"{suite.session('SUBJ5', 'MR6')}/scans/1/files", all="true")) == 16


@TWICE
@original("TestImport.testDataScan2partsOverlapFilesOverwriteTDeleteF")
def test_a_scan_in_two_parts_that_share_a_file(suite):
    where = archive(suite, "SUBJ5", "MR7")
    suite.imported("scan1_first_11_files.zip", **where)
    refused(suite, "scan1_last_6_files.zip", overwrite="append", **where)


def prearchive(suite: Suite, **more: str) -> tuple[str, dict[str, str]]:
    """The address of a session that waits, with a time that the sender names, and the parameters that lead there."""
    place = f"/prearchive/projects/{suite.project}/20000101_100001/MR8"
    return f"/data{place}", {"triggerPipelines": "false", "overwrite": "append", "dest": place, **more}


@original("TestImport.testPrearcMergeNewScan")
def test_two_scans_that_wait_under_a_named_time(suite):
    session, where = prearchive(suite)
    suite.imported("scan1.zip", **where)
    suite.imported("scan2.zip", **where)
    for n in (1, 2):
        suite.is_file(f"{session}/scans/{n}/resources/DICOM/files/000000.dcm", f"scan{n}/000000.dcm")


@differs("A session is of one study, by whatever handler it comes.")
@original("TestImport.testPrearcMergeDiffUidSi")
def test_another_study_joins_one_that_waits(suite):
    _, where = prearchive(suite, import__handler="SI")
    suite.imported("scan1.zip", **where)
    suite.imported("scan2_diffUID.zip", **where)
    [waiting] = suite.waiting()
    for scan, name in (("1", "scan1"), ("2", "scan2_diffUID")):
        address = f"/data{waiting['url']}/scans/{scan}/resources/DICOM/files/000000.dcm"
        suite.is_file(address, f"{name}/000000.dcm")


@differs("What is of another study gets an address of its own in the prearchive: no study is lost, and none is mixed.")
@original("TestImport.testPrearcMergeDiffUidDicomZip")
def test_another_study_is_kept_out_of_one_that_waits(suite):
    _, where = prearchive(suite, import__handler="DICOM-zip")
    suite.imported("scan1.zip", **where)
    refused(suite, "scan2_diffUID.zip", 400, **where)
    [waiting] = suite.waiting()
    assert [scan["ID"] for scan in suite.rows(f"/data{waiting['url']}/scans")] == ["1"]


def gradual(suite: Suite, dest: str) -> str:
    """Import two scans of a session one after another; gives the one address that both are answered with."""
    first, second = (
        suite.imported(f"{name}.zip", import__handler="DICOM-zip", dest=dest) for name in ("scan1", "scan2")
    )
    assert first == second
    return first


def has_scans(suite: Suite, session: str) -> None:
    for n in (1, 2):
        suite.is_file(f"{session}/scans/{n}/resources/DICOM/files/000000.dcm", f"scan{n}/000000.dcm")


@original("TestImport.testPrearcGradualImport")
def test_scan_by_scan_into_the_prearchive(suite):
    session = gradual(suite, f"/prearchive/projects/{suite.project}")
    assert expect(suite.main.post(session, params={"action": "commit"}), 200).text.strip() == session
    has_scans(suite, session)


@original("TestImport.testUnassignedManualArchiveGradualImport")
def test_scan_by_scan_into_unassigned_moved_and_archived(suite):
    unassigned = gradual(suite, "/prearchive")
    expect(suite.main.post(unassigned, params={"action": "build"}), 200)
    expect(suite.main.post(unassigned, params={"action": "move", "newProject": suite.project}), 301)
    moved = unassigned.replace("Unassigned", suite.project)
    has_scans(suite, committed(suite, moved))


@original("TestImport.testManualArchiveGradualImport")
def test_scan_by_scan_committed_to_the_archive(suite):
    has_scans(suite, committed(suite, gradual(suite, f"/prearchive/projects/{suite.project}")))


def committed(suite: Suite, waiting: str) -> str:
    """Archive a session that waits; gives its new address."""
    answer = expect(suite.main.post(waiting, params={"action": "commit", "AA": "true"}), 301)
    archived = answer.text.strip()
    assert archived.startswith("/data/archive")
    return archived


@original("TestImport.testDataProjectExperimentNewScan")
def test_a_second_scan_of_an_archived_session(suite):
    suite.make_subject("SUBJ_0009")
    where = archive(suite, "SUBJ_0009", "MR9") | {"overwrite": "append"}
    session = suite.session("SUBJ_0009", "MR9")
    suite.imported("scan1.zip", **where)
    count = len(suite.rows(f"{session}/scans/1/resources/DICOM/files"))
    suite.imported("scan2.zip", **where)
    assert len(suite.rows(f"{session}/scans")) == 2
    assert len(suite.rows(f"{session}/scans/1/resources/DICOM/files")) == count == 16


@original("TestImport.testNonPathBasedImport")
def test_without_an_address_and_followed_by_its_status(suite):
    key = f"s{suite.project}"
    suite.imported(
        "mr_1.zip", overwrite="append", triggerPipelines="false", project=suite.project, subject="SUBJ_0010",
        session="MR10", action="commit", http__session__listener=key,
    )  # fmt: skip
    messages = expect(suite.main.get(f"/data/status/{key}", params={"format": "json"}), 200).json()["msgs"][0]
    assert messages[-1]["status"] == "COMPLETED"


@original("TestImport.testModifiedSeriesUIDs")
def test_series_that_share_a_number(suite):
    session = suite.session("SUB5", "MR11")
    where = archive(suite, "SUB5", "MR11") | {"Ignore__Unparsable": "true"}

    def counts() -> dict[str, int]:
        scans = [row["ID"] for row in suite.rows(f"{session}/scans")]
        return {scan: len(suite.rows(f"{session}/scans/{scan}/files")) for scan in scans}

    suite.imported("scan_mod/000001.dcm.zip", **where)
    assert counts() == {"1": 1}
    suite.imported("scan_mod/000002.dcm.zip", overwrite="delete", **where)
    assert counts()["1-MR1"] == 1
    suite.imported("scan_mod/000003.dcm.zip", overwrite="delete", **where)
    assert counts()["1-MR1"] == 2
    suite.imported("scan_mod/000004_000005.zip", overwrite="delete", **where)
    assert counts() == {"1": 3, "1-MR1": 2}
    for scan, files in (("1-MR1", 2), ("1", 3)):
        [resource] = suite.rows(f"{session}/scans/{scan}/resources", stats="true")
        assert int(resource["file_count"]) == files


def from_cache(suite: Suite) -> str:
    """Put a zip into the user's cache, and have it imported from there; gives the import's key."""
    key = f"17{suite.project[5:]}"
    cached = f"/user/cache/resources/{key}/files/mr_1.zip"
    expect(suite.main.put(f"/data{cached}", files=form("mr_1.zip", suite.file("mr_1.zip"))), 200)
    dest = f"/archive/projects/{suite.project}/subjects/subject{key}/experiments/session{key}"
    params = {"src": cached, "http-session-listener": key, "dest": dest}
    expect(suite.main.post("/data/services/import", params=params), 200)
    return key


@original("TestImport.testUserCacheUploadAndImportLegacy")
def test_from_the_users_cache_followed_by_its_status(suite, finished):
    key = from_cache(suite)
    finished(key)
    messages = expect(suite.main.get(f"/data/status/{key}", params={"format": "json"}), 200).json()["msgs"][0]
    last = messages[-1]
    assert (last["terminal"], last["status"]) == (True, "COMPLETED")
    assert last["msg"] == f"Archive:/archive/projects/{suite.project}/subjects/subject{key}/experiments/session{key}"


@original("TestImport.testUserCacheUploadAndImport")
def test_from_the_users_cache_followed_by_its_events(suite, finished, other):
    key = from_cache(suite)
    told = finished(key)
    assert told["succeeded"] is True
    assert told["finalMessage"] == (
        f"Archive:/archive/projects/{suite.project}/subjects/subject{key}/experiments/session{key}"
    )
    expect(other.get(f"/xapi/event_tracking/{key}"), 404)


@pytest.mark.parametrize(
    "ignore",
    [
        pytest.param({}, marks=of("testUploadIgnoreUnparsableMissingParam")),
        pytest.param({"Ignore__Unparsable": "false"}, marks=of("testUploadIgnoreUnparsableFalse")),
    ],
)
def test_what_can_not_be_read_is_refused(suite, ignore):
    answer = unparsable(suite, **ignore)
    assert f"unable to read DICOM object {NO_DICOM}" in expect(answer, 400).text


@original("TestImport.testUploadIgnoreUnparsableTrue")
def test_what_can_not_be_read_is_ignored(suite):
    waiting = expect(unparsable(suite, Ignore__Unparsable="true"), 200).text.strip()
    session = committed(suite, waiting)
    [resource] = suite.rows(f"{session}/scans/1/resources", file_stats="true")
    assert (resource["label"], int(resource["file_count"])) == ("DICOM", 6)


def unparsable(suite: Suite, **params: str) -> httpx.Response:
    body = BytesIO(suite.file("mr_1.zip"))
    with zipfile.ZipFile(body, "a") as opened:
        opened.writestr(NO_DICOM, "I'm actually a text file!")
    return suite.send("mr_1.zip", body.getvalue(), import__handler="DICOM-zip", project=suite.project, **params)

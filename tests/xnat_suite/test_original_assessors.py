"""Image assessors, as the original's suite makes, changes and deletes them."""

from __future__ import annotations

import pytest

from tests.xnat_suite.requests import Suite, expect
from tests.xnat_suite.test_original_experiments import XML, archived, as_xml

TIMESTAMPS = {
    "Space": "2020-01-01 01:02:03",
    "T": "2020-01-01T01:02:03",
    "TZ": "2020-01-01T01:02:03Z",
}
AS_XML = TIMESTAMPS["T"]


def make_qc(suite: Suite, session: str, label: str = "QC1") -> str:
    """Make a quality control of a session; gives its id."""
    params = {"xsiType": "xnat:qcAssessmentData", "xnat:qcAssessmentData/date": "2026-11-24"}
    return expect(suite.main.put(f"{session}/assessors/{label}", params=params), 201).text


@pytest.mark.original("TestContextlessExperiments.testContextlessExptDelete")
def test_an_assessor_and_its_session_are_deleted_by_their_ids(suite):
    session = suite.make_session("S", "MR1")
    number = suite.rows(f"{suite.subject('S')}/experiments")[0]["ID"]
    made = make_qc(suite, session)
    expect(suite.main.delete(f"/data/experiments/{made}"), 200)
    assert suite.rows(f"{session}/assessors") == []
    expect(suite.main.delete(f"/data/experiments/{number}"), 200)
    assert suite.rows(f"{suite.subject('S')}/experiments") == []


@pytest.mark.original("TestDeletionAccuracy.testDeleteEmptySessionAssessor")
def test_deleting_an_assessor_leaves_its_session_whole(suite):
    session = archived(suite, "S", "KEPT")
    make_qc(suite, session)
    before = suite.rows(f"{session}/scans/1/resources/DICOM/files")
    expect(suite.main.delete(f"{session}/assessors/QC1", params={"removeFiles": "true"}), 200)
    expect(suite.main.get(f"{session}/assessors/QC1"), 404)
    assert len(before) == 16
    assert suite.rows(f"{session}/scans/1/resources/DICOM/files") == before
    assert {suite.main.get(row["URI"]).status_code for row in before} == {200}


@pytest.mark.parametrize(
    ("when", "how"),
    [
        pytest.param(when, how, marks=pytest.mark.original(f"TestXmlOddities.testXmlTimestamp{how}{when}"))
        for when in ("Create", "Edit")
        for how in TIMESTAMPS
    ],
)
def test_timestamps_of_a_document(suite, when, how):
    session = suite.make_session("S", "MR1")
    number = suite.rows(f"{suite.subject('S')}/experiments")[0]["ID"]
    made = make_qc(suite, session) if when == "Edit" else ""
    words = {"ID": made, "PROJECT": suite.project, "LABEL": "QC1", "SESSION_ID": number, "TIMESTAMP": TIMESTAMPS[how]}
    document = suite.file("qc_with_prov.xml").decode()
    for name, word in words.items():
        document = document.replace(f"%{name}%", word)
    expect(suite.main.put(f"{session}/assessors/QC1", content=document, headers=XML), 200, 201)
    assert AS_XML in as_xml(suite, f"{session}/assessors/QC1")

"""XNAT's URIs: to the letter as receipts and clients have them, and read as they are written."""

from __future__ import annotations

import pytest

from scandock.model import uris
from scandock.model.uris import ArchivedSessionUri, PrearchiveSessionUri

STAMP = "20240612_101112345"
ARCHIVED = "/data/archive/projects/P/subjects/S1/experiments/E1"
WAITING = f"/data/prearchive/projects/P/{STAMP}/E1"


def test_sessions_have_the_uris_of_the_fixed_surface():
    assert uris.session("archive", "P", "", "S1", "E1") == ARCHIVED
    assert uris.session("prearchive", "P", STAMP, "S1", "E1") == WAITING
    assert uris.is_archived(ARCHIVED)
    assert not uris.is_archived(WAITING)


@pytest.mark.parametrize("uri", [ARCHIVED, WAITING, "/data/archive/projects/P/subjects//experiments/E1"])
def test_what_is_built_is_parsed(uri):
    assert uris.parse_session(uri).uri == uri


def test_a_session_is_told_by_its_uri():
    assert uris.parse_session(ARCHIVED) == uris.parse_archived(ARCHIVED) == ArchivedSessionUri("P", "S1", "E1")
    assert uris.parse_session(WAITING) == PrearchiveSessionUri("P", STAMP, "E1")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        "/archive/projects/P/subjects/S1/experiments/E1",
        f"{ARCHIVED}/scans/1",
        "/data/experiments/X",
        f"x{WAITING}",
    ],
)
def test_nothing_else_is_a_sessions_uri(uri):
    with pytest.raises(ValueError, match="no URI"):
        uris.parse_session(uri)


def test_only_archived_sessions_are_parsed_as_such():
    with pytest.raises(ValueError, match="no URI"):
        uris.parse_archived(WAITING)


def test_parts_stand_below_what_they_are_of():
    assert uris.scan(ARCHIVED, "1-MR1") == f"{ARCHIVED}/scans/1-MR1"
    assert uris.resource(ARCHIVED, None, "NIFTI") == f"{ARCHIVED}/resources/NIFTI"
    assert uris.files(ARCHIVED, "1", "DICOM") == f"{ARCHIVED}/scans/1/resources/DICOM/files"
    assert uris.file(WAITING, "1", "DICOM", "a/b c.dcm") == f"{WAITING}/scans/1/resources/DICOM/files/a/b c.dcm"


def test_things_that_are_asked_for_by_name_or_id():
    assert uris.project("P") == "/data/projects/P"
    assert uris.subject("P", "S1") == "/data/projects/P/subjects/S1"
    assert uris.subject_of_id("XNAT_S00001") == "/data/subjects/XNAT_S00001"
    assert uris.experiment("XNAT_E00001") == "/data/experiments/XNAT_E00001"
    assert uris.resource_holder("P") == "/data/archive/projects/P"
    assert uris.resource_holder("P", "S1") == "/data/archive/projects/P/subjects/S1"


def test_messages_leave_data_out():
    assert uris.without_data(ARCHIVED) == "/archive/projects/P/subjects/S1/experiments/E1"
    assert uris.without_data(WAITING) == f"/prearchive/projects/P/{STAMP}/E1"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain_Label-1.2~", "plain_Label-1.2~"),
        ("a/b", "a%2Fb"),
        ("..", ".."),
        ("a b+c", "a%20b%2Bc"),
        ("50%", "50%25"),
        ("?x=1&y#z", "%3Fx%3D1%26y%23z"),
        ("\"'<>", "%22%27%3C%3E"),
        ("é\u202e", "%C3%A9%E2%80%AE"),
        ("\r\n\0", "%0D%0A%00"),
        (7, "7"),
        (";:@,", "%3B%3A%40%2C"),
    ],
)
def test_a_segment_holds_nothing_that_ends_it(text, quoted):
    assert uris.quote_segment(text) == quoted

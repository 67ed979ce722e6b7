"""How a request says which prearchive session is meant, and how it is to be archived (xnat-behaviour.md 5.6)."""

from __future__ import annotations

import pytest
from starlette.datastructures import ImmutableMultiDict

from scandock.model.errors import Usage
from scandock.model.uris import PrearchiveSessionUri
from scandock.rules.session_fields import ScanSelector
from scandock.services.committing import ArchiveParameters
from scandock.web.xnat.archive_errors import ARCHIVE_ERRORS, PREARCHIVE_ERRORS, describe_refusal
from scandock.web.xnat.archive_parameters import read_archive_parameters, read_new_project, read_project_names
from scandock.web.xnat.services.prearchive_sessions import parse_src

WHERE = "prearchive/projects/P/20240612_101112345/S1"


def wanted(**said: str) -> ArchiveParameters:
    return read_archive_parameters(ImmutableMultiDict(said))


@pytest.mark.parametrize("src", [f"/{WHERE}", f"/data/{WHERE}", f"/REST/{WHERE}/", f" {WHERE}"])
def test_a_src_is_read_with_and_without_its_beginning(src: str) -> None:
    assert parse_src(src) == PrearchiveSessionUri("P", "20240612_101112345", "S1")


@pytest.mark.parametrize(
    "src",
    ["", "/archive/projects/P/experiments/E", "/prearchive/projects/P/now/S1", f"/{WHERE}/scans/1", f"/x/{WHERE}"],
)
def test_anything_else_is_no_src(src: str) -> None:
    with pytest.raises(Usage) as caught:
        parse_src(src)
    assert caught.value.message == "src uri is invalid."


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, None),
        ({"overwrite": "append"}, "append"),
        ({"overwrite": "DELETE"}, "delete"),
        ({"overwrite": "override"}, "delete"),
        ({"overwrite": "none"}, "none"),
        ({"overwrite": "whatever"}, "none"),
        ({"overwrite": "append", "overwrite_files": "true"}, "delete"),
        ({"overwrite_files": "true"}, None),
    ],
)
def test_overwrite_is_append_or_delete_and_anything_else_is_none(said: dict[str, str], meant: str | None) -> None:
    assert wanted(**said).overwrite == meant


def test_what_is_named_by_itself_goes_before_what_dest_names() -> None:
    dest = "/data/archive/projects/P/subjects/S/experiments/E"
    assert (wanted(dest=dest).subject, wanted(dest=dest).session) == ("S", "E")
    both = wanted(dest=dest, subject="T", EXPT_LABEL="F")
    assert (both.subject, both.session) == ("T", "F")
    with pytest.raises(Usage):
        wanted(dest="/elsewhere")


@pytest.mark.parametrize("kind", ["mrSessionData", "petmrSessionData", "imageSessionData", "experimentData"])
def test_paths_name_label_and_subject_behind_their_own_parameters(kind: str) -> None:
    paths = {f"xnat:{kind}/label": "MRX", f"xnat:{kind}/subject_id": "SUBX", f"xnat:{kind}/project": "P"}
    assert (wanted(**paths).session, wanted(**paths).subject) == ("MRX", "SUBX")
    assert wanted(**{"xnat:subjectAssessorData/subject_ID": "S"}).subject == "S"
    assert wanted(**paths, EXPT_LABEL="F", label="G").session == "MRX"
    dest = "/archive/projects/P/subjects/S/experiments/E"
    assert (wanted(**paths, dest=dest).session, wanted(**paths, dest=dest).subject) == ("MRX", "SUBX")
    assert wanted(**paths, session="H", SUBJECT_ID="T").session == "H"
    assert wanted(**paths, session="H", SUBJECT_ID="T").subject == "T"
    scans = {"xnat:mrScanData/label": "no", "xnat:mrSessionData/scans/label": "no", "xnat:mrSessionData/label": " "}
    assert (wanted(**scans).session, wanted(**scans).subject) == (None, None)
    asked = ImmutableMultiDict({**paths, "project": "Q", "dest": dest})
    assert read_project_names(asked) == ("Q", "P", "P")


def test_one_patient_is_said_by_name_alone() -> None:
    assert wanted(allowPatientMismatch="true").one_patient
    assert not wanted(allowPatientMismatch="false", overwrite="append").one_patient


def test_fields_are_paths_and_the_visit() -> None:
    said = wanted(**{"xnat:petSessionData/tracer/name": "FDG", "note": "not a path", "VISIT": "v1", "SOURCE": "x"})
    assert said.fields == {"tracer/name": "FDG", "visit": "v1"}


def test_what_paths_say_of_scans_is_said_of_each_by_its_place_or_id() -> None:
    scan = "xnat:mrSessionData/scans/scan"
    said = wanted(
        **{
            f"{scan}[0][@xsi:type=xnat:mrScanData]/type": "T1",
            f"{scan}[0][@xsi:type=xnat:mrScanData]/quality": "usable",
            f"{scan}[1][@xsi:type": "xnat:petScanData]/note=as it was typed",
            f"{scan}[@ID='4-MR1']/series_description": "FLAIR",
            f"{scan}/type": "of the first",
            f"{scan}s/type": "no",
        }
    )
    assert said.fields == {}
    told = [(one.place, one.said.xsi_type, {**one.said.edits}, {**one.said.attributes}) for one in said.scans]
    assert told == [
        (ScanSelector(0, "", "xnat:mrScanData"), "xnat:mrScanData", {"type": "T1", "quality": "usable"}, {}),
        (ScanSelector(1, "", "xnat:petScanData"), "xnat:petScanData", {"note": "as it was typed"}, {}),
        (ScanSelector(0, "4-MR1"), "", {}, {"series_description": "FLAIR"}),
        (ScanSelector(0), "", {"type": "of the first"}, {}),
    ]
    with pytest.raises(Usage):
        wanted(**{f"{scan}[0][@xsi:type=xnat:noScan]/type": "T1"})


@pytest.mark.parametrize(
    ("said", "auto"),
    [
        ({}, None),
        ({"AA": "true"}, True),
        ({"auto-archive": "false"}, False),
        ({"AA": "", "auto-archive": "true"}, True),
    ],
)
def test_whether_to_archive_is_said_or_left_to_the_project(said: dict[str, str], auto: bool | None) -> None:
    assert wanted(**said).auto is auto


def test_a_move_needs_its_goal() -> None:
    assert read_new_project(ImmutableMultiDict({"newProject": " Q "})) == "Q"
    with pytest.raises(Usage):
        read_new_project(ImmutableMultiDict({}))


def test_the_same_lock_has_the_status_of_what_was_asked() -> None:
    busy = Usage("session_busy", "It is being changed.")
    assert describe_refusal(busy, ARCHIVE_ERRORS)[0] == 423
    assert describe_refusal(busy, PREARCHIVE_ERRORS) == (409, "session document locked. It is being changed.")

"""A report of an import, to what the catalog keeps of it and back."""

from __future__ import annotations

import json
import subprocess
import sys

from scandock.model.import_report import ImportOutcome, ImportReport, format_outcome, parse_outcome
from scandock.model.imported import FileSum, ImportedScan
from scandock.model.verdicts import ImportState
from tests.import_records import a_session

RESOURCE = FileSum(name="DICOM", files=1, bytes=2)
SCAN = ImportedScan(
    id="4", series_uid="1.2", modality="MR", type="T1", xsi_type="xnat:mrScanData", frames=1, resources=[RESOURCE]
)
KEYS = ["upload", "archive", "state", "code", "message", "warnings", "sessions", "entries", "bytes", "seconds"]


def test_what_is_kept_is_read_as_it_was() -> None:
    report = ImportReport(
        upload="u1",
        archive="a.zip",
        state=ImportState.HELD,
        code="sop_clash",
        message="Look.",
        warnings=[{"code": "w", "message": "W."}],
        sessions=[a_session(label="S1", scans=[SCAN], resources=[RESOURCE])],
        received=3,
        unpacked=5,
        stored=4,
        seconds={"total": 1.5, "reading": 1.0},
    )
    text = format_outcome(report)

    assert parse_outcome(text) == report
    assert format_outcome(parse_outcome(text)) == text
    assert list(json.loads(text)) == KEYS
    assert json.loads(text)["bytes"] == {"received": 3, "unpacked": 5, "stored": 4}


def test_every_key_is_there_of_what_was_not_stored() -> None:
    report = ImportReport(upload=None, archive="a.zip", state=ImportState.FAILED).to_json()

    assert (list(report), report["upload"], report["sessions"]) == (KEYS, None, [])
    assert set(report["entries"].values()) == {0}
    assert report["seconds"] == {"total": 0.0}


def test_an_import_that_has_no_report_keeps_its_end_alone() -> None:
    outcome = ImportOutcome(state=ImportState.FAILED, code="interrupted", message="Gone.")

    assert json.loads(format_outcome(outcome)) == {"state": "failed", "code": "interrupted", "message": "Gone."}
    assert parse_outcome(format_outcome(outcome)) == outcome


def test_one_of_another_version_is_read_whatever_it_lacks_and_has_more() -> None:
    session = {"label": "S1", "state": "archive", "scans": [{"id": "4", "more": 1}], "more": 1}
    outcome = parse_outcome(json.dumps({"state": "placed", "sessions": [session], "more": 1}))

    assert isinstance(outcome, ImportReport)
    assert (outcome.sessions[0].label, outcome.sessions[0].scans[0].id, outcome.stored) == ("S1", "4", 0)
    assert outcome.to_json()["sessions"][0]["warnings"] == []


def test_it_is_read_without_pydantic_where_no_session_is_in_it() -> None:
    code = "import sys, scandock.model.import_report, scandock.queue.leases; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

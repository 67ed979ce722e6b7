"""What an import has brought, as its report keeps it: read again it is the same."""

from __future__ import annotations

import json

from scandock.model.imported import FileSum, ImportedScan, ImportedSession

SUM = FileSum(name="DICOM", files=2, bytes=3)
SCAN = ImportedScan(
    id="1", series_uid=None, modality="MR", type="T1", xsi_type="xnat:mrScanData", frames=2, resources=[SUM]
)
SESSION = ImportedSession(
    id="0198",
    uri="/data/archive/projects/P/subjects/S/experiments/E",
    path="P/arc001/E",
    project="P",
    subject="S",
    label="E",
    study_uid="1.2",
    state="archive",
    code="",
    message="",
    warnings=[{"code": "x", "message": "y", "remedy": ""}],
    files=2,
    new=1,
    bytes=3,
    session_type="xnat:mrSessionData",
    scans=[SCAN],
    resources=[SUM],
)


def test_a_session_of_a_report_is_read_as_it_was_written() -> None:
    kept = json.loads(json.dumps(SESSION.to_json()))
    assert ImportedSession.from_json(kept) == SESSION
    assert kept["scans"][0]["resources"] == kept["resources"] == [{"name": "DICOM", "files": 2, "bytes": 3}]
    assert list(kept) == [
        "id", "uri", "path", "project", "subject", "label", "study_uid", "state", "code", "message", "warnings",
        "files", "new", "bytes", "session_type", "scans", "resources",
    ]  # fmt: skip


def test_a_session_of_a_report_from_before_there_were_ids_is_read() -> None:
    kept = {name: value for name, value in SESSION.to_json().items() if name not in ("id", "new")}
    older = ImportedSession.from_json(json.loads(json.dumps(kept)))
    assert (older.id, older.new, older.label) == (None, None, "E")

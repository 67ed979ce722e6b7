"""Imports and their sessions as records, of which a test says what it is about."""

from __future__ import annotations

from typing import Any

from scandock.model.import_report import ImportReport
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import ImportState
from scandock.services.import_records import Import


def a_session(**values: Any) -> ImportedSession:
    told: dict[str, Any] = {
        "id": None, "uri": None, "path": None, "project": None, "subject": None, "label": None, "study_uid": None,
        "state": "archive", "code": "", "message": "", "warnings": [], "files": 0, "new": 0, "bytes": 0,
        "session_type": None,
        "scans": [], "resources": [],
    }  # fmt: skip
    return ImportedSession(**{**told, **values})


def an_import(**values: Any) -> Import:
    told: dict[str, Any] = {
        **ImportReport(upload="U", archive="a.zip", state=ImportState.PLACED).to_json(),
        "id": "U", "project": None, "door": "raw", "size": None, "attempt": 1, "created": 0, "accepted": 0,
        "finished": 0, "progress": None, "silent_since": None, "waiting": None,
    }  # fmt: skip
    return Import(**{**told, **values, "state": ImportState(values.get("state", told["state"]))})

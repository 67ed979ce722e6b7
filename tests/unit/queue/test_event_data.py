"""What the catalog keeps of an event, and what is read of it."""

from __future__ import annotations

import json

import pytest

from scandock.queue.event_data import (
    AttemptBegun,
    CancelRequested,
    EventData,
    ImportEnded,
    ImportQueued,
    PatientsFound,
    RetryPlanned,
    SessionPublished,
    StageBegun,
    parse_event,
)
from tests.import_records import a_session

SESSION = SessionPublished.of(a_session(project="P", label="S1", uri="/data/x", files=7))
SESSION_JSON = {"project": "P", "subject": None, "label": "S1", "state": "archive", "uri": "/data/x", "code": ""}


@pytest.mark.parametrize(
    ("data", "kind", "kept"),
    [
        (ImportQueued(), "received", {}),
        (AttemptBegun(attempt=2), "running", {"attempt": 2}),
        (StageBegun(stage="reading", attempt=1), "stage", {"stage": "reading", "attempt": 1}),
        (PatientsFound(patients=["A"]), "found", {"patients": ["A"]}),
        (SESSION, "session", SESSION_JSON),
        (RetryPlanned(code="c", message="M.", seconds=5), "retry", {"code": "c", "message": "M.", "seconds": 5}),
        (
            RetryPlanned(code="c", message="M.", attempt=1, seconds=5),
            "retry",
            {"code": "c", "message": "M.", "attempt": 1, "seconds": 5},
        ),
        (CancelRequested(), "cancelling", {}),
        (
            ImportEnded(state="placed", code="", message="", sessions=[SESSION]),
            "outcome",
            {"state": "placed", "code": "", "message": "", "sessions": [SESSION_JSON]},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_is_kept_by_its_keys_and_read_as_it_was(data: EventData, kind: str, kept: dict[str, object]) -> None:
    text = json.dumps(data.to_json())

    assert (data.kind, text) == (kind, json.dumps(kept))
    assert parse_event(kind, text) == data

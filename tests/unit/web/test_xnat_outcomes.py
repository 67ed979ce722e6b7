"""When XNAT's clients hear of success, and what they hear else (xnat-behaviour.md 1.7, 1.8, 6.1)."""

from __future__ import annotations

from typing import Any

import pytest

from scandock.model.imported import ImportedSession
from scandock.rules.import_request import ImportRequest
from scandock.services.import_records import Import
from scandock.web.xnat.services.outcomes import make_outcome
from tests.import_records import a_session, an_import

ARCHIVED = "/data/archive/projects/P/subjects/S/experiments/E"
WAITING = "/data/prearchive/projects/P/20260101_101010123/E"
BOUND: dict[str, Any] = {"destination": "archive"}


def session(uri: str | None, state: str, code: str = "") -> ImportedSession:
    return a_session(uri=uri, state=state, code=code, message=f"Because {code}." if code else "")


def found(state: str, *sessions: ImportedSession, code: str = "", message: str = "") -> Import:
    return an_import(state=state, code=code, message=message, sessions=[one.to_json() for one in sessions])


PLACED = session(ARCHIVED, "archive")
READY = session(WAITING, "prearchive")
HELD = session(WAITING, "conflict", "sop_clash")
REFUSED = session(None, "refused", "project_unknown")


@pytest.mark.parametrize(
    ("told", "asked", "uris"),
    [
        (found("placed", PLACED), BOUND, [ARCHIVED]),
        (found("placed", PLACED, PLACED), BOUND, [ARCHIVED]),
        (found("placed", READY), {}, [WAITING]),
        (found("held", HELD), {"destination": "prearchive"}, [WAITING]),
        (found("held", HELD), {**BOUND, "direct": True}, [WAITING]),
        (found("partly", READY), {"ignores_by_name": True, "ignore_unparsable": True}, [WAITING]),
    ],
)
def test_success(told: Import, asked: dict[str, Any], uris: list[str]) -> None:
    end = make_outcome(told, ImportRequest(**asked))
    assert (end.good, list(end.uris), end.text) == (True, uris, "")


@pytest.mark.parametrize(
    ("told", "asked", "status", "begins"),
    [
        (found("held", HELD, PLACED), BOUND, 409, "unable to archive for the Prearchive session. Because sop_clash."),
        (
            found("held", session(WAITING, "conflict", "session_exists")),
            BOUND,
            409,
            "Session already exists, retry with overwrite enabled. Because session_exists.",
        ),
        (found("partly", READY, code="damaged", message="M."), {"ignore_unparsable": True}, 400, "unable to read data"),
        (found("partly", READY, REFUSED, code="x", message="M."), {"ignores_by_name": True}, 400, "M. What could be"),
        (
            found(
                "refused", code="unparseable_entries", message="1 can't be read: 'a/b (1).dcm' (It is none); 'c' (No)."
            ),
            {},
            400,
            "unable to read DICOM object a/b (1).dcm. 1 can't be read: 'a/b",
        ),
        (found("refused", code="unparseable_entries", message="M."), {}, 400, "unable to read DICOM object. M."),
        (found("refused", code="no_images", message="M."), {}, 400, "Upload did not include parsable files for"),
        (found("refused", code="project_unknown", message="M."), {}, 404, "M."),
        (found("refused", REFUSED, code="account_disabled", message="M."), {}, 403, "M."),
        (found("failed", code="disk_full", message="M."), {}, 507, "M. What was sent is kept: the import U can be"),
        (found("failed", code="internal", message="M."), {}, 500, "M. What was sent is kept"),
        (found("cancelled", code="cancelled", message="M."), {}, 410, "M."),
    ],
)
def test_no_success(told: Import, asked: dict[str, Any], status: int, begins: str) -> None:
    end = make_outcome(told, ImportRequest(**asked))
    assert end.status == status
    assert end.text.startswith(begins)
    assert all(one.uri in end.text for one in told.brought() if one.uri), "where things stand"
    assert end.final_message == end.text


def test_final_messages_name_the_place_and_the_addresses_below_it() -> None:
    assert (
        make_outcome(found("placed", PLACED), ImportRequest(**BOUND)).final_message
        == f"Archive:{ARCHIVED.removeprefix('/data')}"
    )
    both = make_outcome(found("placed", READY, PLACED), ImportRequest()).final_message
    assert both == f"Prearchive:{WAITING.removeprefix('/data')};{ARCHIVED.removeprefix('/data')}"

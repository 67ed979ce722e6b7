"""What every report and receipt of an import must be, whatever the archive (design: fixed surface)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from scandock.model.verdicts import EXIT_CODES, ImportState
from tests.integration.bounds import Outcome, files_under, sha256_of_file

VERDICTS: Final = (
    "stored",
    "duplicate",
    "resource",
    "junk",
    "ignored",
    "filtered",
    "unparseable",
    "conflict",
    "refused",
)
ON_DISK: Final = frozenset({"stored", "resource", "conflict"})
LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
SCAN_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
REPORT: Final[dict[str, type]] = {
    "upload": str,
    "archive": str,
    "state": str,
    "code": str,
    "message": str,
    "warnings": list,
    "sessions": list,
    "entries": dict,
    "bytes": dict,
    "seconds": dict,
}
SESSION: Final[dict[str, type]] = {
    "project": str,
    "subject": str,
    "label": str,
    "state": str,
    "code": str,
    "message": str,
    "warnings": list,
    "id": str,
    "files": int,
    "new": int,
    "bytes": int,
    "scans": list,
}
LINE: Final[dict[str, type]] = {"archive": str, "path": str, "bytes": int, "verdict": str, "code": str, "message": str}


def _assert_types(values: dict[str, Any], shape: dict[str, type]) -> None:
    for key, kind in shape.items():
        assert isinstance(values[key], kind), f"{key} is {values[key]!r}"


def assert_shape(outcome: Outcome) -> None:
    """Keys and their types, the exit code of the state, and sums that agree with each other."""
    report, lines = outcome.report, outcome.lines
    _assert_types(report, REPORT)
    assert outcome.code == EXIT_CODES[ImportState(report["state"])]
    if report["state"] != "placed":
        assert report["message"]
    for warning in report["warnings"]:
        assert warning["code"]
        assert warning["message"]
    for line in lines:
        _assert_types(line, LINE)
        assert line["verdict"] in VERDICTS
        assert line["code"]
        assert line["message"]
    assert {verdict: report["entries"][verdict] for verdict in VERDICTS} == _count_verdicts(lines)
    assert set(report["bytes"]) >= {"received", "unpacked", "stored"}
    assert report["seconds"]["total"] >= 0
    for session in report["sessions"]:
        _session(session)
    gained = sum(session["new"] for session in report["sessions"])
    assert gained == sum(report["entries"][verdict] for verdict in ON_DISK), "new files are the entries that were kept"
    names = Counter((s["project"], s["label"].casefold()) for s in report["sessions"] if s["state"] == "archive")
    assert not names or max(names.values()) == 1, names


def _count_verdicts(lines: list[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(line["verdict"] for line in lines)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _session(session: dict[str, Any]) -> None:
    study = session["study_uid"]
    assert study is None or study == study.strip(" \0")
    if session["state"] == "refused":  # of a refused archive no study is given a label
        assert (session["uri"], session["path"], session["files"]) == (None, None, 0)
        assert (session["id"], session["new"]) == (None, 0)
        assert session["message"]
        return
    assert session["state"] in {"prearchive", "archive", "conflict"}
    _assert_types(session, SESSION)
    assert session["uri"].startswith("/data/")
    assert LABEL.fullmatch(session["label"]), session["label"]
    assert LABEL.fullmatch(session["subject"]), session["subject"]
    ids = [scan["id"].casefold() for scan in session["scans"]]
    assert len(set(ids)) == len(ids), ids
    assert all(SCAN_ID.fullmatch(each) for each in ids), ids
    files = sum(resource["files"] for scan in session["scans"] for resource in scan["resources"])
    assert files <= session["files"]


def assert_stored(outcome: Outcome, data: Path, project: str) -> None:
    """What the receipt calls stored is on disk, byte for byte, and nothing else stands in the project."""
    expected = {data / line["stored_as"]: line["sha256"] for line in outcome.lines if line["verdict"] in ON_DISK}
    assert len(expected) == sum(line["verdict"] in ON_DISK for line in outcome.lines), "two lines name one file"
    stored = files_under(data / "archive" / project) | files_under(data / "prearchive" / project)
    assert stored == set(expected)
    for path, sha256 in expected.items():
        assert sha256_of_file(path) == sha256, path
    folders = [data / session["path"] for session in outcome.report["sessions"] if session["path"] is not None]
    assert all(any(path.is_relative_to(folder) for folder in folders) for path in expected)
    for line in outcome.lines:
        if line["verdict"] not in ON_DISK | {"duplicate"}:
            assert line["stored_as"] is None, line

"""What came of an import: the object that `--json` prints, the catalog keeps and the server tells (fixed surface)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self, TypedDict

from scandock.model.dataclass import dataclass
from scandock.model.verdicts import ImportState, Verdict

if TYPE_CHECKING:
    from scandock.model.imported import ImportedSession


class ReportJson(TypedDict):
    """A report as JSON."""

    upload: str | None
    archive: str
    state: str
    code: str
    message: str
    warnings: list[dict[str, str]]
    sessions: list[dict[str, Any]]
    """Each an `ImportedSession`."""
    entries: dict[str, int]
    bytes: dict[str, int]
    seconds: dict[str, float]


class ReportDetails(TypedDict, total=False):
    """The parts of a report that only an import has of which entries were decided."""

    warnings: list[dict[str, str]]
    sessions: list[ImportedSession]
    entries: dict[str, int]
    unpacked: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome:
    """How an import ended; of one that was interrupted, or whose bytes never came whole, that is all there is."""

    state: ImportState
    code: str = ""
    message: str = ""

    def to_json(self) -> Mapping[str, object]:
        """What the catalog keeps of it."""
        return {"state": self.state.value, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport(ImportOutcome):
    """How an import ended, and what it has brought."""

    upload: str | None
    """None of an inspection, and of what never came to be an import."""
    archive: str
    warnings: list[dict[str, str]] = field(default_factory=list)
    sessions: list[ImportedSession] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=lambda: {verdict.value: 0 for verdict in Verdict})
    received: int = 0
    unpacked: int = 0
    stored: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"total": 0.0})

    def to_json(self) -> ReportJson:
        """Every key is always there."""
        return {
            "upload": self.upload,
            "archive": self.archive,
            "state": self.state.value,
            "code": self.code,
            "message": self.message,
            "warnings": self.warnings,
            "sessions": [session.to_json() for session in self.sessions],
            "entries": self.entries,
            "bytes": {"received": self.received, "unpacked": self.unpacked, "stored": self.stored},
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """One as JSON keeps it; one of another version may lack parts."""
        from scandock.model.imported import ImportedSession

        counts = values.get("bytes") or {}
        return cls(
            upload=values.get("upload"),
            archive=values.get("archive") or "",
            state=ImportState(values["state"]),
            code=values.get("code") or "",
            message=values.get("message") or "",
            warnings=values.get("warnings") or [],
            sessions=[ImportedSession.from_json(session) for session in values.get("sessions") or ()],
            entries=values.get("entries") or {},
            received=counts.get("received") or 0,
            unpacked=counts.get("unpacked") or 0,
            stored=counts.get("stored") or 0,
            seconds=values.get("seconds") or {},
        )


def parse_outcome(text: str) -> ImportOutcome:
    """What the catalog keeps of an import that has ended, or is about to: its report, where it has one."""
    values = json.loads(text)
    if "sessions" in values:
        return ImportReport.from_json(values)
    return ImportOutcome(
        state=ImportState(values["state"]), code=values.get("code") or "", message=values.get("message") or ""
    )


def format_outcome(outcome: ImportOutcome) -> str:
    """What the catalog keeps of it, as text."""
    return json.dumps(outcome.to_json())

"""What each kind of event tells of an upload: a record each, whose fields are the keys of what the catalog keeps."""

from __future__ import annotations

import json
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.model.imported import ImportedSession

EventKind = Literal["received", "running", "stage", "found", "session", "retry", "cancelling", "outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventData:
    """What an event tells beside its import and its moment."""

    kind: ClassVar[EventKind]

    def to_json(self) -> dict[str, object]:
        """Its fields by name, in order."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """One as the catalog keeps it; one of another version may lack keys."""
        return cls(**{one.name: values.get(one.name) for one in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportQueued(EventData):
    """All bytes are there, or the import is to be tried again: it waits for a worker."""

    kind = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptBegun(EventData):
    """A worker has begun with the import."""

    kind = "running"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBegun(EventData):
    """The import has come to a stage."""

    kind = "stage"
    stage: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsFound(EventData):
    """Patients were met while the archive was read."""

    kind = "found"
    patients: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPublished(EventData):
    """A session of the import stands now; in an outcome also one that was refused."""

    kind = "session"
    project: str | None
    subject: str | None
    label: str | None
    state: str
    uri: str | None
    code: str

    @classmethod
    def of(cls, session: ImportedSession) -> Self:
        """What is told of a session of a report."""
        return cls(**{one.name: getattr(session, one.name) for one in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlanned(EventData):
    """The import waits for its next attempt."""

    kind = "retry"
    code: str
    message: str
    attempt: int | None = None
    """The attempt that was lost; None where none is counted."""
    seconds: float

    def to_json(self) -> dict[str, object]:
        values = EventData.to_json(self)
        if self.attempt is None:
            del values["attempt"]
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(EventData):
    """Somebody cancels the import, which a worker runs."""

    kind = "cancelling"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEnded(EventData):
    """The import has ended: the last that is told of it, unless somebody asks for a retry."""

    kind = "outcome"
    state: str
    code: str
    message: str
    sessions: list[SessionPublished] | None = field(default_factory=list)
    """None where they are left out."""

    def to_json(self) -> dict[str, object]:
        values = EventData.to_json(self)
        if self.sessions is None:
            del values["sessions"]
        else:
            values["sessions"] = [session.to_json() for session in self.sessions]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        sessions = [SessionPublished.from_json(session) for session in values.get("sessions") or ()]
        return cls(state=values["state"], code=values["code"], message=values["message"], sessions=sessions)


_KINDS: dict[str, type[EventData]] = {
    one.kind: one
    for one in (
        ImportQueued,
        AttemptBegun,
        StageBegun,
        PatientsFound,
        SessionPublished,
        RetryPlanned,
        CancelRequested,
        ImportEnded,
    )
}


def parse_event(kind: str, data: str) -> EventData:
    """An event's data as the catalog keeps it."""
    return _KINDS[kind].from_json(json.loads(data))

"""Imports as people see them: what came of one, or how far it is, from its row to the API's answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field, GetPydanticSchema, WithJsonSchema
from sqlalchemy import RowMapping

from scandock.model.dataclass import dataclass
from scandock.model.errors import OUTAGES
from scandock.model.import_report import ImportReport, ReportJson
from scandock.model.imported import ImportedSession
from scandock.model.json_notices import Notices
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.model.left_out import LeftOut
from scandock.model.verdicts import QUEUED, UNFINISHED, ImportState
from scandock.queue.leases import LEASE_MS
from scandock.services.import_errors import WorkerMissing


@dataclass(frozen=True, kw_only=True)
class Counted(JsonRecord):
    """How far."""

    done: int | None
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Progress(JsonRecord):
    """How far an import is; totals are null until they are known."""

    NESTED = ("entries", "bytes")

    stage: str
    entries: Counted | None
    bytes: Annotated[Counted, Field(description="How far")]
    sessions: list[Any]
    modified: MaybeMoment = None

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `progress`."""
        return cls(
            stage=row["stage"],
            entries=Counted(done=row["entries_done"], total=row["entries_total"]),
            bytes=Counted(done=row["bytes_done"], total=row["bytes_total"]),
            sessions=json.loads(row["sessions"]),
            modified=row["modified"],
        )

    @classmethod
    def by_import(cls, rows: Iterable[RowMapping]) -> dict[int, Self]:
        """That of several imports, by their numbers."""
        return {row["upload_id"]: cls.from_row(row) for row in rows}


@dataclass(frozen=True, kw_only=True)
class ImportWaiting(JsonRecord):
    """Why an import waits for its next attempt, whether the one before was counted, and when that begins."""

    code: str
    message: str
    counted: bool
    next_attempt: MaybeMoment

    @classmethod
    def from_row(cls, row: RowMapping) -> Self | None:
        """A row of `imports`, of one that waits; None where there is nothing that it waits for."""
        if not row["code"] or row["owner"]:
            return None
        return cls(
            code=row["code"],
            message=row["message"],
            counted=row["code"] not in OUTAGES,
            next_attempt=row["retry_at"] or None,
        )

    @property
    def sentence(self) -> str:
        """That, and for how long."""
        sentences = [self.message]
        if not self.counted:
            sentences.append("The import waits until that is mended; this counts as no attempt.")
        if self.next_attempt is not None:
            sentences.append(f"The next attempt begins at {_format_time(self.next_attempt)}.")
        return " ".join(sentences)


Sessions = Annotated[list[dict[str, Any]], GetPydanticSchema(lambda _, handler: handler(list[ImportedSession]))]


@dataclass(frozen=True, kw_only=True)
class Import(JsonRecord):
    """An import: what `scandock import --json` prints, and how far it is."""

    NESTED = ("progress", "waiting")

    upload: str
    archive: str
    state: Annotated[ImportState, WithJsonSchema({"type": "string", "enum": [one.value for one in ImportState]})]
    code: str
    message: str
    warnings: Notices
    sessions: Sessions
    """As the report keeps them, so that a list of imports need not look into them; `brought` has the records."""
    entries: dict[str, int]
    bytes: dict[str, int]
    seconds: dict[str, float]
    id: str
    project: str | None
    door: str
    size: int | None
    attempt: int
    created: MaybeMoment
    accepted: MaybeMoment
    finished: MaybeMoment
    progress: Progress | None
    silent_since: MaybeMoment
    cancelling: LeftOut[bool] = None
    waiting: ImportWaiting | None

    def brought(self, max_sessions: int | None = None) -> list[ImportedSession]:
        """Its sessions, or the first of them."""
        return [ImportedSession.from_json(session_json) for session_json in self.sessions[:max_sessions]]

    @classmethod
    def from_row(cls, row: RowMapping, progress: Mapping[int, Progress]) -> Self:
        """A row of `imports`; `progress` of those that run, by their numbers."""
        state = ImportState(row["state"])
        silent = row["lease_until"] - LEASE_MS if _is_silent(row) else None
        waiting = ImportWaiting.from_row(row) if state in QUEUED else None
        if state not in UNFINISHED and row["report"]:
            report: ReportJson = json.loads(row["report"])
        else:
            message = cached_message(state, cached=row["cached"]) or row["message"] or _STATE_MESSAGES.get(state, "")
            report = ImportReport(
                upload=row["uuid"],
                archive=row["archive"],
                state=state,
                code=row["code"],
                message=message,
                received=row["received"],
            ).to_json()
        message, code = report["message"], report["code"]
        if row["unattended"] and waiting is None:
            message, code = str(_WORKER_MISSING), _WORKER_MISSING.code
        if silent is not None:
            message = _SILENT_MESSAGE.format(since=_format_time(silent))
        if waiting is not None:
            message = waiting.sentence
        return cls(
            upload=row["uuid"],
            archive=row["archive"],
            state=state,
            code=code,
            message=message,
            warnings=report["warnings"],
            sessions=report["sessions"],
            entries=report["entries"],
            bytes=report["bytes"],
            seconds=report["seconds"],
            id=row["uuid"],
            project=row["project"],
            door=row["door"],
            size=row["size"],
            attempt=row["attempt"],
            created=row["created"],
            accepted=row["accepted"],
            finished=row["finished"],
            progress=_progress(row, state, progress.get(row["id"])),
            silent_since=silent,
            cancelling=bool(row["cancel"]) if state is ImportState.RUNNING else None,
            waiting=waiting,
        )


def _is_silent(row: RowMapping) -> bool:
    """Whether the one who runs it has not renewed its lease in time."""
    return row["state"] == ImportState.RUNNING and bool(row["owner"] and row["overdue"])


def _progress(row: RowMapping, state: ImportState, running: Progress | None) -> Progress | None:
    if state is ImportState.RECEIVING:
        received = Counted(done=row["received"], total=row["size"])
        read_ahead = [] if running is None else running.sessions
        return Progress(stage="receiving", entries=None, bytes=received, sessions=read_ahead)
    return running if state is ImportState.RUNNING else None


def cached_message(state: ImportState, *, cached: bool | None) -> str:
    """What is said of a file that waits whole in its sender's cache; empty of any other upload."""
    return _CACHED_MESSAGE if cached and state is ImportState.RECEIVING else ""


def _format_time(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_WORKER_MISSING = WorkerMissing()
_STATE_MESSAGES = {
    ImportState.RECEIVING: "The upload is being received.",
    ImportState.RECEIVED: "The upload is kept and waits for its import.",
    ImportState.RUNNING: "The import runs.",
}

_CACHED_MESSAGE = "The file is kept in its sender's cache; an import of it was not asked for yet."

_SILENT_MESSAGE = (
    "Nothing of this import has been written to the catalog since {since}: the catalog can't be written to, or the"
    " import's worker is away. It goes on by itself; /readyz says what is wrong."
)

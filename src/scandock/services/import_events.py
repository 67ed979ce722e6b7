"""What happens to all imports, looked at once for everybody who listens: a few statements, however many they are."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypedDict

from sqlalchemy import Connection, Select, func, select

from scandock.access.principal import Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file, event, progress, reception
from scandock.catalog.tables import project, upload
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.queue.event_data import EventData, ImportEnded, parse_event
from scandock.rules.permissions import AccessDecision, Action, answer
from scandock.services.activity import silent_time
from scandock.services.event_order import FIRST, Position, newest_position, position_of, read_behind
from scandock.services.import_records import Counted
from scandock.services.imports import list_imports
from scandock.services.pagination import Sorting

OVERLAP: Final = 50
"""Events before the newest known one that are looked at again on SQLite, which gives the numbers of events that were
deleted with their import to new ones."""
MAX_EVENTS: Final = 500
MAX_UNFINISHED: Final = 100
"""Unfinished imports of which a listener hears at its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressData:
    """How far an import is, of which no event is kept."""

    kind: ClassVar = "progress"
    state: str
    stage: str | None
    entries: Counted | None
    """None while its bytes are coming."""
    bytes: Counted

    def to_json(self) -> dict[str, object]:
        """What is sent of it."""
        entries = {} if self.entries is None else {"entries": self.entries.to_json()}
        return {"state": self.state, "stage": self.stage, **entries, "bytes": self.bytes.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEvent:
    """Something that is told of an import: an event, or (number 0) how far it is."""

    number: int
    at: int
    """Unix milliseconds; of numbers that have no moment 0."""
    uuid: str
    archive: str
    account_id: int
    project: str | None
    data: EventData | ProgressData = field(hash=False)

    @property
    def mark(self) -> str:
        """By which a listener goes on: the moment too, as a number alone may be given again."""
        return f"{self.number}-{self.at}"

    @property
    def kind(self) -> str:
        return self.data.kind

    def for_listener(self, principal: Principal) -> dict[str, object]:
        """What is sent of it."""
        import_values = {"id": self.uuid, "archive": self.archive, "project": self.project}
        values = {**import_values, "mine": self.account_id == principal.account_id, **self.data.to_json()}
        return {**values, "at": self.at} if self.number else values


def can_see_event(principal: Principal, import_event: ImportEvent) -> bool:
    """Whether somebody may know of it: as `imports.find_import` judges, by the roles that the principal has."""
    is_own = principal.account_id is not None and principal.account_id == import_event.account_id
    role = principal.roles.get(import_event.project) if import_event.project is not None else None
    decision = answer(Action.IMPORT_READ, role=role, admin=principal.admin, own=is_own, scope=principal.scope)
    return decision is AccessDecision.ALLOWED


class EventWatcher:
    """Looks at the catalog again and again, and gives what is new. Not to be shared between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._events: _Follower = _ByNumber() if catalog.sqlite else _ByTransaction()
        self._far: dict[str, tuple[Any, ...]] = {}

    def begin(self) -> None:
        """Take what is there for known."""
        with self._catalog.read() as connection:
            self._events.begin(connection)
            self._numbers(connection)

    def look(self) -> list[ImportEvent]:
        """What has happened since: events in their order, then how far imports are that moved on."""
        with self._catalog.read() as connection:
            return [*self._events.read_news(connection), *self._numbers(connection)]

    def _numbers(self, connection: Connection) -> list[ImportEvent]:
        rows = [_Moving._make(row) for row in connection.execute(_select_running())]
        last_figures, self._far = self._far, {row.uuid: _progress_figures(row) for row in rows}
        moved = [row for row in rows if last_figures.get(row.uuid) != self._far[row.uuid]]
        return [_progress_event(row) for row in moved if row.state == ImportState.RECEIVING or row.stage is not None]


class _Follower(Protocol):
    """Knows which events have been told."""

    def begin(self, connection: Connection) -> None: ...
    def read_news(self, connection: Connection) -> list[ImportEvent]: ...


class _ByTransaction:
    """On PostgreSQL: by the order in which events are settled."""

    def __init__(self) -> None:
        self._position = FIRST

    def begin(self, connection: Connection) -> None:
        self._position = newest_position(connection)

    def read_news(self, connection: Connection) -> list[ImportEvent]:
        new_events: list[ImportEvent] = []
        while True:
            rows = _read_settled(connection, self._position, MAX_EVENTS)
            new_events += [row for row, _ in rows]
            if rows:
                self._position = rows[-1][1]
            if len(rows) < MAX_EVENTS:
                return new_events


class _ByNumber:
    """On SQLite, where events are committed in the order of their numbers."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._last = 0
        self._looked: tuple[int, int, int] | None = None

    def begin(self, connection: Connection) -> None:
        self._last = connection.execute(select(func.max(event.c.id))).scalar() or 0
        self.read_news(connection)

    def read_news(self, connection: Connection) -> list[ImportEvent]:
        new_events: list[ImportEvent] = []
        while True:
            newest = connection.execute(select(func.max(event.c.id))).scalar() or 0
            floor = _floor(min(self._last, newest))
            fingerprint = _fingerprint(connection, floor)
            if fingerprint == self._looked:
                return new_events
            rows = _read_events(connection, floor, OVERLAP + MAX_EVENTS)
            new = [row for row in rows if self._known.get(row.number) != row.at]
            new_events += new
            self._last = rows[-1].number if rows else 0
            self._known = {row.number: row.at for row in rows if row.number > self._last - OVERLAP}
            self._looked = None if len(rows) == OVERLAP + MAX_EVENTS else _fingerprint(connection, _floor(self._last))
            if self._looked is not None:
                return new_events


def _floor(last: int) -> int:
    return max(0, last - OVERLAP)


def _fingerprint(connection: Connection, floor: int) -> tuple[int, int, int]:
    """Changes with every event behind `floor` that comes or goes."""
    row = connection.execute(
        select(func.count(), func.coalesce(func.max(event.c.id), 0), func.coalesce(func.sum(event.c.at), 0)).where(
            event.c.id > floor
        )
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def read_missed_events(connection: Connection, principal: Principal, mark: str) -> list[ImportEvent] | None:
    """What somebody may hear of behind the event that a mark names.

    None where that can't be told: the event is gone, or too much has happened since.
    """
    number, _, at = mark.partition("-")
    if not (number.isascii() and number.isdigit() and at.isascii() and at.isdigit() and len(number) < 19):
        return None
    if int(number):
        event_time = connection.execute(select(event.c.at).where(event.c.id == int(number))).scalar()
        if event_time != int(at):
            return None
    if connection.dialect.name == "sqlite":
        rows = _read_events(connection, int(number), MAX_EVENTS + 1)
    else:
        position = position_of(connection, int(number))
        rows = [row for row, _ in _read_settled(connection, position, MAX_EVENTS + 1)]
    return None if len(rows) > MAX_EVENTS else [row for row in rows if can_see_event(principal, row)]


def read_newest_mark(connection: Connection) -> str:
    """The mark of the newest event that is told; of none at all `0-0`."""
    newest = select(event.c.id, event.c.at)
    if connection.dialect.name == "sqlite":
        newest = newest.order_by(event.c.id.desc()).limit(1)
    else:
        newest = newest.where(event.c.id == newest_position(connection).number)
    row = connection.execute(newest).first()
    return f"{row.id}-{row.at}" if row is not None else "0-0"


class UnfinishedImport(TypedDict):
    """What a listener hears at its start of an import that goes on."""

    id: str
    archive: str
    project: str | None
    state: str
    progress: dict[str, Any] | None
    created: int | None
    mine: bool
    silent: int | None
    """Of one whose bytes come: for how many milliseconds none has."""


def list_unfinished_imports(catalog: Catalog, principal: Principal) -> list[UnfinishedImport]:
    """Somebody's own imports that have not ended, the newest first, with their progress."""
    states = tuple(state.value for state in UNFINISHED)
    sorting = Sorting(sort="-id", limit=MAX_UNFINISHED)
    items = list_imports(catalog, principal, sorting, states=states, mine=True).items
    with catalog.read() as connection:
        rows = connection.execute(
            select(upload.c.uuid, silent_time(catalog).label("silent"))
            .join(reception, reception.c.upload_id == upload.c.id)
            .outerjoin(cached_file, cached_file.c.upload_id == upload.c.id)
            .where(upload.c.uuid.in_([item.id for item in items]))
        )
        silent = {row.uuid: row.silent for row in rows}
    return [
        {
            "id": item.id,
            "archive": item.archive,
            "project": item.project,
            "state": item.state,
            "progress": item.progress.to_json() if item.progress is not None else None,
            "created": item.created,
            "mine": True,
            "silent": silent.get(item.id),
        }
        for item in items
    ]


def _read_events(connection: Connection, after: int, limit: int) -> list[ImportEvent]:
    rows = connection.execute(_EVENTS.where(event.c.id > after).order_by(event.c.id).limit(limit))
    return [_make_event(row) for row in rows]


def _read_settled(connection: Connection, after: Position, limit: int) -> list[tuple[ImportEvent, Position]]:
    """Events behind a position of PostgreSQL's order, each with its own."""
    rows = read_behind(connection, _EVENTS.add_columns(event.c.txid), after, limit)
    return [(_make_event(row), Position(row.txid, row.id)) for row in rows]


_EVENTS: Final = (
    select(
        event.c.id, event.c.kind, event.c.data, event.c.at, event.c.account_id, upload.c.uuid, upload.c.archive,
        project.c.name,
    )
    .join(upload, upload.c.id == event.c.upload_id)
    .join(reception, reception.c.upload_id == event.c.upload_id)
    .outerjoin(project, project.c.id == reception.c.project_id)
)  # fmt: skip


def _make_event(row: Any) -> ImportEvent:  # noqa: ANN401  a row of `_EVENTS`
    return ImportEvent(
        number=row.id,
        at=row.at,
        uuid=row.uuid,
        archive=row.archive,
        account_id=row.account_id,
        project=row.name,
        data=_without_sessions(parse_event(row.kind, row.data)),
    )


def _without_sessions(data: EventData) -> EventData:
    """An outcome without its sessions, each of which has been told of by itself; the import's object has them."""
    return replace(data, sessions=None) if isinstance(data, ImportEnded) else data


class _Moving(NamedTuple):
    """An upload that comes in, or an import that runs, and how far it is."""

    uuid: str
    archive: str
    state: str
    account_id: int
    received: int
    size: int | None
    project: str | None
    stage: str | None
    entries_done: int | None
    entries_total: int | None
    bytes_done: int | None
    bytes_total: int | None


def _select_running() -> Select[Any]:
    """Uploads that come in and imports that run, with how far they are."""
    return (
        select(
            upload.c.uuid, upload.c.archive, upload.c.state, reception.c.account_id, reception.c.received,
            reception.c.size, project.c.name, progress.c.stage, progress.c.entries_done, progress.c.entries_total,
            progress.c.bytes_done, progress.c.bytes_total,
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(progress, progress.c.upload_id == upload.c.id)
        .outerjoin(project, project.c.id == reception.c.project_id)
        .where(upload.c.state.in_((ImportState.RECEIVING.value, ImportState.RUNNING.value)))
    )  # fmt: skip


def _progress_figures(row: _Moving) -> tuple[Any, ...]:
    return (row.state, row.received, row.stage, row.entries_done, row.bytes_done, row.bytes_total)


def _progress_event(row: _Moving) -> ImportEvent:
    if row.state == ImportState.RECEIVING:
        received = Counted(done=row.received, total=row.size)
        data = ProgressData(state=row.state, stage="receiving", entries=None, bytes=received)
    else:
        entries = Counted(done=row.entries_done, total=row.entries_total)
        processed = Counted(done=row.bytes_done, total=row.bytes_total)
        data = ProgressData(state=row.state, stage=row.stage, entries=entries, bytes=processed)
    return ImportEvent(
        number=0,
        at=0,
        uuid=row.uuid,
        archive=row.archive,
        account_id=row.account_id,
        project=row.project,
        data=data,
    )

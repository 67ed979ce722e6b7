"""The trail: who did what, when, from where. Written in the transaction of the change itself, read and exported here.

Rows hold ids, never labels of subjects or sessions, names of patients or files: those may identify a person, and the
trail outlives what was deleted. The database refuses to change or delete a row (`catalog.append_only`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Any, Final, Literal, Self

from sqlalchemy import ColumnElement, Connection, Insert, and_, bindparam, func, insert, or_, select

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import project as _project
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, Moment
from scandock.model.spreadsheet import TableWriter
from scandock.services.pagination import check_choices

EXPORT_PAGE_ROWS: Final = 1_000
MAX_PAGE_ROWS: Final = 10_000

ExportFormat = Literal["jsonl", "csv"]
DetailScalar = str | int | bool | None
DetailValue = DetailScalar | Sequence[str | int] | Mapping[str, DetailScalar]
MAX_DETAIL: Final = 200
"""Characters of a value that is named as it was and as it is now."""


class AuditOutcome(StrEnum):
    """How it went."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class AuditAction(StrEnum):
    """What was done; more may come, none is renamed. A setting of a project is PROJECT_EDIT, who sees it ACCESS_SET.

    REQUEST and TOKEN_USE are lines of what was refused alone (`services.refusals`).
    """

    LOGIN = "login"
    LOGOUT = "logout"
    ACCOUNT_CREATE = "account_create"
    ACCOUNT_EDIT = "account_edit"
    ACCOUNT_DISABLE = "account_disable"
    ACCOUNT_ENABLE = "account_enable"
    ACCOUNT_ADMIN = "account_admin"
    PASSWORD = "password"  # noqa: S105  the name of a change
    TOKEN_CREATE = "token_create"  # noqa: S105
    TOKEN_REVOKE = "token_revoke"  # noqa: S105
    MEMBER_SET = "member_set"
    ACCESS_SET = "access_set"
    PROJECT_CREATE = "project_create"
    PROJECT_EDIT = "project_edit"
    RULES_SET = "rules_set"
    FILTER_SET = "filter_set"
    SCRIPT_SET = "script_set"
    LOOKUP_SET = "lookup_set"
    PRIVACY_SET = "privacy_set"
    PRIVACY_KEY_ADD = "privacy_key_add"
    UPLOAD_BEGIN = "upload_begin"
    UPLOAD_DELETE = "upload_delete"
    MAPPING_SET = "mapping_set"
    UPLOAD = "upload"
    CACHE_PUT = "cache_put"
    CACHE_DELETE = "cache_delete"
    IMPORT_CANCEL = "import_cancel"
    IMPORT_RETRY = "import_retry"
    IMPORT_DELETE = "import_delete"
    IMPORT_RELEASE = "import_release"
    IMPORT_END = "import_end"
    ARCHIVE = "archive"
    MOVE = "move"
    EDIT = "edit"
    REBUILD = "rebuild"
    RESOLVE = "resolve"
    DELETE = "delete"
    RESTORE = "restore"
    PURGE = "purge"
    DOWNLOAD = "download"
    VIEW = "view"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SEARCH_SAVE = "search_save"
    SEARCH_DELETE = "search_delete"
    RECEIVER_ADD = "receiver_add"
    RECEIVER_SET = "receiver_set"
    RECEIVER_REMOVE = "receiver_remove"
    STUDY_CLOSE = "study_close"
    STUDY_DISCARD = "study_discard"
    PEER_ADD = "peer_add"
    PEER_SET = "peer_set"
    PEER_REMOVE = "peer_remove"
    PEER_ECHO = "peer_echo"
    VERIFY = "verify"
    CLOCK_CONFIRM = "clock_confirm"
    AUDIT_EXPORT = "audit_export"
    REQUEST = "request"
    TOKEN_USE = "token_use"  # noqa: S105


KINDS: Final = (
    "account", "audit", "clock", "file", "filter", "import", "login", "peer", "privacy", "project", "receiver",
    "request", "rules", "scan", "search", "session", "subject", "subscription", "token",
)  # fmt: skip
"""What lines are about."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the trail."""

    id: int
    at: int
    account_id: int | None
    actor: str
    action: str
    kind: str
    target: str
    project: str
    address: str
    request_id: str
    outcome: str
    details: str


_COLUMNS: Final = tuple(audit.c[field.name] for field in fields(AuditRow))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which lines; what is None is not asked for. Times are unix milliseconds, `until` excluded."""

    project: str | None = None
    """Lines of the project that has this id now."""
    earlier: bool = False
    """For administrators: older lines without a UUID too, and all where no project has the id any more."""
    account_id: int | None = None
    actor: str | None = None
    action: str | None = None
    kind: str | None = None
    target: str | None = None
    request_id: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None


def record(
    connection: Connection,
    principal: Principal,
    action: str,
    kind: str,
    target: str,
    *,
    project: str = "",
    request: RequestInfo | None = None,
    outcome: AuditOutcome = AuditOutcome.DONE,
    details: Mapping[str, DetailValue] | None = None,
) -> int:
    """Add a line within the caller's transaction, so that the change and its line are there both, or neither; its id.

    `kind` and `target` name the thing by its id: ("session", its UUID), ("project", its id), ("account", its UUID).
    """
    where = request or RequestInfo()
    values = {
        "account_id": principal.account_id,
        "actor": principal.name[:64],
        "action": str(action),
        "kind": kind,
        "target": target,
        "project": project,
        "address": where.address[:64],
        "request_id": where.request_id[:64],
        "outcome": outcome,
        "details": json.dumps(dict(details), sort_keys=True) if details else "",
        "of_project": project.casefold(),
    }
    statement = _insert_line(sqlite=connection.dialect.name == "sqlite")
    primary_key = connection.execute(statement, values).inserted_primary_key
    assert primary_key is not None
    return int(primary_key[0])


@cache
def _insert_line(*, sqlite: bool) -> Insert:
    of_project = select(_project.c.uuid).where(_project.c.key == bindparam("of_project")).scalar_subquery()
    return insert(audit).values(at=database_now(sqlite=sqlite), project_uuid=of_project)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, DetailValue]:
    """Of two states of one thing, its old and new values where they differ; of lists what was added and removed.

    Long ones are cut, and have their length and digest.
    """
    changed = sorted(name for name, value in now.items() if value != before[name])
    parts: dict[str, dict[str, DetailScalar]] = {"before": {}, "now": {}}
    for name in changed:
        old, new = before[name], now[name]
        if isinstance(old, list) and isinstance(new, list):
            added, removed = (
                [str(item) for item in one if item not in other] for one, other in ((new, old), (old, new))
            )
            if added or removed:
                parts.setdefault("added", {})[name] = _short(", ".join(added))
                parts.setdefault("removed", {})[name] = _short(", ".join(removed))
                continue
            old, new = json.dumps(old), json.dumps(new)  # in another order
        parts["before"][name], parts["now"][name] = _short(old), _short(new)
        assert parts["before"][name] != parts["now"][name], f"Both values of {name} are told in the same words."
    return dict(parts)


def _short(value: object) -> DetailScalar:
    if value is None or isinstance(value, int):
        return value
    text = str(value)
    if len(text) <= MAX_DETAIL:
        return text
    end = f"… ({describe_text(text)})"
    return text[: MAX_DETAIL - len(end)] + end


def describe_text(text: str) -> str:
    """What the audit says of a text that it does not have: two that differ are told apart by it."""
    return f"{len(text):,} characters, SHA-256 {sha256(text.encode()).hexdigest()[:12]}"


def search(
    connection: Connection, filters: AuditFilter, *, before: int | None = None, limit: int = 100
) -> Sequence[AuditRow]:
    """Lines, the newest first; `before` is the id of the last one seen, for the next page.

    Usage `request_invalid` for an action, outcome or kind that no line can have.
    """
    check_filter(filters)
    conditions = _conditions(filters)
    if before is not None:
        conditions.append(audit.c.id < before)
    max_rows = min(max(limit, 1), MAX_PAGE_ROWS)
    rows = [
        AuditRow(*row)
        for part in _filter_parts(filters)
        for row in connection.execute(
            select(*_COLUMNS).where(*conditions, *part).order_by(audit.c.id.desc()).limit(max_rows)
        )
    ]  # fmt: skip
    return sorted(rows, key=lambda row: row.id, reverse=True)[:max_rows]


def check_filter(filters: AuditFilter) -> None:
    """Usage `request_invalid` for an action, outcome or kind that no line can have."""
    for name, values in (("action", AuditAction), ("outcome", AuditOutcome), ("kind", KINDS)):
        value = getattr(filters, name)
        if value is not None:
            check_choices(name, (value,), values)


def export(
    catalog: Catalog,
    filters: AuditFilter,
    form: ExportFormat,
    *,
    before: int | None = None,
    check_access: Callable[[], object] | None = None,
) -> Iterator[str]:
    """The lines before one, as JSON lines or CSV, the newest first, in pieces; no transaction is held between them.

    `check_access` raises AccessDenied where whoever asked may not read on; asked for each piece.
    """
    if form == "csv":
        yield _to_csv([[field.name for field in fields(AuditRow)] + ["time"]])
    while True:
        if check_access is not None:
            check_access()
        with catalog.read() as connection:
            rows = search(connection, filters, before=before, limit=EXPORT_PAGE_ROWS)
        if not rows:
            return
        before = rows[-1].id
        if form == "csv":
            yield _to_csv([list(row_to_dict(row).values()) for row in rows])
        else:
            yield "".join(json.dumps(TrailLine.of(row).to_json()) + "\n" for row in rows)


def row_to_dict(row: AuditRow) -> dict[str, object]:
    """A line with its time for people beside its number."""
    return {**asdict(row), "time": datetime.fromtimestamp(row.at / 1000, UTC).isoformat(timespec="milliseconds")}


@dataclass(frozen=True, kw_only=True)
class TrailLine(JsonRecord):
    """A line of the audit trail: ids alone, no labels."""

    id: int
    at: Moment
    account_id: int | None
    actor: str
    action: str
    kind: str
    target: str
    project: str
    address: str
    request_id: str
    outcome: str
    details: dict[str, Any]
    time: str

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """With its time for people, and its details as an object."""
        values: dict[str, Any] = {**row_to_dict(row), "details": json.loads(row.details) if row.details else {}}
        return cls(**values)


def _conditions(filters: AuditFilter) -> list[ColumnElement[bool]]:
    conditions = [
        audit.c[name] == value
        for name in ("account_id", "actor", "action", "kind", "target", "request_id", "outcome")
        if (value := getattr(filters, name)) is not None
    ]
    if filters.since is not None:
        conditions.append(audit.c.at >= filters.since)
    if filters.until is not None:
        conditions.append(audit.c.at < filters.until)
    return conditions


def project_condition(number: int) -> ColumnElement[bool]:
    """A condition that holds for a project's own lines, and for none of one that had its id before."""
    return or_(*(and_(*part) for part in _project_conditions(_project.c.id == number)))


def _project_conditions(where: ColumnElement[bool]) -> list[list[ColumnElement[bool]]]:
    """Conditions for the lines of a project that no line meets twice.

    A line without a UUID is from before there was any: it is the project's where it is no older than that.
    """
    uuid, name, created = (
        select(column).where(where).scalar_subquery()
        for column in (_project.c.uuid, _project.c.name, _project.c.created)
    )
    return [
        [audit.c.project_uuid == uuid],
        [audit.c.project == name, audit.c.project_uuid.is_(None), audit.c.at >= created],
    ]


def _filter_parts(filters: AuditFilter) -> list[list[ColumnElement[bool]]]:
    """As `_project_conditions`, for the filters: each is found along an index, in order; both at once would not be."""
    if filters.project is None:
        return [[]]
    where = _project.c.key == filters.project.casefold()
    with_uuid, without_uuid = _project_conditions(where)
    if filters.earlier:
        uuid, name = (
            select(column).where(where).scalar_subquery() for column in (_project.c.uuid, _project.c.name)
        )  # fmt: skip
        without_uuid = [
            audit.c.project == func.coalesce(name, filters.project),
            audit.c.project_uuid.is_(None) | uuid.is_(None),
        ]
    return [with_uuid, without_uuid]


def _to_csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    TableWriter(text).write_rows(rows)
    return text.getvalue()

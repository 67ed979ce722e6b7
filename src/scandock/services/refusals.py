"""Refusals on their way into the audit: the first of an address, an account and an action at once, the others counted.

Who is refused may ask again a thousand times a second, and the catalog is written to once a minute. Nothing is written
in the request itself: how long an answer takes says nothing of which account a wrong password was for.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from sqlalchemy import Connection

from scandock.access import accounts
from scandock.access.clock import monotonic
from scandock.access.principal import Principal, RequestInfo
from scandock.access.throttle import network_of
from scandock.catalog.engine import Catalog
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.audit import AuditAction, AuditOutcome, DetailValue, record
from scandock.services.logs import error_cause, error_location, log

MINUTE: Final = request_limits.REFUSALS_SECONDS
MAX_KEYS: Final = request_limits.REFUSALS_TOLD_APART
"""Addresses, accounts and actions together that are told apart; more are counted by action alone."""
RETRY_SECONDS: Final = 1.0
_UNKNOWN: Final = Principal(None, "", "unknown")

Key = tuple[str, int | None, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that was refused: to an account, or to somebody unknown (None)."""

    did: AuditAction
    right: str = ""
    """Which right was missing, as `Action` has it; empty for a login or a token."""
    account_id: int | None = None
    kind: str = "account"
    target: str | None = None
    """The id of what it was about; None for the account itself."""
    project: str = ""
    request: RequestInfo = field(default_factory=RequestInfo)
    details: Mapping[str, DetailValue] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return network_of(self.request.address), self.account_id, self.did, self.right

    def common(self, other: Refusal) -> Refusal:
        """What is true of two refusals of one key; of the request its address alone."""
        same_target = (self.kind, self.target) == (other.kind, other.target)
        return replace(
            self,
            kind=self.kind if same_target else "account",
            target=self.target if same_target else None,
            project=self.project if self.project == other.project else "",
            request=RequestInfo(self.request.address if self.request.address == other.request.address else ""),
            details={name: value for name, value in self.details.items() if other.details.get(name) == value},
        )


@dataclass(slots=True)
class _Window:
    """A minute of one key: what came behind the line that is there for it."""

    began: float
    count: int = 0
    common: Refusal | None = None

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        self.common = refusal.common(refusal) if self.common is None else self.common.common(refusal)

    def end(self, now: float) -> list[Refusal]:
        """The line for what has come, if anything has; another minute begins."""
        lines = [] if self.common is None else [_with_count(self.common, self.count)]
        self.began, self.count, self.common = now, 0, None
        return lines


def _with_count(refusal: Refusal, count: int) -> Refusal:
    return replace(refusal, details={**refusal.details, "count": count})


def _record_lines(connection: Connection, lines: Sequence[Refusal]) -> None:
    ids = {line.account_id for line in lines if line.account_id is not None}
    people = {
        account.id: Principal(account.id, account.uuid, account.name) for account in accounts.by_ids(connection, ids)
    }
    for line in lines:
        asker = _UNKNOWN if line.account_id is None else people.get(line.account_id, _UNKNOWN)
        record(
            connection,
            asker,
            line.did,
            line.kind,
            asker.uuid if line.target is None else line.target,
            project=line.project,
            request=line.request,
            outcome=AuditOutcome.REFUSED,
            details={**line.details, "right": line.right} if line.right else line.details,
        )


class Refusals:
    """The refusals of one process. Without `start` a first line is written by whoever notes it."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Callable[[], float] = monotonic,
        counted: Callable[[AuditAction], None] = lambda _: None,
    ) -> None:
        """`counted` is told of every refusal, for the metrics."""
        self._catalog = catalog
        self._clock = clock
        self._counted = counted
        self._windows: OrderedDict[Key, _Window] = OrderedDict()
        """The one that began first comes first."""
        self._pending: list[Refusal] = []
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many addresses, accounts and actions are told apart now."""
        return len(self._windows)

    def start(self) -> None:
        """Write in a thread from now on, until `close`."""
        self._writer = threading.Thread(target=self._run, name="refusals", daemon=True)
        self._writer.start()

    def note(self, refusal: Refusal) -> None:
        """Note a refusal; takes no time, and asks no catalog once there is a thread for it."""
        self._counted(refusal.did)
        with self._changed:
            window = self._windows.get(refusal.key)
            if window is None and len(self._windows) >= MAX_KEYS:
                refusal = Refusal(did=refusal.did, right=refusal.right, details={"addresses": "many"})
                window = self._windows.get(refusal.key)
            if window is not None:
                window.add(refusal)
                return
            self._windows[refusal.key] = _Window(self._clock())
            self._pending.append(refusal)
            self._changed.notify()
        if self._writer is None:
            self.settle()

    def settle(self) -> None:
        """Write what is due: first lines, and counts whose minute has ended. Fault where the catalog is away."""
        self._write(self._take_due)

    def close(self) -> None:
        """Write all that has been counted, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join()
        with contextlib.suppress(ScandockError):
            self._write(self._take_all)

    def _write(self, take: Callable[[], list[Refusal]]) -> None:
        with self._writing:
            with self._changed:
                lines = take()
            if not lines:
                return
            try:
                with self._catalog.write() as connection:
                    _record_lines(connection, lines)
            except BaseException:
                with self._changed:
                    self._pending = lines + self._pending
                raise

    def _take_due(self) -> list[Refusal]:
        lines, self._pending = self._pending, []
        now = self._clock()
        if len(lines) > MAX_KEYS:  # the catalog was away: what comes meanwhile is counted on
            return lines
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if now < window.began + MINUTE:
                break
            due_lines = window.end(now)
            lines += due_lines
            if due_lines:
                self._windows.move_to_end(key)
            else:
                del self._windows[key]
        return lines

    def _take_all(self) -> list[Refusal]:
        lines, self._pending = self._pending, []
        now = self._clock()
        lines += [line for window in self._windows.values() for line in window.end(now)]
        self._windows.clear()
        return lines

    def _run(self) -> None:
        while True:
            with self._changed:
                if not (self._pending or self._closed):
                    first = next(iter(self._windows.values()), None)
                    self._changed.wait(None if first is None else max(0.0, first.began + MINUTE - self._clock()))
                if self._closed:
                    return
            try:
                self.settle()
            except ScandockError as error:  # the catalog is away for a moment
                log().warning("refusals", code=error.code, cause=error_cause(error), where=error_location(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)

"""Space for what still comes in: each upload reserves what it says that it will have, and no byte is promised twice.

A reservation stands in the upload's row and ends by itself an hour after its last byte (`reserved_until`, by the
catalog's clock): the upload stays, and its next bytes reserve again. Files that come by hand have no row; what they
reserve is kept by the process that receives them (`SpaceReservation`), the only one that receives anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import field
from types import TracebackType
from typing import Final, Literal

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.errors import CodedUsage
from scandock.model.machine_errors import DiskFull
from scandock.model.verdicts import ImportState
from scandock.services.byte_sizes import format_bytes
from scandock.store.port import Store

RESERVED_MS: Final = request_limits.RESERVED_SECONDS * 1_000
"""How long an upload's space is kept for it after its last byte: one that comes at 64 kbit/s brings 29 MB meanwhile."""

RETRY_SECONDS: Final = 30
"""After which an upload that its account's others have no room for is to be tried again."""

CHECK_BYTES: Final = 64 * 1024 * 1024
"""After so many bytes of a body that stated no size the space is looked at again. A file by hand below that is checked
without waiting for the catalog's writers: thousands come at once, and what stays free has room for such a race."""

RefusalReason = Literal["disk", "account"]


class AccountShareExceeded(CodedUsage):
    """An account's uploads would take more than its part together: 507, and it goes on once one of them is done."""

    CODE = DiskFull.CODE
    STATUS = DiskFull.STATUS
    SENTENCE = (
        "Your open uploads would take {together:,} bytes together; several of one account may take {max_bytes:,},"
        " which is {percent} % of what is free. One alone may take all of it."
    )
    REMEDY = (
        "Go on once another of yours is done, or give one up: GET /api/v1/uploads lists them,"
        " DELETE /api/v1/uploads/{{id}} gives up."
    )
    retry_after = RETRY_SECONDS

    def __init__(self, together: int, max_bytes: int, percent: int) -> None:
        self._fill({"together": together, "max_bytes": max_bytes, "percent": percent})


@dataclass(slots=True)
class SpaceReservation(AbstractContextManager["SpaceReservation"]):
    """What a request that has no row reserves, until its end: `with space.hold(...) as held`."""

    account_id: int
    size: int
    space: SpaceReservations
    stated: bool
    received: int = 0
    _checked: int = 0
    _grown: int = 0

    @property
    def left(self) -> int:
        return max(0, self.size - self.received)

    def came(self, received: int) -> bool:
        """Note what came; whether the space is to be looked at (`check`), as its size was not stated."""
        self.received = received
        return not self.stated and received - self._checked >= CHECK_BYTES

    def grew(self, count: int) -> None:
        """Note bytes beside the body's own, as of files that are unpacked from it. Fault `disk_full`, as `check`."""
        self._grown += count
        if self._grown >= CHECK_BYTES:
            self._grown = 0
            self.check()

    def check(self) -> None:
        """Fault `disk_full` where what comes eats what was reserved for others."""
        self._checked = self.received
        with self.space.catalog.read() as connection:
            self.space.check(connection, self.account_id, 0, share=False, reservation=self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.space.release(self)


@dataclass(slots=True)
class _SpaceSums:
    """What uploads that are under way have reserved and received: all others', and the account's own others."""

    others_left: int = 0
    own_left: int = 0
    own_received: int = 0


@dataclass(slots=True)
class SpaceReservations:
    """The free space of one DATA, shared by what comes in. May be used by several threads."""

    catalog: Catalog
    store: Store
    min_free: int
    percent: int
    """Of the free space, for all uploads of one account together where it has several."""
    on_refusal: Callable[[RefusalReason], object] | None = None
    """Called with each refusal, for the metrics."""
    _held: list[SpaceReservation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _holding: threading.Lock = field(default_factory=threading.Lock)

    def alone(self, connection: Connection) -> None:
        """Let nobody else reserve until the end of this transaction, which writes."""
        self.catalog.alone(connection, AdvisoryLock.RESERVE_SPACE)

    def check(
        self,
        connection: Connection,
        account_id: int,
        needed: int,
        *,
        received: int = 0,
        upload_id: int | None = None,
        share: bool = True,
        reservation: SpaceReservation | None = None,
    ) -> None:
        """Fault or Usage `disk_full`, with figures and what to do, unless `needed` more bytes may come for an account.

        `received` are there already, of the upload `upload_id` (or of what is `reservation`), which does not count
        among the others. `share`: it counts as one of the account's uploads, which have a part of the space together.
        Who notes the reservation does so in the same transaction, and has begun it with `alone`: no other one is
        between the two.
        """
        sums = self._sums(connection, account_id, upload_id, reservation)
        free = self.store.reserve(0, files=2, min_free=self.min_free) - self.min_free - sums.others_left
        available = max(0, free - sums.own_left)
        if needed > free - sums.own_left:
            self._count("disk")
            explanation = (
                f"beside what other uploads have reserved and the {format_bytes(self.min_free)} that stay free"
            )
            raise DiskFull(
                f"{needed:,} bytes are needed, {available:,} are free {explanation}."
                if needed
                else f"No space is left {explanation}.",
                "Try again once other uploads are done, or have space freed by who runs the server.",
            )
        together = sums.own_left + sums.own_received
        max_bytes = (free + sums.own_received + received) * self.percent // 100
        if share and together > 0 and together + received + needed > max_bytes:
            self._count("account")
            raise AccountShareExceeded(together + received + needed, max_bytes, self.percent)

    def hold(self, account_id: int, size: int | None) -> SpaceReservation:
        """Reserve space for what has no row. Fault `disk_full`."""
        reservation = SpaceReservation(account_id, size or 0, self, size is not None)
        large = reservation.size >= CHECK_BYTES
        with self._holding, self.catalog.write() if large else self.catalog.read() as connection:
            if large:
                self.alone(connection)
            self.check(connection, account_id, reservation.size, share=False)
            with self._lock:
                self._held.append(reservation)
        return reservation

    @property
    def held(self) -> tuple[SpaceReservation, ...]:
        """What requests without a row have reserved now."""
        with self._lock:
            return tuple(self._held)

    def release(self, reservation: SpaceReservation) -> None:
        with self._lock:
            self._held.remove(reservation)

    def _count(self, why: RefusalReason) -> None:
        if self.on_refusal is not None:
            self.on_refusal(why)

    def _sums(
        self, connection: Connection, account_id: int, upload_id: int | None, reservation: SpaceReservation | None
    ) -> _SpaceSums:
        """Of all but the upload, or what is held, that it is asked for."""
        mine = reception.c.account_id == account_id
        query = (
            select(mine.label("mine"), func.sum(outstanding_bytes(self.catalog)), func.sum(reception.c.received))
            .join(upload, upload.c.id == reception.c.upload_id)
            .where(upload.c.state == ImportState.RECEIVING, reception.c.door != "dimse")
            .group_by(mine)
        )
        if upload_id is not None:
            query = query.where(reception.c.upload_id != upload_id)
        sums = _SpaceSums()
        for is_own, outstanding, received in connection.execute(query):
            if is_own:
                sums.own_left, sums.own_received = int(outstanding or 0), int(received or 0)
            else:
                sums.others_left = int(outstanding or 0)
        sums.others_left += sum(
            each_reservation.left for each_reservation in self.held if each_reservation is not reservation
        )
        return sums


def is_reserved(catalog: Catalog) -> ColumnElement[bool]:
    """Whether an upload's space is still kept for it."""
    return func.coalesce(reception.c.reserved_until >= catalog.now(), False)


def outstanding_bytes(catalog: Catalog) -> ColumnElement[int]:
    """Bytes that are reserved for an upload and have not come; none where its size is not known."""
    is_counted = and_(is_reserved(catalog), reception.c.size.is_not(None), reception.c.size > reception.c.received)
    return case((is_counted, reception.c.size - reception.c.received), else_=0)

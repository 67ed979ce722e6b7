"""The scans of a session as its page shows them: in the order in which people count, or sorted and searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.rules.scan_ids import sort_key
from scandock.services.pagination import MAX_LIMIT, Sorting
from scandock.services.records import Scan
from scandock.services.session_contents import list_scans

SCANS: Final = 2_000
"""Scans of a session that its page shows."""


def described(scan: Scan) -> str:
    """What a scan is called beside its id."""
    return str(scan.attributes.get("series_description") or scan.type or "")


natural: Final = sort_key
"""What ids of scans are sorted by, as people count: 2, 10, 99, then what begins with a letter."""


ORDERS: Final[dict[str, tuple[str, Callable[[Scan], Any]]]] = {
    "id": ("by number", lambda one: natural(one.id)),
    "name": ("by name", lambda one: described(one).casefold()),
    "modality": ("by modality", lambda one: one.modality or ""),
    "images": ("most images first", lambda one: -(one.frames or 0)),
    "bytes": ("largest first", lambda one: -one.bytes),
}
"""How scans may be sorted: in words, and by what."""


def all_scans(connection: Connection, me: Principal, uuid: str) -> list[Scan]:
    """The scans of a session in the order of their ids; as many as a page shows. Denied."""
    found: list[Scan] = []
    cursor = None
    while len(found) < SCANS:
        some = list_scans(connection, me, uuid, Sorting(limit=MAX_LIMIT, cursor=cursor))
        found += some.items
        cursor = some.next
        if cursor is None:
            break
    return found


@dataclass(frozen=True, slots=True)
class Sift:
    """Which scans are shown, and in which order, as the address says it."""

    find: str
    order: str

    @classmethod
    def of(cls, request: Request) -> Sift:
        """What the address doesn't say well is as if it were not said."""
        order = request.query_params.get("order", "id")
        return cls(request.query_params.get("find", "")[:200], order if order in ORDERS else "id")

    def __call__(self, scans: list[Scan]) -> list[Scan]:
        """Of scans in the order of their ids: those that are alike stay so."""
        wanted = self.find.casefold()
        return sorted((one for one in scans if wanted in _words(one)), key=ORDERS[self.order][1])


def _words(scan: Scan) -> str:
    """What a scan is found by."""
    return " ".join((scan.id, described(scan), scan.type or "", scan.modality or "")).casefold()

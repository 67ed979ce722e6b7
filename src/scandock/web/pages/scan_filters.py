"""The scans of a session as its page shows them: in the order in which people count, or sorted and searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.model.dataclass import dataclass
from scandock.rules.scan_ids import sort_key
from scandock.services.pagination import MAX_LIMIT, Sorting
from scandock.services.records import Scan
from scandock.services.session_contents import list_scans

SCANS: Final = 2_000
"""Scans of a session that its page shows."""


def scan_name(scan: Scan) -> str:
    """What a scan is called beside its id."""
    return str(scan.attributes.get("series_description") or scan.type or "")


natural_key: Final = sort_key
"""What ids of scans are sorted by, as people count: 2, 10, 99, then what begins with a letter."""


ORDERS: Final[dict[str, tuple[str, Callable[[Scan], Any]]]] = {
    "id": ("by number", lambda one: natural_key(one.id)),
    "name": ("by name", lambda one: scan_name(one).casefold()),
    "modality": ("by modality", lambda one: one.modality or ""),
    "images": ("most images first", lambda one: -(one.frames or 0)),
    "bytes": ("largest first", lambda one: -one.bytes),
}
"""How scans may be sorted: in words, and by what."""


def list_all_scans(connection: Connection, principal: Principal, uuid: str) -> list[Scan]:
    """The scans of a session in the order of their ids; as many as a page shows. AccessDenied."""
    scans: list[Scan] = []
    cursor = None
    while len(scans) < SCANS:
        scans_page = list_scans(connection, principal, uuid, Sorting(limit=MAX_LIMIT, cursor=cursor))
        scans += scans_page.items
        cursor = scans_page.next
        if cursor is None:
            break
    return scans


@dataclass(frozen=True, slots=True)
class ScanFilter:
    """Which scans are shown, and in which order, as the address says it."""

    find: str
    order: str

    @classmethod
    def of(cls, request: Request) -> ScanFilter:
        """What the address doesn't say well is as if it were not said."""
        order = request.query_params.get("order", "id")
        return cls(request.query_params.get("find", "")[:200], order if order in ORDERS else "id")

    def __call__(self, scans: list[Scan]) -> list[Scan]:
        """Of scans in the order of their ids: those that are alike stay so."""
        search_text = self.find.casefold()
        return sorted((scan for scan in scans if search_text in _search_text(scan)), key=ORDERS[self.order][1])


def _search_text(scan: Scan) -> str:
    """What a scan is found by."""
    return " ".join((scan.id, scan_name(scan), scan.type or "", scan.modality or "")).casefold()

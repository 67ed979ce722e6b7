"""In which time zone a page shows the server's times: the reader's, which a cookie names, or else the site's own.

The pages' scripts set the cookie (`static/js/times.js`). Dates of headers are as the scanner wrote them, always.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from fastapi import Request

from scandock.services.settings import find_zone
from scandock.web.deps import server_state
from scandock.web.pages.text_format import READER_ZONE

COOKIE: Final = "scandock_zone"
_LONGEST: Final = 64
"""Letters of a zone's name: the longest that IANA has are half of it."""


def find_reader_zone(request: Request) -> tzinfo:
    """The zone of the cookie; without one, or with one that this machine does not know, SCANDOCK_TIMEZONE."""
    name = request.cookies.get(COOKIE, "")
    if 0 < len(name) <= _LONGEST:
        try:
            return find_zone(name)
        except (KeyError, ValueError, OSError):
            pass
    return server_state(request).settings.zone


def zone_name(zone: tzinfo) -> str:
    """As IANA calls it."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


@contextmanager
def in_reader_zone(request: Request) -> Iterator[str]:
    """Write times in the reader's zone while a page is made; gives the zone's name."""
    zone = find_reader_zone(request)
    token = READER_ZONE.set(zone)
    try:
        yield zone_name(zone)
    finally:
        READER_ZONE.reset(token)

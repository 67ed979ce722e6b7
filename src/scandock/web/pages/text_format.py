"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from scandock.formats.display_names import escape_name
from scandock.model.verdicts import UNFINISHED, WITH_RECEIPT

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def format_size(count: int | None) -> str:
    """12,3 MB is `12.3 MB`; decimal units, as file managers show them."""
    if count == 1:
        return "1 byte"
    value, unit = float(count or 0), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 99.95 else f"{value:.1f} {_UNITS[unit]}"


def format_number(count: int | None) -> str:
    """With commas between thousands, as messages and the command line write it."""
    return f"{count or 0:,}"


def format_count(count: int, singular: str, plural: str = "") -> str:
    return f"{format_number(count)} {singular if count == 1 else plural or singular + 's'}"


def format_minute(ms: int | None) -> str:
    """Unix milliseconds as ISO 8601 in UTC, for <time datetime>."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


READER_ZONE: Final[ContextVar[tzinfo]] = ContextVar("reader_zone", default=UTC)
"""The time zone in which a page's times are written, set while it is made: filters know of no request."""


def format_day(ms: int | None) -> str:
    """Unix milliseconds to the minute, in the reader's time zone."""
    return "" if ms is None else _in_reader_zone(ms).strftime("%Y-%m-%d %H:%M")


def format_second(ms: int) -> str:
    """Unix milliseconds to the second, in the reader's time zone."""
    return _in_reader_zone(ms).strftime("%Y-%m-%d %H:%M:%S")


def format_exact(ms: int) -> str:
    """As `format_second`, with how far the zone is from UTC then."""
    offset = _in_reader_zone(ms).strftime("%z")
    return f"{format_second(ms)} UTC" + ("" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}")


def _in_reader_zone(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, READER_ZONE.get())


NOTICES: Final = {
    "project-made": "The project is made.",
    "import-cancelled": "The import is being cancelled.",
    "import-retried": "The import is tried again.",
    "import-forgotten": "The import is forgotten. Its sessions are not affected.",
    "logged-out": "You are logged out.",
    "project-changed": "The project's settings are changed, for imports that begin from now on.",
    "member-set": "The members are changed.",
    "profile-changed": "Your name and email are changed.",
    "password-changed": "Your password is changed. All other logins, and all tokens, have ended.",
    "token-revoked": "The token is revoked.",
    "logins-ended": "Your other logins have ended.",
    "account-made": "The account is created.",
    "account-changed": "The account is changed.",
    "filter-set": "The filter is set and switched on, for imports that begin from now on.",
    "filter-on": "The filter is switched on, for imports that begin from now on.",
    "filter-off": "The filter is switched off, for imports that begin from now on.",
    "privacy-set": "The privacy settings are saved, for imports that begin from now on.",
    "script-set": "The script is saved and switched on, for imports that begin from now on.",
    "script-on": "The script is switched on, for imports that begin from now on.",
    "script-off": "The script is switched off, for imports that begin from now on.",
    "script-removed": "The script is taken away, for imports that begin from now on.",
    "lookup-set": "The lookup table is saved, for imports that begin from now on.",
    "lookup-removed": "The lookup table is taken away, for imports that begin from now on.",
    "rules-set": "The rules are set, for imports that begin from now on.",
    "uploaded": "The upload is kept, and its import begins.",
    "none-chosen": "Nothing was done: no session is ticked. Tick the sessions first, then press the button.",
    "activated": "The session is out of quarantine.",
    "quarantined": "The session is in quarantine until an owner of its project activates it.",
    "verifying": "The files are read again, before all others. Look again in a while.",
    "receiver-made": "The receiver is made. It listens within two seconds.",
    "receiver-changed": "The receiver is changed. That is in force within two seconds.",
    "receiver-removed": "The receiver is removed. What it has received is imported.",
    "peer-made": "The peer is made.",
    "peer-changed": "The peer is changed.",
    "peer-answered": "The peer has answered the C-ECHO.",
    "peer-removed": "The peer is removed.",
    "study-closed": "The study is imported within a few seconds.",
    "study-discarded": "The study is discarded within a few seconds.",
    "clock-confirmed": "The clock is confirmed. What is too old is deleted again.",
    "restored": "The session is restored.",
    "restored-damaged": "The session is restored. Some of its files were damaged when it was deleted: see Damaged"
    " files.",
}
"""What a page says of the change that led to it, by the word in its address: an address never brings a sentence."""

STAGES: Final = {
    "receiving": "Receiving",
    "opening": "Opening the archive",
    "reading": "Reading its files",
    "deciding": "Sorting into sessions",
    "placing": "Storing sessions",
    "syncing": "Saving to disk",
}
"""What an import is at, as people say it."""

STATES: Final = {
    "receiving": "uploading",
    "received": "waiting",
    "running": "importing",
    "placed": "imported",
    "held": "needs a decision",
    "partly": "imported in part",
    "refused": "refused",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""States of imports, as a badge has them."""


def is_ended(state: str) -> bool:
    """Whether an import has ended."""
    return state not in UNFINISHED


def has_receipt(state: str) -> bool:
    """Whether an import has ended with a receipt."""
    return state in WITH_RECEIPT


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "size": format_size,
    "number": format_number,
    "plural": format_count,
    "moment": format_minute,
    "day": format_day,
    "second": format_second,
    "exact": format_exact,
    "visible": escape_name,
    "stage": STAGES.get,
    "ended": is_ended,
    "has_receipt": has_receipt,
}

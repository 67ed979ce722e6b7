"""What clients of the XNAT dialect say of sessions and scans, field by field (xnat-clients.md 2.4; 4.4 and 4.5).

The query of a PUT has paths into XNAT's documents (`xnat:mrSessionData/date=2026-11-24`) or bare names. What has a
place is kept; what has none is taken and has no effect (docs/xnat-compatibility.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from scandock.model.errors import Usage

_ONLY_SAID: Final = ("note", "age", "visit_id", "visit", "investigator", "quality")
"""Of a session: no header says these, so no import and no rebuild writes over them."""
SESSION_FIELDS: Final = MappingProxyType(
    {
        name.lower(): name
        for name in (
            *_ONLY_SAID, "date", "time", "acquisition_site", "session_type", "modality", "scanner",
            "scanner/manufacturer", "scanner/model", "operator", "study_id", "dcmAccessionNumber", "dcmPatientId",
            "dcmPatientName", "dcmPatientBirthDate", "dcmPatientWeight", "fieldStrength", "tracer/name", "tracer/dose",
        )
    }
)  # fmt: skip
SCAN_FIELDS: Final = MappingProxyType(
    {
        name.lower(): name
        for name in (
            "series_description", "scanner", "scanner/manufacturer", "scanner/model", "startTime", "start_date",
            "requestedProcedureDescription", "protocolName", "bodyPartExamined", "condition", "documentation",
        )
    }
)  # fmt: skip
_KEY: Final = re.compile(r"(?:(?P<type>x(?:nat|dat):\w+)/)?(?P<name>[\w./-]+)")
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)/(\d\d)/(\d{4})")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?")
_MOST: Final = 4_000


@dataclass(frozen=True, slots=True)
class Said:
    """The type that a request names, and its fields by lower-case names below the type."""

    xsi_type: str
    fields: Mapping[str, str]

    def get(self, *names: str) -> str:
        """The first of these that is said; empty where none is."""
        return next((self.fields[name] for name in names if self.fields.get(name)), "")

    def known(self, fields: Mapping[str, str]) -> dict[str, str]:
        """What is said of `fields`, by their names as they are written; an empty text takes a value back.

        Usage `value_invalid`.
        """
        return {fields[name]: _checked(name, value) for name, value in self.fields.items() if name in fields}


def said_of(pairs: Iterable[tuple[str, str]]) -> Said:
    """What a query, or a form, says."""
    named, first = "", ""
    fields: dict[str, str] = {}
    for key, value in pairs:
        if key.lower() == "xsitype":
            named = value.strip()
            continue
        found = _KEY.fullmatch(key)
        if found is None:
            continue
        if found["type"] and found["type"].endswith(("SessionData", "ScanData")) and "image" not in found["type"]:
            first = first or found["type"]
        fields[found["name"].lower()] = value
    return Said(named or first, fields)


def _checked(name: str, value: str) -> str:
    value = value.strip()
    if value.upper() == "NULL":
        return ""
    if len(value) > _MOST or "\0" in value:
        raise Usage("value_invalid", f"{name} can't have that value.", f"It has at most {_MOST} characters.")
    if not value:
        return ""
    if name in ("date", "start_date", "dcmpatientbirthdate"):
        return _date(name, value)
    if name in ("time", "starttime") and not _TIME.fullmatch(value):
        raise Usage("value_invalid", f"{name} is {value[:40]!r}.", "Right is HH:MM:SS.")
    return value


def _date(name: str, value: str) -> str:
    found = _DATE.fullmatch(value)
    if found is None:
        raise Usage("value_invalid", f"{name} is {value[:40]!r}.", "Right is YYYY-MM-DD.")
    year, month, day = (found[1], found[2], found[3]) if found[1] else (found[6], found[4], found[5])
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        raise Usage("value_invalid", f"{name} is {value[:40]!r}.", "Right is YYYY-MM-DD.")
    return f"{year}-{month}-{day}"


def with_said(before: Mapping[str, str], found: Mapping[str, str], *, by_hand: bool = False) -> dict[str, str]:
    """A session's attributes as its objects have them, with what people alone can say of it.

    `by_hand`: all that was said of it stays where no object says otherwise.
    """
    return {**{name: value for name, value in before.items() if by_hand or name in _ONLY_SAID}, **found}

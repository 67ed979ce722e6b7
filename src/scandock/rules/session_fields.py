"""What clients of the XNAT dialect say of sessions and scans, field by field (xnat-clients.md 2.4; 4.4 and 4.5).

The query of a PUT has paths into XNAT's documents (`xnat:mrSessionData/date=2026-11-24`) or bare names. What has a
place is kept; what has none is taken and has no effect (docs/xnat-compatibility.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from datetime import date
from types import MappingProxyType
from typing import Final

from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import ValueInvalid

_OF_MR: Final = ("coil", "marker", "stabilization", "delay")
_ONLY_BY_HAND: Final = ("note", "age", "visit_id", "visit", "protocol", "investigator", "quality", *_OF_MR)
"""Of a session: no header says these, so no import and no rebuild writes over them."""
SESSION_FIELDS: Final = MappingProxyType(
    {
        name.lower(): name
        for name in (
            *_ONLY_BY_HAND, "date", "time", "acquisition_site", "session_type", "modality", "scanner",
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
_SCAN_PATH: Final = re.compile(r"xnat:\w+/scans/scan(?P<which>(?:\[[^\[\]]*\])*)/(?P<name>[\w./-]+)", re.IGNORECASE)
_WHICH: Final = re.compile(
    r"\[(?:(?P<number>\d{1,9})|@?ID=(?P<id>[^\[\]]*)|@xsi:type=(?P<type>[^\[\]]*))\]", re.IGNORECASE
)
_KEY: Final = re.compile(r"(?:(?P<type>x(?:nat|dat):\w+)/)?(?P<name>[\w./-]+)")
_ADDED: Final = re.compile(
    r"(?:(?P<type>x(?:nat|dat):\w+)/)?parameters/addParam\[@?name=(?P<quote>['\"]?)(?P<name>[^\]'\"]{0,200})(?P=quote)\]"
    r"(?:/addField)?",
    re.IGNORECASE,
)
"""A parameter of a scan that has no element of its own: `parameters/addParam[name=foo]/addField`."""
_ADDED_NAME: Final = re.compile(r"[\w.-]{1,64}")
ADDED: Final = "parameters/addParam/"
"""What stands before its name among a scan's attributes."""
MAX_ADDED: Final = request_limits.SCAN_PARAMETERS
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)/(\d\d)/(\d{4})")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_MOST: Final = 4_000
_SHORT: Final = 255
"""Of texts that the original keeps so short: clients find out by its refusal."""


@dataclass(frozen=True, slots=True)
class DocumentFields:
    """The type that a request names, and its fields by lower-case names below the type."""

    xsi_type: str
    fields: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    """Parameters of a scan that it names by `addParam`, as they were said."""
    by_path: bool = False
    """Whether the type is the one of a field's path alone: `xnat:mrScanData/note=` says nothing of the type itself."""

    def get(self, *names: str) -> str:
        """The first of these that is said; empty where none is."""
        return next((self.fields[name] for name in names if self.fields.get(name)), "")

    def known(self, fields: Mapping[str, str]) -> dict[str, str]:
        """What is said of `fields`, by their names as they are written; an empty text takes a value back.

        Usage `value_invalid`.
        """
        return {fields[name]: _check_value(name, value) for name, value in self.fields.items() if name in fields}

    def parameters(self) -> dict[str, str]:
        """The parameters that it names by `addParam`; an empty text takes one back. Usage `value_invalid`."""
        for name in self.added:
            if not _ADDED_NAME.fullmatch(name):
                what = f"{name[:64]!r} can't be the name of a parameter."
                raise ValueInvalid(what, "A name is 1 to 64 letters, digits, _, . and -.")
        return {name: check_text(name, value) for name, value in self.added.items()}


@dataclass(frozen=True, slots=True)
class ScanSelector:
    """Which of a session's scans a path into its document leads to."""

    number: int = 0
    """Counted from 0, in the order in which scans are listed; where an id is named that counts."""
    scan_id: str = ""
    xsi_type: str = ""
    """The type that the scan must have; empty: any."""


def parse_scan_fields(pairs: Iterable[tuple[str, str]]) -> dict[ScanSelector, DocumentFields]:
    """What paths into a session's document say of its scans: `xnat:mrSessionData/scans/scan[0]/type=T1`."""
    fields_by_scan: dict[ScanSelector, dict[str, str]] = {}
    for key, value in rejoin_pairs(pairs):
        path = _SCAN_PATH.fullmatch(key)
        if path is None:
            continue
        named: dict[str, str] = {}
        for match in _WHICH.finditer(path["which"]):
            named |= {name: text.strip(" '\"") for name, text in match.groupdict().items() if text}
        where = ScanSelector(int(named.get("number", 0)), named.get("id", ""), named.get("type", ""))
        fields_by_scan.setdefault(where, {})[path["name"].lower()] = value
    return {where: DocumentFields(where.xsi_type, fields) for where, fields in fields_by_scan.items()}


def parse_fields(pairs: Iterable[tuple[str, str]]) -> DocumentFields:
    """What a query, or a form, says."""
    named, first = "", ""
    fields: dict[str, str] = {}
    added: dict[str, str] = {}
    for key, value in rejoin_pairs(pairs):
        if key.lower() == "xsitype":
            named = value.strip()
            continue
        match = _KEY.fullmatch(key) or _ADDED.fullmatch(key)
        if match is None:
            continue
        if match["type"] and match["type"].endswith(("SessionData", "ScanData")) and "image" not in match["type"]:
            first = first or match["type"]
        if match.re is _ADDED:
            added[match["name"]] = value
        else:
            fields[match["name"].lower()] = value
    return DocumentFields(named or first, fields, added, by_path=not named)


def parse_session_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What an import, or archiving, is told of sessions: by paths into their document, and two by names of their own.

    Usage `value_invalid` (xnat-behaviour.md 1.4, 5.6).
    """
    own = {"visit": "visit", "subtype": "protocol"}
    session_pairs = [
        (own.get(name.lower(), name), value) for name, value in pairs if name.startswith("xnat:") or name.lower() in own
    ]
    return parse_fields(session_pairs).known(SESSION_FIELDS)


def rejoin_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values of a query, where a name may have an `=` of its own in brackets, as people type it.

    A query is cut at the first `=`: `path[@xsi:type` and `kind]/gender=F` are `path[@xsi:type=kind]/gender` and `F`.
    """
    rejoined = []
    for name, text in pairs:
        inside, closed, rest = text.partition("]")
        if name.count("[") > name.count("]") and closed:
            after, _, value = rest.partition("=")
            rejoined.append((f"{name}={inside}]{after}", value))
        else:
            rejoined.append((name, text))
    return rejoined


def _check_value(name: str, value: str) -> str:
    value = check_text(name, value)
    if not value:
        return ""
    if name in ("date", "start_date", "dcmpatientbirthdate"):
        return check_date(name, value)
    if name in ("time", "starttime") and not _TIME.fullmatch(value):
        raise ValueInvalid(f"{name} is {value[:40]!r}.", "Right is HH:MM:SS.")
    if name in ("age", "dcmpatientweight", "tracer/dose"):
        return check_float(name, value)
    if name == "delay" and not _INTEGER.fullmatch(value):
        raise ValueInvalid(f"{name} is {value[:40]!r}.", "Right is a whole number.")
    if name in _OF_MR and len(value) > _SHORT:
        raise ValueInvalid(f"{name} has {len(value)} characters.", f"It has at most {_SHORT}.")
    return value


def check_float(name: str, value: str) -> str:
    """A number as it was written: clients make one of what they read. Usage `value_invalid`."""
    if not _FLOAT.fullmatch(value):
        raise ValueInvalid(f"{name} is {value[:40]!r}.", "Right is a number, with a point for decimals.")
    return value


def check_text(name: str, value: str) -> str:
    """A value without the space around; empty where it takes one back. Usage `value_invalid` where it is too long."""
    value = value.strip()
    if value.upper() == "NULL":
        return ""
    if len(value) > _MOST or "\0" in value:
        raise ValueInvalid(f"{name} can't have that value.", f"It has at most {_MOST:,} characters, no NUL.")
    return value


def check_date(name: str, value: str) -> str:
    """A day as YYYY-MM-DD, which may come as MM/DD/YYYY too. Usage `value_invalid` for a day that never was."""
    match = _DATE.fullmatch(value)
    if match is not None:
        year, month, day = (match[1], match[2], match[3]) if match[1] else (match[6], match[4], match[5])
        with suppress(ValueError):
            return date(int(year), int(month), int(day)).isoformat()
    raise ValueInvalid(f"{name} is {value[:40]!r}.", "Right is a day as YYYY-MM-DD.")


def merge_parameters(before: str, changes: Mapping[str, str]) -> str:
    """The parameters that people have added to a scan, as its row has them, once they have said more.

    An empty text takes one back. Usage `value_invalid` where there are more than a scan has.
    """
    merged = {name: text for name, text in {**json.loads(before), **changes}.items() if text}
    if len(merged) > MAX_ADDED:
        raise ValueInvalid(f"The scan has {len(merged)} added parameters.", f"It has at most {MAX_ADDED}.")
    return json.dumps(merged)


def parameter_attributes(row: str) -> dict[str, str]:
    """The same as attributes of the scan."""
    if row == "{}":
        return {}  # of nearly all
    return {f"{ADDED}{name}": text for name, text in json.loads(row).items()}


def merge_attributes(
    before: Mapping[str, str],
    new_attributes: Mapping[str, str],
    fields_by_hand: Collection[str] = (),
    *,
    by_hand: bool = False,
) -> dict[str, str]:
    """A session's attributes as its objects have them, with what people alone can say of it, and what people set.

    `fields_by_hand` are what people set: these stay whatever the objects say. `by_hand`: all that was said of the
    session stays where no object says otherwise.
    """
    stays = {name: value for name, value in before.items() if by_hand or name in _ONLY_BY_HAND}
    return {**stays, **new_attributes, **{name: value for name, value in before.items() if name in fields_by_hand}}


def list_fields_by_hand(before: Iterable[str], fields: Mapping[str, str]) -> list[str]:
    """The names of what people have set, once they have said `fields`; an empty text takes one back."""
    return sorted({*before, *fields} - {name for name, text in fields.items() if not text})

"""A search for DICOM studies, series or instances, from the parameters of a query (PS3.18 8.3.4, PS3.4 C.2.2.2).

Texts match literally, with the wildcards `*` and `?`; names without case and accents, in each component group; dates
and times also by ranges; UIDs and modalities by lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.rules.dicom_attributes import (
    ATTRIBUTES,
    IN_REQUESTS,
    MODALITIES,
    REQUESTS,
    SERIES_UID,
    STUDY_UID,
    Attribute,
    Level,
    find_attribute,
)
from scandock.rules.dicom_listing import to_date, to_time
from scandock.rules.person_names import GROUPS, fold_name, name_key

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000
MAX_VALUES: Final = 500
"""Values of one list, as of UIDs."""
MAX_VALUE: Final = 1_024
"""Characters of a value, but of a list."""
MAX_WILDCARDS: Final = 20
MAX_NAMED: Final = 20
"""Ignored parameters that are named to whoever asked."""
NOT_FUZZY: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
"""The words of PS3.18 8.3.4.2."""
_SILENT: Final = frozenset({"accept", "charset"})
_WHOLE: Final = re.compile(r"\d{1,9}", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Dates or times from `first` on and before `end`; None: without a bound."""

    first: str | None
    end: str | None

    def has(self, text: str) -> bool:
        return bool(text) and (self.first is None or text >= self.first) and (self.end is None or text < self.end)


@dataclass(frozen=True, slots=True)
class Match:
    """What an attribute has to be: one of `texts`, within `range`, or a name of `groups`.

    Texts of names are folded; with `wild` they have wildcards.
    """

    attribute: Attribute
    texts: tuple[str, ...] = ()
    """Of a name one text, which any of its component groups may be."""
    range: Range | None = None
    groups: tuple[str, ...] = ()
    """Component groups of a name, each of which has to be as it is here; "" may be any."""
    wild: bool = False

    def accepts(self, text: str) -> bool:
        """Whether a value of a header matches; of several ones one has to."""
        if self.range is not None:
            return self.range.has(text)
        vr = self.attribute.vr
        if vr == "IS":
            return bool(_INTEGER.fullmatch(text)) and str(int(text)) in self.texts
        if self.groups:
            pairs = zip(self.groups, name_key(text), strict=False)
            return all(_fits(group, value, wild=self.wild) for group, value in pairs if group)
        values = list(filter(None, name_key(text))) if vr == "PN" else text.split("\\")
        return any(_fits(one, value, wild=self.wild) for one in self.texts for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomQuery:
    """A search at one level."""

    level: Level
    matches: Mapping[str, Match]
    """By the attribute's tag."""
    included: frozenset[str]
    """Tags of attributes that were asked for besides those that results have anyway."""
    everything: bool
    """Whether all attributes were asked for."""
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    warnings: tuple[str, ...] = field(default=())

    def attributes(self, parents: Iterable[Level]) -> list[Attribute]:
        """Those of a result, by tag; `parents` are levels above whose attributes it has as well.

        It has the UIDs of its study and series in any case.
        """
        shown = {self.level, *parents}
        return sorted(one for one in ATTRIBUTES if one.level <= self.level and self._has(one, shown))

    def _has(self, attribute: Attribute, shown: set[Level]) -> bool:
        if attribute.tag in self.included or attribute in (STUDY_UID, SERIES_UID):
            return True
        return attribute.level in shown and (self.everything or not attribute.on_request)

    def matches_of(self, *levels: Level) -> list[tuple[str, Match]]:
        """Matches of attributes of some levels, by their tags."""
        return [(tag, match) for tag, match in self.matches.items() if match.attribute.level in levels]

    def without(self, attribute: Attribute) -> list[Match]:
        """All matches but that of one attribute, which something else has seen to."""
        return [match for tag, match in self.matches.items() if tag != attribute.tag]


def parse_query(level: Level, parameters: Iterable[tuple[str, str]]) -> DicomQuery:
    """A search by a query's parameters, in their order. RequestInvalid where a value is none of its kind."""
    matches: dict[str, Match] = {}
    seen: set[str] = set()
    included: set[str] = set()
    everything = False
    warnings: list[str] = []
    ignored: list[str] = []
    paging = {"limit": DEFAULT_LIMIT, "offset": 0}
    for name, value in parameters:
        lowered = name.lower()
        if lowered in paging:
            paging[lowered] = _whole_number(lowered, value)
        elif lowered == "includefield":
            for one in filter(None, (part.strip() for part in value.split(","))):
                everything = everything or one.lower() == "all"
                included |= _tags_of(find_attribute(one))
        elif lowered == "fuzzymatching":
            if _is_true(value):
                warnings.append(NOT_FUZZY)
        elif lowered not in _SILENT:
            attribute = find_attribute(name)
            is_usable = (
                attribute is not None and attribute.level <= level and (attribute.matchable or not value.strip())
            )
            if attribute is None or not is_usable or attribute.tag in seen:
                ignored.append(name)
            else:
                seen.add(attribute.tag)
                included |= _tags_of(attribute)
                match = _parse_match(attribute, value)
                if match is not None:
                    matches[attribute.tag] = match
    if ignored:
        names = ", ".join(_shorten(name) for name in dict.fromkeys(ignored[:MAX_NAMED]))
        warnings.append(f"Parameters that are not supported, or were given before, have been ignored: {names}")
    return DicomQuery(
        level=level,
        matches=matches,
        included=frozenset(included),
        everything=everything,
        limit=min(paging["limit"], MAX_LIMIT),
        offset=paging["offset"],
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _tags_of(attribute: Attribute | None) -> set[str]:
    """The tag of an attribute as results have it: within a sequence that of the sequence."""
    if attribute is None:
        return set()
    return {REQUESTS.tag if attribute in IN_REQUESTS else attribute.tag}


def _whole_number(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise RequestInvalid(f"{text[:40]!r} is no {name}.", "Give a whole number.")
    return int(text)


def _is_true(text: str) -> bool:
    if text.strip().lower() not in ("true", "false", ""):
        raise RequestInvalid(f"{text[:40]!r} is neither true nor false.", "Give fuzzymatching=false.")
    return text.strip().lower() == "true"


def _shorten(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:64])


# -- values ------------------------------------------------------------------------------------------------------------


def _parse_match(attribute: Attribute, value: str) -> Match | None:
    """What a value asks for; None where an empty one matches all."""
    text = value.strip()
    is_list = attribute.vr == "UI" or attribute is MODALITIES
    if (len(text) > MAX_VALUE and not is_list) or text.count("*") > MAX_WILDCARDS:
        raise RequestInvalid(
            f"The value of {attribute.keyword} is too long, or has too many wildcards.", "Give a shorter one."
        )
    if not text or (text == "*" and attribute.vr in {"CS", "LO", "PN", "SH"}):
        return None
    match attribute.vr:
        case "UI":
            return Match(attribute, tuple(_split_list(text)))
        case "DA":
            return Match(attribute, range=_parse_range(attribute, text, _date_bounds))
        case "TM":
            return Match(attribute, range=_parse_range(attribute, text, _time_bounds))
        case "IS":
            if not _INTEGER.fullmatch(text):
                raise RequestInvalid(f"{text[:40]!r} is no {attribute.keyword}.", "Give a whole number.")
            return Match(attribute, (str(int(text)),))
        case "PN":
            groups = tuple(fold_name(group) for group in text.split("=")[:GROUPS])
            if not any(group.strip("*") for group in groups):
                return None
            if len(groups) == 1:
                return Match(attribute, groups, wild=_is_wild(text))
            return Match(attribute, groups=tuple(group.strip() for group in groups), wild=_is_wild(text))
    texts = tuple(_split_list(text)) if is_list else (text,)
    return Match(attribute, texts, wild=_is_wild(text))


def _split_list(text: str) -> list[str]:
    values = [part.strip() for part in re.split(r"[,\\]", text)]
    values = list(dict.fromkeys(filter(None, values)))
    if len(values) > MAX_VALUES:
        raise RequestInvalid(f"A list has {len(values):,} values.", f"Name {MAX_VALUES:,} at most.")
    return values


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


def _parse_range(attribute: Attribute, text: str, bounds: Callable[[str], tuple[str, str] | None]) -> Range:
    """A range, or one value as a range. RequestInvalid where a bound is no value of its kind."""
    first_text, dash, last_text = (part.strip() for part in text.partition("-"))
    if not dash:
        last_text = first_text
    first = bounds(first_text) if first_text else None
    last = bounds(last_text) if last_text else None
    if (first_text and first is None) or (last_text and last is None) or not (first_text or last_text):
        kind = "date" if attribute.vr == "DA" else "time"
        example = "20261129 or 20261101-20261130" if attribute.vr == "DA" else "1405 or 0800-1200"
        raise RequestInvalid(f"{text[:40]!r} is no {kind}, nor a range of {kind}s.", f"Write it as {example}.")
    return Range(first[0] if first else None, last[1] if last else None)


def _date_bounds(text: str) -> tuple[str, str] | None:
    """A date as the first text that counts as it and the first that comes after it."""
    date = to_date(text)
    return (date, str(int(date) + 1)) if date else None


def _time_bounds(text: str) -> tuple[str, str] | None:
    """The same of a time, which stands for all that it does not say: `14` is each moment from 14:00 to 15:00.

    Times of headers may end early too, so the first one has no zeros at its end.
    """
    time = to_time(text)
    if not time:
        return None
    whole, _, fraction = time.partition(".")
    if not fraction:
        return _trim(whole), str(int(whole) + 1).zfill(len(whole))
    following = int(fraction.ljust(6, "0")) + 10 ** (6 - len(fraction))
    end = f"{whole}.{following:06}".rstrip("0") if following < 10**6 else str(int(whole) + 1).zfill(len(whole))
    kept = fraction.rstrip("0")
    return (f"{whole}.{kept}" if kept else _trim(whole)), end


def _trim(whole: str) -> str:
    """A time without the minutes and seconds at its end that are zero."""
    while len(whole) > 2 and whole.endswith("00"):
        whole = whole[:-2]
    return whole


# -- wildcards ---------------------------------------------------------------------------------------------------------


def _fits(pattern: str, value: str, *, wild: bool) -> bool:
    return matches_wildcards(pattern, value) if wild else pattern == value


def matches_wildcards(pattern: str, value: str) -> bool:
    """Whether a text is as a pattern has it; in time by the product of their lengths at most."""
    at, here = 0, 0
    star, resumed = -1, 0
    while here < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, resumed = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", value[here]):
            at, here = at + 1, here + 1
        elif star >= 0:  # the last asterisk takes one letter more
            resumed += 1
            at, here = star + 1, resumed
        else:
            return False
    return not pattern[at:].strip("*")


def glob_pattern(pattern: str) -> str:
    """A pattern for SQLite's GLOB, of which a bracket is no wildcard here."""
    return pattern.replace("[", "[[]")


def like_wildcards(pattern: str) -> str:
    """A pattern for LIKE, escaped by a backslash."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")

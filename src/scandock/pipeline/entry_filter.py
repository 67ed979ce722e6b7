"""The import filters as a reader asks them: of each object's header, before a byte of it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from scandock.formats.dicom_text import decode_value
from scandock.model.tags import NUMBERS, TAGS
from scandock.rules.series_filters import MAX_VALUE, SeriesFilter, Values, parse_filter, read_document

if TYPE_CHECKING:
    from scandock.formats.dicom_header import Header

_CHARSET: Final = NUMBERS["SpecificCharacterSet"]
_REMEMBERED: Final = 4096
"""Headers of different values whose decision is remembered: objects of one series mostly have the same."""


class FilterSetup(TypedDict):
    """The filters of an import, as its readers are told of them."""

    site: str | None
    """The text of the site's, where it is switched on."""
    projects: dict[str, str]
    """Those of the projects that the import may go to."""
    is_decided: bool
    """Whether all goes to the one project that is named; else it is known once each study has its project."""


class FilterResult(NamedTuple):
    """What the filters say of an object. With `code` it is left out, by `rule` of a filter."""

    code: str = ""
    project: str = ""
    """Whose filter leaves it out; "" for the site's."""
    rule: str = ""
    left_out_by: str = ""
    """Projects whose filter would leave it out, and by what, as JSON; "" where there are none."""


class EntryFilter:
    """Decides about objects by their headers."""

    def __init__(self, setup: FilterSetup) -> None:
        self._site = None if setup["site"] is None else parse_filter(read_document(setup["site"]))
        self._projects = {name: parse_filter(read_document(text)) for name, text in setup["projects"].items()}
        self._is_decided = setup["is_decided"]
        every = [*self._projects.values(), *([] if self._site is None else [self._site])]
        self.tags = frozenset[int]().union(*(one.tags for one in every))
        """The elements that the filters look at."""
        self._sorted_tags = sorted(self.tags)
        self._remembered: dict[object, FilterResult] = {}

    def check(self, header: Header) -> FilterResult:
        """What becomes of the object."""
        values = header.values
        raw = [values.get(tag) for tag in self._sorted_tags]
        key = (values.get(_CHARSET), header.big_endian, *raw)
        result = self._remembered.get(key)
        if result is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            result = self._remembered[key] = self._decide(filtered_texts(header, self._sorted_tags))
        return result

    def _decide(self, texts: Values) -> FilterResult:
        if self._site is not None:
            accepted, rule = self._site.decide(texts)
            if not accepted:
                return FilterResult("filter_site", "", rule)
        left_out_by = _ask_each(self._projects, texts)
        if not left_out_by:
            return FilterResult()
        if self._is_decided:
            project, rule = next(iter(left_out_by.items()))
            return FilterResult("filter_project", project, rule)
        return FilterResult(left_out_by=json.dumps(left_out_by, sort_keys=True))


def filtered_texts(header: Header, tags: Iterable[int]) -> dict[int, str]:
    """The texts that filters look at, of the elements of `tags` that a header has."""
    charsets = header.values.get(_CHARSET)
    return {
        tag: decode_value(header.values[tag], _find_vr(tag), charsets, header.big_endian)[:MAX_VALUE]
        for tag in tags
        if tag in header.values
    }


def _ask_each(filters: Mapping[str, SeriesFilter], texts: Values) -> dict[str, str]:
    """The projects whose filters leave an object out, each with what decided."""
    decisions = {project: one.decide(texts) for project, one in filters.items()}
    return {project: decision.rule for project, decision in decisions.items() if not decision.accepted}


def _find_vr(tag: int) -> str:
    """The value representation of an element; text for one that nobody knows."""
    if tag in TAGS:
        return TAGS[tag].vr
    from pydicom.datadict import dictionary_VR  # takes a while, and few filters need it

    try:
        return str(dictionary_VR(tag)).split(" ", maxsplit=1)[0]
    except KeyError:
        return "UN"

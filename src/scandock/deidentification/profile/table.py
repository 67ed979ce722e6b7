"""The table of PS3.15 Annex E, as `scripts/annex_e.py` took it from the standard's text."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final, NamedTuple

from scandock.deidentification.package_files import read_beside


class AttributeRow(NamedTuple):
    """A row of table E.1-1: its tag, the profile's action, letters by option.

    The tag has eight hexadecimal digits, `x` for any; that of all private attributes is `odd`.
    """

    tag: str
    name: str
    basic: str
    options: dict[str, str]


class ContentItemRow(NamedTuple):
    """A row of table E.3.4-1: what becomes of a content item by the code of its concept and its value type."""

    code: str
    scheme: str
    value_type: str
    meaning: str
    basic: str
    options: dict[str, str]


class SafePrivate(NamedTuple):
    """A private element that is known to be safe: its creator, group, and the last two digits of its number.

    Its VR tells how it is cleaned where it is written without one.
    """

    creator: str
    group: int
    element: int
    vr: str = "UN"


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_beside(__file__, "annex_e.json"))
    return document


@cache
def attribute_rows() -> dict[str, AttributeRow]:
    """Rows of table E.1-1 by tag."""
    return {row[0]: AttributeRow(*row) for row in _document()["attributes"]}


@cache
def content_item_rows() -> dict[tuple[str, str, str], ContentItemRow]:
    """Rows of table E.3.4-1 by code, coding scheme and value type."""
    rows = [ContentItemRow(*row) for row in _document()["content_items"]]
    return {(row.code, row.scheme, row.value_type): row for row in rows}


@cache
def safe_private() -> frozenset[SafePrivate]:
    """Rows of table E.3.10-1."""
    rows = _document()["safe_private"]
    return frozenset(
        SafePrivate(creator, int(tag[:4], 16), int(tag[6:], 16), vr or "UN") for creator, tag, vr, _ in rows
    )


EDITION: Final[str] = _document()["edition"]
"""Edition of the standard that the table is of."""

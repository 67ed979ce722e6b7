"""Answers of the dialect: listings as JSON, CSV and XML, single things as JSON and XML (xnat-clients.md 1, 3 and 4)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from fastapi import Request
from starlette.responses import Response

from scandock.http.xnat.schema import NESTED, attributes_of, element_of
from scandock.model.errors import Usage
from scandock.model.spreadsheet import TableWriter
from scandock.rules.said_fields import rejoined
from scandock.services.xnat.columns import Rows

XNAT: Final = "http://nrg.wustl.edu/xnat"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
FORMATS: Final = ("json", "csv", "xml")
_MEDIA: Final = (("text/csv", "csv"), ("application/json", "json"), ("text/xml", "xml"), ("application/xml", "xml"))
_NOTHING: Final = {ord(chr(code)): None for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}
"""Characters that XML can't hold."""
HIDDEN: Final = "xnat_abstractresource_id"
"""A field of resources that their documents have as a comment."""


def format_of(request: Request, default: str) -> str:
    """The format that a request names, or its Accept header does; else `default`."""
    named = request.query_params.get("format", "").strip().lower()
    if named:
        return named
    accept = request.headers.get("accept", "").lower()
    for kind, name in (
        ("text/csv", "csv"),
        ("application/json", "json"),
        ("text/xml", "xml"),
        ("application/xml", "xml"),
    ):
        if kind in accept and "*/*" not in accept and "text/html" not in accept:
            return name
    return default


_OWN_WORDS: Final = frozenset(
    {"format", "columns", "xsitype", "sortby", "sortorder", "limit", "offset", "accessible", "permissions", "datatype",
     "owner", "member", "collaborator", "prearc_code", "xnat_csrf", "req_format", "event_reason", "recent", "users",
     "activesince", "index", "recursive", "damaged"}
)  # fmt: skip
"""Names in a query that are no filters."""


def filters_of(request: Request) -> list[tuple[str, str]]:
    """What a query says of columns: `ID=XNAT_E00001`, `label=S*`."""
    pairs = rejoined(request.query_params.multi_items())
    return [(name, value) for name, value in pairs if name.lower() not in _OWN_WORDS]


def listing(request: Request, rows: Rows, *, title: str = "", default: str = "json") -> Response:
    """A listing in the format that was asked for, sorted and cut as asked; an unknown format is JSON."""
    rows = _part(request, rows)
    wanted = format_of(request, default)
    if wanted == "csv":
        people = is_navigation(request)
        headers = {"Vary": "Sec-Fetch-Mode"}
        return Response(_csv(rows, exact=not people), media_type="text/csv; charset=utf-8", headers=headers)
    if wanted == "xml":
        return Response(_xml(rows, title), media_type="text/xml; charset=utf-8")
    return _json(rows)


def is_navigation(request: Request) -> bool:
    """Whether a browser goes to the address, as by a click, so that what it gets is opened by a person's programs.

    Scripts of pages and XNAT's clients say something else, or nothing (Fetch Metadata, `Sec-Fetch-Mode`).
    """
    return request.headers.get("sec-fetch-mode", "").strip().lower() == "navigate"


def _part(request: Request, rows: Rows) -> Rows:
    """`sortBy`, `sortOrder`, `offset` and `limit`, where they are named. Usage for numbers that are none."""
    asked = request.query_params
    found = rows.rows
    by = asked.get("sortBy", "").lower()
    names = [name.lower() for name in rows.names]
    if by in names:
        at = names.index(by)
        found = sorted(found, key=lambda row: row[at] or "", reverse=asked.get("sortOrder", "").upper() == "DESC")
    offset, limit = window_of(request)
    if not rows.cut and (offset or limit is not None):
        found = found[offset:][: len(found) if limit is None else limit]
    return Rows(rows.names, found)


def window_of(request: Request) -> tuple[int, int | None]:
    """`offset` and `limit` of a request. Usage for numbers that are none."""
    return number_of(request, "offset") or 0, number_of(request, "limit")


def number_of(request: Request, name: str) -> int | None:
    """A number from 0 that a query names; None where it names none. Usage `request_invalid`."""
    text = request.query_params.get(name)
    if text is None or text in ("", "*"):
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Usage("request_invalid", f"{name} is {text[:40]!r}.", "Right is a number from 0.")
    return int(text)


def _json(rows: Rows) -> Response:
    # one template for all rows: ten thousand of them are a megabyte, and each value is text anyway
    one = "{" + ",".join(json.dumps(name).replace("%", "%%") + ":%s" for name in rows.names) + "}"
    quoted = json.encoder.encode_basestring
    lines = ",".join([one % tuple([quoted(value or "") for value in row]) for row in rows.rows])
    body = f'{{"ResultSet":{{"Result":[{lines}],"totalRecords":"{len(rows.rows)}"}}}}'
    return Response(body.encode("utf-8", "backslashreplace"), media_type="application/json")


def _csv(rows: Rows, *, exact: bool) -> bytes:
    """`exact`: the values' bytes, as clients read them; else no cell runs as a formula in a spreadsheet."""
    out = io.StringIO()
    writer = TableWriter(out, line_end="\n", exact=exact)
    writer.write_row(rows.names)
    writer.write_rows(rows.rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


def _xml(rows: Rows, title: str) -> bytes:
    columns = "".join(f"<column>{text(name)}</column>" for name in rows.names)
    cells = "".join(
        "<row>" + "".join(f"<cell>{text(value or '')}</cell>" for value in row) + "</row>" for row in rows.rows
    )
    said = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ResultSet title={quoteattr(title)} totalRecords="{len(rows.rows)}">'
        f"<results><columns>{columns}</columns><rows>{cells}</rows></results></ResultSet>"
    )
    return said.encode("utf-8", "backslashreplace")


def text(value: str) -> str:
    """Text that XML can hold."""
    return escape(value.translate(_NOTHING))


def attribute(value: str) -> str:
    """A value as an attribute has it, with its quotes."""
    return quoteattr(value.translate(_NOTHING))


@dataclass(slots=True)
class Item:
    """A thing of XNAT's model: its type, its fields, and what is in it by the name of the relation."""

    type: str
    fields: Mapping[str, str]
    children: list[tuple[str, list[Item]]] = field(default_factory=list)
    started: str = ""
    text: str = ""
    """The field that is its element's text in a document, which then has no other."""


def item(request: Request, one: Item, *, default: str = "xml") -> Response:
    """A single thing, as XML unless JSON is asked for."""
    if format_of(request, default) == "json":
        return Response(json.dumps({"items": [_item_json(one)]}), media_type="application/json")
    return Response(item_xml(one), media_type="text/xml; charset=utf-8")


def _item_json(one: Item) -> dict[str, Any]:
    return {
        "children": [
            {"field": name, "items": [_item_json(child) for child in children]} for name, children in one.children
        ],
        "meta": {"isHistory": False, "xsi:type": one.type, "start_date": one.started},
        "data_fields": {name: value for name, value in one.fields.items() if value},
    }


def item_xml(one: Item) -> bytes:
    """A thing as a document of our schema: some fields as attributes of the root, the others as elements."""
    root = ET.Element(f"{{{XNAT}}}{element_of(one.type)}")
    _fill(root, one)
    ET.register_namespace("xnat", XNAT)
    ET.register_namespace("xsi", XSI)
    document: bytes = ET.tostring(root, encoding="utf-8")  # which writes no declaration of its own
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


def _fill(element: ET.Element, one: Item) -> None:
    attributes = attributes_of(one.type)
    for name, value in one.fields.items():
        clean = value.translate(_NOTHING)
        if not clean:
            continue
        if name in attributes:
            element.set(name, clean)
        elif name == HIDDEN:  # which no schema has, and which clients read in this very way
            element.append(ET.Comment(f'hidden_fields[{name}="{clean}"]'))
        else:
            _put(element, name.split("/"), clean)
    for path, children in one.children:
        *above, last = path.split("/")
        into = element
        for name in above:
            into = _under(into, name)
        for child in children:
            if child.text:
                ET.SubElement(into, f"{{{XNAT}}}{last}").text = child.fields[child.text].translate(_NOTHING)
                continue
            below = ET.SubElement(into, f"{{{XNAT}}}{last}", {f"{{{XSI}}}type": child.type})
            _fill(below, child)


def _put(element: ET.Element, path: Iterable[str], value: str) -> None:
    *above, last = path
    for name in above:
        element = _under(element, name)
    if last in NESTED:  # of a number or a name, which is the element's text
        element.set(last, value)
        return
    _under(element, last).text = value  # which its own attributes may have made already


def _under(element: ET.Element, name: str) -> ET.Element:
    found = element.find(f"{{{XNAT}}}{name}")
    return ET.SubElement(element, f"{{{XNAT}}}{name}") if found is None else found

"""Answers of the dialect: listings as JSON, CSV and XML, single things as JSON and XML (xnat-clients.md 1, 3 and 4)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Final, TypedDict
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.model.spreadsheet import TableWriter
from scandock.model.xml_text import NOT_IN_XML, text
from scandock.rules.field_types import parse_field_number
from scandock.rules.session_fields import rejoin_pairs
from scandock.web.xnat.schema import (
    ATTRIBUTE_FIELDS,
    KEYED_ELEMENTS,
    base_types,
    document_attributes,
    parameter_order,
    root_element,
)
from scandock.web.xnat.services.columns import MAX_COLUMNS, Rows, check_name, split_list

XNAT: Final = "http://nrg.wustl.edu/xnat"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
FORMATS: Final = ("json", "csv", "xml")
_BRACKETS: Final = re.compile(r"\[[^\[\]]*\]")
"""What a path says of an element's type."""
_PARAMETER_RANKS: Final = {name: n for n, name in enumerate(parameter_order())}
RESOURCE_ID_FIELD: Final = "xnat_abstractresource_id"
"""A field of resources that their documents have as a comment."""


def format_timestamp(ms: int) -> str:
    """When a thing was made, as XNAT's JSON says it: `Tue Nov 24 05:00:00 UTC 2026`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%a %b %d %H:%M:%S UTC %Y}"


def read_format(request: Request, default: str) -> str:
    """The format that a request names, or its Accept header does; else `default`."""
    requested = request.query_params.get("format", "").strip().lower()
    if requested:
        return requested
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


_NOT_FILTERS: Final = frozenset(
    {"format", "columns", "xsitype", "sortby", "sortorder", "limit", "offset", "accessible", "permissions", "datatype",
     "owner", "member", "collaborator", "prearc_code", "xnat_csrf", "req_format", "event_reason", "recent", "users",
     "activesince", "index", "recursive", "damaged"}
)  # fmt: skip
"""Names in a query that are no filters."""


def read_filters(request: Request) -> list[tuple[str, str]]:
    """What a query says of columns: `ID=XNAT_E00001`, `label=S*`."""
    pairs = rejoin_pairs(request.query_params.multi_items())
    return [(name, value) for name, value in pairs if name.lower() not in _NOT_FILTERS]


def list_response(request: Request, rows: Rows, *, title: str = "", default: str = "json") -> Response:
    """A listing in the format that was asked for, sorted and cut as asked; an unknown format is JSON."""
    rows = _sort_and_cut(request, rows)
    requested_format = read_format(request, default)
    if requested_format == "csv":
        opened_by_person = is_navigation(request)
        headers = {"Vary": "Sec-Fetch-Mode"}
        return Response(
            _to_csv(rows, exact=not opened_by_person), media_type="text/csv; charset=utf-8", headers=headers
        )
    if requested_format == "xml":
        return Response(_to_xml(rows, title), media_type="text/xml; charset=utf-8")
    return _json_response(rows)


def is_navigation(request: Request) -> bool:
    """Whether a browser goes to the address, as by a click, so that what it gets is opened by a person's programs.

    Scripts of pages and XNAT's clients say something else, or nothing (Fetch Metadata, `Sec-Fetch-Mode`).
    """
    return request.headers.get("sec-fetch-mode", "").strip().lower() == "navigate"


def _sort_and_cut(request: Request, rows: Rows) -> Rows:
    """`sortBy`, `sortOrder`, `offset` and `limit`, where they are named. Usage for numbers that are none."""
    query = request.query_params
    sorted_rows = rows.rows
    sort_column = query.get("sortBy", "").lower()
    names = [name.lower() for name in rows.names]
    if sort_column in names:
        index = names.index(sort_column)
        sorted_rows = sorted(
            sorted_rows, key=lambda row: row[index] or "", reverse=query.get("sortOrder", "").upper() == "DESC"
        )
    offset, limit = read_window(request)
    if not rows.cut and (offset or limit is not None):
        sorted_rows = sorted_rows[offset:][: len(sorted_rows) if limit is None else limit]
    return Rows(rows.names, sorted_rows)


def read_window(request: Request) -> tuple[int, int | None]:
    """`offset` and `limit` of a request. Usage for numbers that are none."""
    return read_number(request, "offset") or 0, read_number(request, "limit")


def read_number(request: Request, name: str) -> int | None:
    """A number from 0 that a query names; None where it names none. Usage `request_invalid`."""
    text = request.query_params.get(name)
    if text is None or text in ("", "*"):
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise RequestInvalid(f"{name} is {text[:40]!r}.", "Right is a number from 0.")
    return int(text)


def _json_response(rows: Rows) -> Response:
    # one template for all rows: ten thousand of them are a megabyte, and each value is text anyway
    template = "{" + ",".join(json.dumps(name).replace("%", "%%") + ":%s" for name in rows.names) + "}"
    quoted = json.encoder.encode_basestring
    lines = ",".join([template % tuple([quoted(value or "") for value in row]) for row in rows.rows])
    body = f'{{"ResultSet":{{"Result":[{lines}],"totalRecords":"{len(rows.rows)}"}}}}'
    return Response(body.encode("utf-8", "backslashreplace"), media_type="application/json")


def _to_csv(rows: Rows, *, exact: bool) -> bytes:
    """`exact`: the values' bytes, as clients read them; else no cell runs as a formula in a spreadsheet."""
    out = io.StringIO()
    writer = TableWriter(out, line_end="\n", exact=exact)
    writer.write_row(rows.names)
    writer.write_rows(rows.rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


def _to_xml(rows: Rows, title: str) -> bytes:
    columns = "".join(f"<column>{text(name)}</column>" for name in rows.names)
    cells = "".join(
        "<row>" + "".join(f"<cell>{text(value or '')}</cell>" for value in row) + "</row>" for row in rows.rows
    )
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ResultSet title={quoteattr(title)} totalRecords="{len(rows.rows)}">'
        f"<results><columns>{columns}</columns><rows>{cells}</rows></results></ResultSet>"
    )
    return document.encode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Item:
    """A thing of XNAT's model: its type, its fields, and what is in it by the name of the relation."""

    type: str
    fields: Mapping[str, str]
    children: list[tuple[str, list[Item]]] = field(default_factory=list)
    started: str = ""
    text: str = ""
    """The field that is its element's text in a document, which then has no other."""
    commented: Collection[str] = ()
    """Fields whose element has a comment before its text, as the original writes all of them: what people have added to
    a scan, which pyxnat reads back by it (`get_params`)."""
    root: str = ""
    """The root of its document, where that is not its type's."""
    write: Callable[[ET.Element], None] | None = None
    """What fills its element in a document, where its fields are not all that it has."""
    find: Callable[[str], str] | None = None
    """What answers a path below its type that says which of several."""

    @property
    def _types(self) -> set[str]:
        """Its type and those above it, in lower case."""
        return {known.lower() for known in (self.type, *base_types(self.type))}

    def value(self, name: str) -> str:
        """A field by its name, or by a path from its type or one above that, in any case; empty where it has none.

        What it has once, as a subject its demographics, is found by the path there: `demographics/gender`.
        """
        kind, _, rest = name.strip().partition("/")
        if self.find is not None and "[" in rest and kind.lower() in self._types:
            return self.find(rest)
        kind, _, rest = _BRACKETS.sub("", name.strip().lower()).partition("/")
        lowered = f"{kind}/{rest}" if rest else kind
        if ":" in kind:
            if kind not in self._types:
                return ""
            lowered = rest
        if lowered == "xsitype":
            return self.type
        values = {name.lower(): value for name, value in self.fields.items()}
        for path, children in self.children:
            if len(children) == 1:
                values.update({f"{path}/{name}".lower(): value for name, value in children[0].fields.items()})
        return values.get(lowered, "")


def item_response(request: Request, item: Item, *, default: str = "xml", numbers: bool = True) -> Response:
    """A single thing, as XML unless JSON is asked for; with `handler=values` a listing of some of its fields.

    `numbers`: whether its numbers are some in JSON. Usage `request_invalid` for another handler.
    """
    handler = request.query_params.get("handler", "").strip()
    if handler:
        if handler.lower() != "values":
            raise RequestInvalid(f"Invalid handler definition: {handler[:40]}.", "Known is values.")
        return _values_response(request, item, default)
    if read_format(request, default) == "json":
        return Response(json.dumps({"items": [_item_to_json(item, numbers=numbers)]}), media_type="application/json")
    return Response(item_to_xml(item), media_type="text/xml; charset=utf-8")


def _values_response(request: Request, item: Item, default: str) -> Response:
    """One row: the fields that `columns` names, by the names that it has for them, and in their order.

    One alone with `asValue=true` is a text. What a thing has not is empty. Usage `request_invalid`.
    """
    query = request.query_params
    requested = (name.strip() for name in split_list(query.get("columns", ""), "columns", MAX_COLUMNS))
    names = list(dict.fromkeys(name for name in requested if name))
    if not names:
        message = "handler=values is asked for without columns."
        raise RequestInvalid(message, "Please include a list of columns to return: columns=ID,label.")
    for name in names:
        check_name(name)
    row = [item.value(name) for name in names]
    if any(query.get(name, "").lower() in ("true", "1") for name in ("asValue", "asValues")):
        if len(row) > 1:
            message = "asValue can only be used on single-column queries."
            raise RequestInvalid(message, "Name one column, or leave asValue out.")
        return PlainTextResponse(row[0])
    return list_response(request, Rows(names, [row]), default=default)


class ChildrenJson(TypedDict):
    """What a thing has by one of its names."""

    field: str
    items: list[ItemJson]


ItemJson = TypedDict(  # noqa: UP013  clients alone read its keys
    "ItemJson",
    {
        "children": list[ChildrenJson],
        "meta": dict[str, object],
        "data_fields": dict[str, int | float | str],
    },
)
"""A thing in the original's JSON."""


def _item_to_json(item: Item, *, numbers: bool = True) -> ItemJson:
    return {
        "children": [
            {"field": name, "items": [_item_to_json(child) for child in children]} for name, children in item.children
        ],
        "meta": {"isHistory": False, "xsi:type": item.type, "start_date": item.started},
        "data_fields": {
            name: _json_value(name, value) if numbers else value for name, value in item.fields.items() if value
        },
    }


def _json_value(name: str, value: str) -> int | float | str:
    """A number where the field's are, which listings show as texts."""
    number = parse_field_number(name, value)
    return value if number is None else number


def item_to_xml(item: Item) -> bytes:
    """A thing as a document of our schema: some fields as attributes of the root, the others as elements."""
    root = ET.Element(item.root or f"{{{XNAT}}}{root_element(item.type)}")
    _fill_element(root, item)
    ET.register_namespace("xnat", XNAT)
    ET.register_namespace("xsi", XSI)
    document: bytes = ET.tostring(root, encoding="utf-8")  # which writes no declaration of its own
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


def _fill_element(element: ET.Element, item: Item) -> None:
    if item.write is not None:
        item.write(element)
        return
    attributes = document_attributes(item.type)
    for name, value in item.fields.items():
        clean = value.translate(NOT_IN_XML)
        if not clean:
            continue
        if name in attributes:
            element.set(name, clean)
        elif name == RESOURCE_ID_FIELD:  # which no schema has, and which clients read in this very way
            element.append(ET.Comment(f'hidden_fields[{name}="{clean}"]'))
        else:
            field_element = _write_field(element, name.split("/"), clean)
            if name in item.commented:
                field_element.text = "\n"
                comment = ET.Comment("hidden_fields[]")
                comment.tail = clean
                field_element.append(comment)
    parameters = element.find(f"{{{XNAT}}}parameters")
    if parameters is not None:
        parameters[:] = sorted(
            parameters, key=lambda item: _PARAMETER_RANKS.get(_local_name(item), len(_PARAMETER_RANKS))
        )
    for path, children in item.children:
        *parents, last_name = path.split("/")
        parent = element
        for name in parents:
            parent = _find_or_add(parent, name)
        for child in children:
            if child.text:
                ET.SubElement(parent, f"{{{XNAT}}}{last_name}").text = child.fields[child.text].translate(NOT_IN_XML)
                continue
            below = ET.SubElement(parent, f"{{{XNAT}}}{last_name}", {f"{{{XSI}}}type": child.type})
            _fill_element(below, child)


def _write_field(element: ET.Element, path: Sequence[str], value: str) -> ET.Element:
    """Write a field below an element, as the element or the attribute of one that its path is; that element."""
    index, current = 0, element
    while index < len(path) - 1:
        name, below = path[index], path[index + 1]
        element_name, attribute_name = KEYED_ELEMENTS.get(name, ("", ""))
        if element_name:  # and what comes next is a name, or a number, that no element can be called by
            current = _find_or_add_named(
                current if element_name == name else _find_or_add(current, name), element_name, attribute_name, below
            )
            index += 2
            continue
        current = _find_or_add(current, name)
        index += 1
    if index == len(path):
        current.text = value
    elif path[-1] in ATTRIBUTE_FIELDS.get(_local_name(current), ()):
        current.set(path[-1], value)
    else:
        current = _find_or_add(current, path[-1])  # which its own attributes may have made already
        current.text = value
    return current


def _local_name(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _find_or_add_named(element: ET.Element, name: str, attribute_name: str, value: str) -> ET.Element:
    """The element below another one that has a name as its attribute."""
    for child in element.findall(f"{{{XNAT}}}{name}"):
        if child.get(attribute_name) == value:
            return child
    return ET.SubElement(element, f"{{{XNAT}}}{name}", {attribute_name: value})


def _find_or_add(element: ET.Element, name: str) -> ET.Element:
    child = element.find(f"{{{XNAT}}}{name}")
    return ET.SubElement(element, f"{{{XNAT}}}{name}") if child is None else child

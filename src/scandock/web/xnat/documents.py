"""Things as documents of XNAT's: what a PUT says of a thing in its body, where that is XML (copyxnat, pyxnat, curl).

A document says no more than a query can: `<xnat:MRSession><xnat:date>..` is `xsiType=xnat:mrSessionData` and
`xnat:mrSessionData/date=..`. What an element lacks, or leaves empty, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import field
from typing import Final
from xml.etree import ElementTree as ET

from fastapi import Request

from scandock.model.dataclass import dataclass
from scandock.model.request_limits import COLUMN_NAME
from scandock.web.request_context import RequestContext
from scandock.web.xnat.bodies import MULTIPART, has_body, read_media_type, stream_file
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.schema import SCANS, SESSIONS, root_element
from scandock.web.xnat.services.subjects import SUBJECT_TYPE
from scandock.web.xnat.services.xml_parsing import document_invalid_error, parse_xml

MAX_BYTES: Final = 1024 * 1024
_XML: Final = frozenset({"text/xml", "application/xml"})
_DOCUMENT: Final = "The document"
_REMEDY: Final = "Send what GET ?format=xml of such a thing answers."
_TYPES: Final = {
    root_element(kind).lower(): kind
    for kind in (
        "xnat:projectData",
        SUBJECT_TYPE,
        *(f"xnat:{one}SessionData" for one in SESSIONS),
        *(f"xnat:{one}ScanData" for one in SCANS),
    )
}
"""Name of a document's root, in lower case -> its type."""
_XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_SKIPPED_ELEMENTS: Final = frozenset(
    {"sharing", "resources", "experiments", "scans", "reconstructions", "assessors", "file", "in", "out", "fields"}
)
"""Elements that hold things of their own, or what has no place here."""
_ADDRESS_FIELDS: Final = {"project": "project", "subject_ID": "subject", "image_session_ID": "experiment"}
"""What says where a thing stands: the address does, and its ids are those of this server."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a body says of a thing, as the pairs of a query; none where there is no document."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    scans: list[list[tuple[str, str]]] = field(default_factory=list)
    """The same of each scan within a session."""


async def read_document(context: RequestContext, *, sniff_body: bool = True) -> Document:
    """The document in the body; an empty one where it is none. Usage `request_invalid`.

    It is one where the request says so: by its media type, by `inbody=true`, or as the file of a form. `sniff_body`:
    also where it says nothing of its body, and that begins as XML does.
    """
    body = await read_document_body(context, sniff_body=sniff_body)
    if body is None:
        return Document()
    root = await context.run(lambda: parse_xml(body, _DOCUMENT, _REMEDY))
    return Document(_make_pairs(root, context.request), [_make_scan_pairs(scan) for scan in root.findall("scans/scan")])


async def read_document_body(context: RequestContext, *, sniff_body: bool = True) -> bytes | None:
    """The body where it is a document, as `read_document` tells; else None. Usage `request_invalid`."""
    request = context.request
    media = read_media_type(request)
    is_document = (
        media in _XML or media == MULTIPART or (is_true(request.query_params.get("inbody")) and "json" not in media)
    )
    if not has_body(request) or not (is_document or (sniff_body and not media)):
        return None
    body = await _read_body(context)
    if not is_document and not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return None
    return body


async def read_document_pairs(context: RequestContext, *, sniff_body: bool = True) -> list[tuple[str, str]]:
    """What the body says of a thing itself, as the pairs of a query (`read_document`)."""
    return (await read_document(context, sniff_body=sniff_body)).pairs


async def parse_body(context: RequestContext) -> tuple[bytes, ET.Element]:
    """A body that is a document whatever the request says of it, and its elements. Usage `request_invalid`."""
    body = await _read_body(context)
    return body, await context.run(lambda: parse_xml(body, _DOCUMENT, _REMEDY))


async def _read_body(context: RequestContext) -> bytes:
    body = bytearray()
    async with aclosing(stream_file(context.server, context.request)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > MAX_BYTES:
                raise document_invalid_error(f"{_DOCUMENT} has more than {MAX_BYTES} bytes.", _REMEDY)
    return bytes(body)


def _make_pairs(root: ET.Element, request: Request) -> list[tuple[str, str]]:
    xsi_type = read_document_type(root)
    pairs = [("xsiType", xsi_type)]
    for path, text in _iter_fields(root):
        if _ADDRESS_FIELDS.get(path, "") not in request.path_params:
            pairs.append((f"{xsi_type}/{path}", text))
    return pairs


def read_document_type(root: ET.Element) -> str:
    """The type of what a document is of. Usage `request_invalid`."""
    kind = _TYPES.get(root.tag.lower())
    if kind is None:
        raise document_invalid_error(
            f"{_DOCUMENT} is a <{root.tag[:40]}>.", "Right are Project, Subject, and sessions and scans as MRSession."
        )
    return kind


def _make_scan_pairs(element: ET.Element) -> list[tuple[str, str]]:
    """What a session's document says of one of its scans. Its files are none of the catalog's to believe."""
    kind = element.attrib.get(_XSI_TYPE, "").rpartition(":")[2].strip()
    pairs = [("xsiType", f"xnat:{kind}")] if kind else []
    return [*pairs, *_iter_fields(element)]


def _iter_fields(element: ET.Element, above: str = "") -> Iterator[tuple[str, str]]:
    """Attributes and elements with their texts, by paths of names; no field has a path as long as those left out.

    Else a few long names around many short ones would make gigabytes of paths.
    """
    if len(above) > COLUMN_NAME:
        return
    for name, text in element.attrib.items():
        if "}" not in name and text.strip():  # else of another namespace: xsi:type, xsi:schemaLocation
            yield f"{above}{name}", text.strip()
    for child in element:
        if not above and child.tag in _SKIPPED_ELEMENTS:
            continue
        text = (child.text or "").strip()
        if above == "parameters/" and child.tag == "addParam":
            yield f"{above}addParam[name={child.get('name', '')}]/addField", text
            continue
        if text:
            yield f"{above}{child.tag}", text
        yield from _iter_fields(child, f"{above}{child.tag}/")

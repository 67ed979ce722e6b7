"""Things as documents of XNAT's: what a PUT says of a thing in its body, where that is XML (copyxnat, pyxnat, curl).

A document says no more than a query can: `<xnat:MRSession><xnat:date>..` is `xsiType=xnat:mrSessionData` and
`xnat:mrSessionData/date=..`. What an element lacks, or leaves empty, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from fastapi import Request

from scandock.model.request_limits import COLUMN_NAME
from scandock.web.request_context import RequestContext
from scandock.web.xnat.bodies import MULTIPART, file_of, has_body, media_type_of
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.schema import SCANS, SESSIONS, element_of
from scandock.web.xnat.services.subjects import SUBJECT_TYPE
from scandock.web.xnat.services.xml_reading import off, read_xml

MAX_BYTES: Final = 1024 * 1024
_XML: Final = frozenset({"text/xml", "application/xml"})
_WHAT: Final = "The document"
_SEND: Final = "Send what GET ?format=xml of such a thing answers."
_TYPES: Final = {
    element_of(kind).lower(): kind
    for kind in (
        "xnat:projectData",
        SUBJECT_TYPE,
        *(f"xnat:{one}SessionData" for one in SESSIONS),
        *(f"xnat:{one}ScanData" for one in SCANS),
    )
}
"""Name of a document's root, in lower case -> its type."""
_XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_OTHERS: Final = frozenset(
    {"sharing", "resources", "experiments", "scans", "reconstructions", "assessors", "file", "in", "out", "fields"}
)
"""Elements that hold things of their own, or what has no place here."""
_OF_ADDRESS: Final = {"project": "project", "subject_ID": "subject", "image_session_ID": "experiment"}
"""What says where a thing stands: the address does, and its ids are those of this server."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a body says of a thing, as the pairs of a query; none where there is no document."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    scans: list[list[tuple[str, str]]] = field(default_factory=list)
    """The same of each scan within a session."""


async def read_document(work: RequestContext, *, open_handed: bool = True) -> Document:
    """The document in the body; an empty one where it is none. Usage `request_invalid`.

    It is one where the request says so: by its media type, by `inbody=true`, or as the file of a form. `open_handed`:
    also where it says nothing of its body, and that begins as XML does.
    """
    body = await body_of_document(work, open_handed=open_handed)
    if body is None:
        return Document()
    root = await work.do(lambda: read_xml(body, _WHAT, _SEND))
    return Document(_pairs(root, work.request), [_scan(one) for one in root.findall("scans/scan")])


async def body_of_document(work: RequestContext, *, open_handed: bool = True) -> bytes | None:
    """The body where it is a document, as `read_document` tells; else None. Usage `request_invalid`."""
    request = work.request
    media = media_type_of(request)
    told = media in _XML or media == MULTIPART or (true(request.query_params.get("inbody")) and "json" not in media)
    if not has_body(request) or not (told or (open_handed and not media)):
        return None
    body = await _body(work)
    if not told and not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return None
    return body


async def said_in_document(work: RequestContext, *, open_handed: bool = True) -> list[tuple[str, str]]:
    """What the body says of a thing itself, as the pairs of a query (`read_document`)."""
    return (await read_document(work, open_handed=open_handed)).pairs


async def bare_document(work: RequestContext) -> tuple[bytes, ET.Element]:
    """A body that is a document whatever the request says of it, and its elements. Usage `request_invalid`."""
    body = await _body(work)
    return body, await work.do(lambda: read_xml(body, _WHAT, _SEND))


async def _body(work: RequestContext) -> bytes:
    body = bytearray()
    async with aclosing(file_of(work.site, work.request)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > MAX_BYTES:
                raise off(f"{_WHAT} has more than {MAX_BYTES} bytes.", _SEND)
    return bytes(body)


def _pairs(root: ET.Element, request: Request) -> list[tuple[str, str]]:
    kind = type_of(root)
    found = [("xsiType", kind)]
    for path, text in _fields(root):
        if _OF_ADDRESS.get(path, "") not in request.path_params:
            found.append((f"{kind}/{path}", text))
    return found


def type_of(root: ET.Element) -> str:
    """The type of what a document is of. Usage `request_invalid`."""
    kind = _TYPES.get(root.tag.lower())
    if kind is None:
        raise off(
            f"{_WHAT} is a <{root.tag[:40]}>.", "Right are Project, Subject, and sessions and scans as MRSession."
        )
    return kind


def _scan(element: ET.Element) -> list[tuple[str, str]]:
    """What a session's document says of one of its scans. Its files are none of the catalog's to believe."""
    kind = element.attrib.get(_XSI_TYPE, "").rpartition(":")[2].strip()
    named = [("xsiType", f"xnat:{kind}")] if kind else []
    return [*named, *_fields(element)]


def _fields(element: ET.Element, above: str = "") -> Iterator[tuple[str, str]]:
    """Attributes and elements with their texts, by paths of names; no field has a path as long as those left out.

    Else a few long names around many short ones would make gigabytes of paths.
    """
    if len(above) > COLUMN_NAME:
        return
    for name, text in element.attrib.items():
        if "}" not in name and text.strip():  # else of another namespace: xsi:type, xsi:schemaLocation
            yield f"{above}{name}", text.strip()
    for child in element:
        if not above and child.tag in _OTHERS:
            continue
        text = (child.text or "").strip()
        if above == "parameters/" and child.tag == "addParam":
            yield f"{above}addParam[name={child.get('name', '')}]/addField", text
            continue
        if text:
            yield f"{above}{child.tag}", text
        yield from _fields(child, f"{above}{child.tag}/")

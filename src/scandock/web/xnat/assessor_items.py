"""Assessors as documents of XNAT's: read from what clients send, and written as it was said, as XML and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from xml.etree import ElementTree as ET

from sqlalchemy import Connection

from scandock.model.request_errors import RequestInvalid
from scandock.model.request_limits import ASSESSOR_TEXT_BYTES, SHOWN_ASSESSORS_BYTES
from scandock.model.xml_text import NOT_IN_XML
from scandock.rules.assessor_documents import (
    NAMESPACES,
    XSI_TYPE,
    AssessorDocument,
    Element,
    SaidOfAssessor,
    is_type_name,
    namespace_of,
    new_document,
    said_of_assessor,
    type_of_root,
)
from scandock.services.assessors import Assessor, list_assessors
from scandock.services.xnat_lookup import AnySession, Experiment
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import XNAT, XSI, Item, started
from scandock.web.xnat.bodies import URLENCODED, form_in, has_body, media_type_of
from scandock.web.xnat.documents import body_of_document
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.services.xml_reading import read_xml

_PREFIXES: Final = {uri: prefix for prefix, uri in NAMESPACES.items()}
_PASSED_OVER: Final = frozenset({"imageSession_ID", "sharing", "resources", "in", "out", "experiments"})
"""What the address says, what has no place here, and files: an address of files on a disk is never followed."""
_OF_ADDRESS: Final = frozenset({"ID", "project", "label"})
_SEND: Final = "Send XML as text/xml, as GET ?format=xml of an assessor answers, or fields in the query."
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_QUALIFIED: Final = re.compile(r"\{(?P<uri>[^\s{}<>\x00-\x20\x7f-\x9f]+)\}(?P<local>[^{}]+)")
for _prefix, _uri in NAMESPACES.items():
    ET.register_namespace(_prefix, _uri)


# -- read --------------------------------------------------------------------------------------------------------------


class _Names:
    """Names of a document with prefixes that stand for one namespace each."""

    def __init__(self) -> None:
        self.namespaces: dict[str, str] = {}
        self._prefixes = dict(_PREFIXES)

    def short(self, name: str, usual: str) -> str:
        """`prefix:name` of `{namespace}name`; `usual` is the prefix of a name without a namespace.

        Usage `request_invalid` for a namespace that is none.
        """
        if not name.startswith("{"):
            return f"{usual}:{name}" if usual else name
        found = _QUALIFIED.fullmatch(name)
        if found is None:
            what = f"The document has the namespace {name[1:].rpartition('}')[0][:100]!r}."
            raise RequestInvalid(what, "A namespace has no blanks, control characters, < or >, { or }.")
        uri = found["uri"]
        if uri not in self._prefixes:
            self._prefixes[uri] = self._new_prefix(uri)
        return f"{self._prefixes[uri]}:{found['local']}"

    def _new_prefix(self, uri: str) -> str:
        last = re.split(r"[/:#]", uri.rstrip("/#"))[-1]
        first = last if _PREFIX.fullmatch(last) and not last.lower().startswith("xml") else "n"
        taken = {*NAMESPACES, *self.namespaces}
        made = next(one for n in range(len(taken) + 1) if (one := first if not n else f"{first}{n}") not in taken)
        self.namespaces[made] = uri
        return made


async def said_in_assessor(work: RequestContext) -> SaidOfAssessor:
    """What a request says of an assessor: by a document or a form in its body, and by its query.

    Usage; `request_invalid` also for a body of another kind.
    """
    asked = work.request.query_params
    body = await body_of_document(work)
    media = media_type_of(work.request)
    if body is None and has_body(work.request) and media != URLENCODED:
        raise RequestInvalid(f"The body is {media[:64] or 'no XML'}, and no document of an assessor.", _SEND)
    if body is None:
        return said_of_assessor([*await form_in(work.request), *asked.multi_items()])
    document = await work.do(lambda: read_assessor(body))
    return said_of_assessor(asked.multi_items(), document, whole=true(asked.get("allowDataDeletion")))


def read_assessor(body: bytes) -> AssessorDocument:
    """The document in a body. Usage `request_invalid`."""
    root = read_xml(body, "The document", "Send what GET ?format=xml of an assessor answers.", named=str)
    names = _Names()
    made = _read(root, names, usual="xnat")
    made.attributes = {name: text for name, text in made.attributes.items() if name not in _OF_ADDRESS}
    made.children = [one for one in made.children if one.local not in _PASSED_OVER]
    return AssessorDocument(made, names.namespaces)


def _read(element: ET.Element, names: _Names, usual: str) -> Element:
    attributes = {
        short: text.strip()
        for name, text in element.attrib.items()
        for short in [names.short(name, "")]
        if text.strip() and (":" not in short or short == XSI_TYPE)
    }
    name, text = names.short(element.tag, usual), (element.text or "").strip()
    kind = attributes.get(XSI_TYPE, "")
    if kind and not is_type_name(kind):
        raise RequestInvalid(f"{name[:64]} has the type {kind[:64]!r}.", "A type is a name, with a prefix or without.")
    for field, value in ((name, text), *attributes.items()):
        _check_size(field, value)
    return Element(name, attributes, text, [_read(one, names, usual) for one in element])


def _check_size(field: str, text: str) -> None:
    """Usage `request_invalid` for more than is kept of one field: readers of CSV end at 128 KiB."""
    size = len(text.encode())
    if size > ASSESSOR_TEXT_BYTES:
        raise RequestInvalid(
            f"{field[:64]} has {size:,} bytes.",
            f"A field of an assessor has at most {ASSESSOR_TEXT_BYTES:,}: keep more in a file of the session.",
        )


# -- shown -------------------------------------------------------------------------------------------------------------


def assessor_item(found: Assessor) -> Item:
    """An assessor with all that is said of it, as far as that was asked for."""
    document = AssessorDocument.from_json(found.document) if found.document else new_document(found.xsi_type)
    head = {"ID": found.id, "project": found.session.standing.project, "label": found.label}
    fields, children = _parts(document.root.children)
    attributes = {name: text for name, text in document.root.attributes.items() if ":" not in name}
    told = type_of_root(document.root)

    def write(element: ET.Element) -> None:
        if told != found.xsi_type:  # so that the document can be sent back as it is
            element.set(f"{{{XSI}}}type", found.xsi_type)
        _write(element, document, {**attributes, **head}, found.session.id)

    return Item(
        found.xsi_type,
        {**attributes, **head, "imageSession_ID": found.session.id, **fields},
        children,
        started(found.created),
        root=_qualified(document.root.name, document.namespaces),
        write=write,
        find=document.value,
    )


def assessor_items(connection: Connection, found: Iterable[AnySession]) -> Mapping[int, list[Item]]:
    """The assessors of sessions as parts of a document, by the numbers of the sessions' rows."""
    archived = [one for one in found if isinstance(one, Experiment)]
    every = list_assessors(connection, archived, most_bytes=SHOWN_ASSESSORS_BYTES)
    return {number: [assessor_item(one) for one in of_one] for number, of_one in every.items()}


def _parts(elements: Iterable[Element], above: str = "") -> tuple[dict[str, str], list[tuple[str, list[Item]]]]:
    """Fields by their paths, and what is there several times, or has a type of its own, as items of their own."""
    fields: dict[str, str] = {}
    children: list[tuple[str, list[Item]]] = []
    by_name: dict[str, list[Element]] = {}
    for one in elements:
        by_name.setdefault(one.local, []).append(one)
    for local, every in by_name.items():
        path = f"{above}{local}"
        if len(every) > 1 or XSI_TYPE in every[0].attributes:
            children.append((path, [_part(one) for one in every]))
            continue
        (one,) = every
        if one.text:
            fields[path] = one.text
        fields |= {f"{path}/{name}": text for name, text in one.attributes.items()}
        below, more = _parts(one.children, f"{path}/")
        fields |= below
        children += more
    return fields, children


def _part(one: Element) -> Item:
    fields, children = _parts(one.children)
    own = {name: text for name, text in one.attributes.items() if name != XSI_TYPE}
    if one.text:
        own[one.local] = one.text
    return Item(one.attributes.get(XSI_TYPE, one.name), {**own, **fields}, children)


# -- written -----------------------------------------------------------------------------------------------------------


def _qualified(name: str, namespaces: Mapping[str, str]) -> str:
    prefix, _, local = name.rpartition(":")
    return f"{{{namespace_of(prefix, namespaces)}}}{local}" if prefix else local


def _write(element: ET.Element, document: AssessorDocument, attributes: Mapping[str, str], session_id: str) -> None:
    """Fill the element of an assessor, whether it is a document's root or in its session's."""
    for name, text in attributes.items():
        element.set(name, text.translate(NOT_IN_XML))
    first, others = document.parts
    for one in first:
        _write_element(element, one, document.namespaces)
    ET.SubElement(element, f"{{{XNAT}}}imageSession_ID").text = session_id
    for one in others:
        _write_element(element, one, document.namespaces)


def _write_element(above: ET.Element, one: Element, namespaces: Mapping[str, str]) -> None:
    made = ET.SubElement(above, _qualified(one.name, namespaces))
    for name, text in one.attributes.items():
        made.set(f"{{{XSI}}}type" if name == XSI_TYPE else name, text.translate(NOT_IN_XML))
    made.text = one.text.translate(NOT_IN_XML) or None
    for child in one.children:
        _write_element(made, child, namespaces)

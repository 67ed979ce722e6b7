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
from scandock.web.xnat.bodies import URLENCODED, has_body, read_form, read_media_type
from scandock.web.xnat.documents import read_document_body
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.responses import XNAT, XSI, Item, format_timestamp
from scandock.web.xnat.services.xml_parsing import parse_xml

_PREFIXES: Final = {uri: prefix for prefix, uri in NAMESPACES.items()}
_SKIPPED_ELEMENTS: Final = frozenset({"imageSession_ID", "sharing", "resources", "in", "out", "experiments"})
"""What the address says, what has no place here, and files: an address of files on a disk is never followed."""
_ADDRESS_FIELDS: Final = frozenset({"ID", "project", "label"})
_SEND: Final = "Send XML as text/xml, as GET ?format=xml of an assessor answers, or fields in the query."
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_QUALIFIED: Final = re.compile(r"\{(?P<uri>[^\s{}<>\x00-\x20\x7f-\x9f]+)\}(?P<local>[^{}]+)")
for _prefix, _uri in NAMESPACES.items():
    ET.register_namespace(_prefix, _uri)


# -- read --------------------------------------------------------------------------------------------------------------


class _PrefixedNames:
    """Names of a document with prefixes that stand for one namespace each."""

    def __init__(self) -> None:
        self.namespaces: dict[str, str] = {}
        self._prefixes = dict(_PREFIXES)

    def add_prefix(self, name: str, default_prefix: str) -> str:
        """`prefix:name` of `{namespace}name`; `default_prefix` is the prefix of a name without a namespace.

        Usage `request_invalid` for a namespace that is none.
        """
        if not name.startswith("{"):
            return f"{default_prefix}:{name}" if default_prefix else name
        match = _QUALIFIED.fullmatch(name)
        if match is None:
            what = f"The document has the namespace {name[1:].rpartition('}')[0][:100]!r}."
            raise RequestInvalid(what, "A namespace has no blanks, control characters, < or >, { or }.")
        uri = match["uri"]
        if uri not in self._prefixes:
            self._prefixes[uri] = self._new_prefix(uri)
        return f"{self._prefixes[uri]}:{match['local']}"

    def _new_prefix(self, uri: str) -> str:
        last_piece = re.split(r"[/:#]", uri.rstrip("/#"))[-1]
        base = last_piece if _PREFIX.fullmatch(last_piece) and not last_piece.lower().startswith("xml") else "n"
        used_prefixes = {*NAMESPACES, *self.namespaces}
        prefix = next(
            candidate
            for n in range(len(used_prefixes) + 1)
            if (candidate := base if not n else f"{base}{n}") not in used_prefixes
        )
        self.namespaces[prefix] = uri
        return prefix


async def read_assessor_request(context: RequestContext) -> SaidOfAssessor:
    """What a request says of an assessor: by a document or a form in its body, and by its query.

    Usage; `request_invalid` also for a body of another kind.
    """
    query = context.request.query_params
    body = await read_document_body(context)
    media = read_media_type(context.request)
    if body is None and has_body(context.request) and media != URLENCODED:
        raise RequestInvalid(f"The body is {media[:64] or 'no XML'}, and no document of an assessor.", _SEND)
    if body is None:
        return said_of_assessor([*await read_form(context.request), *query.multi_items()])
    document = await context.run(lambda: parse_assessor(body))
    return said_of_assessor(query.multi_items(), document, whole=is_true(query.get("allowDataDeletion")))


def parse_assessor(body: bytes) -> AssessorDocument:
    """The document in a body. Usage `request_invalid`."""
    root = parse_xml(body, "The document", "Send what GET ?format=xml of an assessor answers.", element_name=str)
    names = _PrefixedNames()
    element = _parse_element(root, names, default_prefix="xnat")
    element.attributes = {name: text for name, text in element.attributes.items() if name not in _ADDRESS_FIELDS}
    element.children = [child for child in element.children if child.local not in _SKIPPED_ELEMENTS]
    return AssessorDocument(element, names.namespaces)


def _parse_element(element: ET.Element, names: _PrefixedNames, default_prefix: str) -> Element:
    attributes = {
        short: text.strip()
        for name, text in element.attrib.items()
        for short in [names.add_prefix(name, "")]
        if text.strip() and (":" not in short or short == XSI_TYPE)
    }
    name, text = names.add_prefix(element.tag, default_prefix), (element.text or "").strip()
    kind = attributes.get(XSI_TYPE, "")
    if kind and not is_type_name(kind):
        raise RequestInvalid(f"{name[:64]} has the type {kind[:64]!r}.", "A type is a name, with a prefix or without.")
    for field, value in ((name, text), *attributes.items()):
        _check_size(field, value)
    return Element(name, attributes, text, [_parse_element(child, names, default_prefix) for child in element])


def _check_size(field: str, text: str) -> None:
    """Usage `request_invalid` for more than is kept of one field: readers of CSV end at 128 KiB."""
    size = len(text.encode())
    if size > ASSESSOR_TEXT_BYTES:
        raise RequestInvalid(
            f"{field[:64]} has {size:,} bytes.",
            f"A field of an assessor has at most {ASSESSOR_TEXT_BYTES:,}: keep more in a file of the session.",
        )


# -- shown -------------------------------------------------------------------------------------------------------------


def make_assessor_item(assessor: Assessor) -> Item:
    """An assessor with all that is said of it, as far as that was asked for."""
    document = AssessorDocument.from_json(assessor.document) if assessor.document else new_document(assessor.xsi_type)
    address_fields = {"ID": assessor.id, "project": assessor.session.record.project, "label": assessor.label}
    fields, children = _split_elements(document.root.children)
    attributes = {name: text for name, text in document.root.attributes.items() if ":" not in name}
    document_type = type_of_root(document.root)

    def write(element: ET.Element) -> None:
        if document_type != assessor.xsi_type:  # so that the document can be sent back as it is
            element.set(f"{{{XSI}}}type", assessor.xsi_type)
        _write_assessor(element, document, {**attributes, **address_fields}, assessor.session.id)

    return Item(
        assessor.xsi_type,
        {**attributes, **address_fields, "imageSession_ID": assessor.session.id, **fields},
        children,
        format_timestamp(assessor.created),
        root=_to_namespaced(document.root.name, document.namespaces),
        write=write,
        find=document.value,
    )


def find_assessor_items(connection: Connection, sessions: Iterable[AnySession]) -> Mapping[int, list[Item]]:
    """The assessors of sessions as parts of a document, by the numbers of the sessions' rows."""
    experiments = [entry for entry in sessions if isinstance(entry, Experiment)]
    assessors_by_session = list_assessors(connection, experiments, most_bytes=SHOWN_ASSESSORS_BYTES)
    return {
        number: [make_assessor_item(entry) for entry in assessors] for number, assessors in assessors_by_session.items()
    }


def _split_elements(
    elements: Iterable[Element], above: str = ""
) -> tuple[dict[str, str], list[tuple[str, list[Item]]]]:
    """Fields by their paths, and what is there several times, or has a type of its own, as items of their own."""
    fields: dict[str, str] = {}
    children: list[tuple[str, list[Item]]] = []
    by_name: dict[str, list[Element]] = {}
    for element in elements:
        by_name.setdefault(element.local, []).append(element)
    for local, same_name in by_name.items():
        path = f"{above}{local}"
        if len(same_name) > 1 or XSI_TYPE in same_name[0].attributes:
            children.append((path, [_make_item(element) for element in same_name]))
            continue
        (element,) = same_name
        if element.text:
            fields[path] = element.text
        fields |= {f"{path}/{name}": text for name, text in element.attributes.items()}
        below_fields, below_children = _split_elements(element.children, f"{path}/")
        fields |= below_fields
        children += below_children
    return fields, children


def _make_item(element: Element) -> Item:
    fields, children = _split_elements(element.children)
    attributes = {name: text for name, text in element.attributes.items() if name != XSI_TYPE}
    if element.text:
        attributes[element.local] = element.text
    return Item(element.attributes.get(XSI_TYPE, element.name), {**attributes, **fields}, children)


# -- written -----------------------------------------------------------------------------------------------------------


def _to_namespaced(name: str, namespaces: Mapping[str, str]) -> str:
    prefix, _, local = name.rpartition(":")
    return f"{{{namespace_of(prefix, namespaces)}}}{local}" if prefix else local


def _write_assessor(
    element: ET.Element, document: AssessorDocument, attributes: Mapping[str, str], session_id: str
) -> None:
    """Fill the element of an assessor, whether it is a document's root or in its session's."""
    for name, text in attributes.items():
        element.set(name, text.translate(NOT_IN_XML))
    first_children, other_children = document.parts
    for child in first_children:
        _write_element(element, child, document.namespaces)
    ET.SubElement(element, f"{{{XNAT}}}imageSession_ID").text = session_id
    for child in other_children:
        _write_element(element, child, document.namespaces)


def _write_element(above: ET.Element, child_element: Element, namespaces: Mapping[str, str]) -> None:
    target = ET.SubElement(above, _to_namespaced(child_element.name, namespaces))
    for name, text in child_element.attributes.items():
        target.set(f"{{{XSI}}}type" if name == XSI_TYPE else name, text.translate(NOT_IN_XML))
    target.text = child_element.text.translate(NOT_IN_XML) or None
    for child in child_element.children:
        _write_element(target, child, namespaces)

"""The document that a search of XNAT's dialect is: what its rows are, its columns, its criteria (xnat-clients.md 3).

It comes from outside and may be anything: it is read within limits (`xml_parsing`).
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.web.xnat.services.columns import check_name
from scandock.web.xnat.services.xml_parsing import document_invalid_error, parse_xml

MAX_BYTES: Final = request_limits.SEARCH_BYTES
"""pyxnat writes one criterion for each subject that an earlier search found: 10,000 of them are 3 MB."""
_SEND: Final = "Send an xdat:bundle as the body."
_ROOTS: Final = frozenset({"bundle", "search", "stored_search"})
_METHODS: Final = frozenset({"AND", "OR"})


@dataclass(frozen=True, slots=True)
class SearchColumn:
    """A column: a type, and one of its fields by id or by path."""

    element: str
    field: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One comparison of a field with a value."""

    element: str
    field: str
    comparison: str
    """In upper case, with single spaces."""
    value: str


@dataclass(frozen=True, slots=True)
class Criteria:
    """Criteria of which all (`AND`) or any (`OR`) are to hold; none of them: all do, and no one does."""

    method: str
    members: tuple[Criterion | Criteria, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is searched."""

    root: str
    """The type that each row is of."""
    columns: tuple[SearchColumn, ...]
    where: Criteria


def parse_bundle(body: bytes) -> Bundle:
    """Read a bundle. Usage `request_invalid` for what is none."""
    return make_bundle(parse_search(body))


def parse_search(body: bytes) -> ET.Element:
    """The elements of a search's document, by their local names. Usage `request_invalid` for what is none."""
    if len(body) > MAX_BYTES:
        raise document_invalid_error(
            f"The search has {len(body)} bytes.", f"At most {MAX_BYTES} are read: search in parts."
        )
    if not body.strip():
        raise document_invalid_error("The search is empty.", _SEND)
    root = parse_xml(body, "The search", _SEND)
    if root.tag not in _ROOTS:
        raise document_invalid_error(f"The search is a document <{root.tag[:40]}>.", _SEND)
    return root


def make_bundle(root: ET.Element) -> Bundle:
    """What the elements of a search say. Usage `request_invalid`."""
    root_type = _child_text(root, "root_element_name")
    if not root_type:
        raise document_invalid_error("The search does not say what it is of.", "Name a type as root_element_name.")
    columns = [
        SearchColumn(_child_text(element, "element_name"), _child_text(element, "field_ID"))
        for element in root.iterfind("search_field")
    ]
    for n, element in enumerate(columns, 1):
        if not element.element or not element.field:
            raise document_invalid_error(
                f"Column {n} of the search is not named.", "A search_field has element_name and field_ID."
            )
        check_name(element.element)
        check_name(element.field)
    return Bundle(
        root_type,
        tuple(columns),
        Criteria("AND", tuple(_make_criteria(element) for element in root.iterfind("search_where"))),
    )


def _make_criteria(element: ET.Element) -> Criteria:
    method = element.get("method", "AND").strip().upper()
    if method not in _METHODS:
        raise document_invalid_error(f"Criteria are joined by {method[:40]!r}.", "Right are AND and OR.")
    members: list[Criterion | Criteria] = []
    for child in element:
        if child.tag == "criteria":
            members.append(_make_criterion(child))
        elif child.tag == "child_set":
            members.append(_make_criteria(child))
    return Criteria(method, tuple(members))


def _make_criterion(element: ET.Element) -> Criterion:
    path, comparison = _child_text(element, "schema_field"), _child_text(element, "comparison_type")
    # types and fields are parted by a slash, or by a point as XNAT's own pages do it
    index = min((path.find(separator) for separator in "/." if separator in path), default=-1)
    if index < 1 or not path[index + 1 :]:
        raise document_invalid_error(
            f"A criterion is of {path[:80]!r}.", "Right is a type and a field, as xnat:subjectData/SUBJECT_ID."
        )
    check_name(path)
    if not comparison:
        raise document_invalid_error(
            f"The criterion of {path[:80]} does not say how to compare.", "Name a comparison_type, as =."
        )
    value = element.find("value")
    return Criterion(
        path[:index],
        path[index + 1 :],
        " ".join(comparison.upper().split()),
        (value.text or "") if value is not None else "",
    )


def _child_text(element: ET.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()

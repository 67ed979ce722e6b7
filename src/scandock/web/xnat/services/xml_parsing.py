"""XML that clients send: read by defusedxml, without any document type, so that nothing is expanded, within limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from xml.etree import ElementTree as ET

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid

MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 100_000


def document_invalid_error(message: str, remedy: str) -> Usage:
    """What is wrong with a document."""
    return RequestInvalid(message, remedy)


class _LimitedTreeBuilder:
    """Puts elements together by their names as `named` gives them, as many and as deep as may be."""

    def __init__(self, document_name: str, remedy: str, element_name: Callable[[str], str]) -> None:
        self._tree = ET.TreeBuilder()
        self._what, self._remedy = document_name, remedy
        self._depth = self._count = 0
        self._named = element_name

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth, self._count = self._depth + 1, self._count + 1
        if self._depth > MAX_DEPTH:
            raise document_invalid_error(f"{self._what} is nested more than {MAX_DEPTH} deep.", self._remedy)
        if self._count > MAX_ELEMENTS:
            raise document_invalid_error(f"{self._what} has more than {MAX_ELEMENTS} elements.", self._remedy)
        self._tree.start(self._named(name), attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(self._named(name))

    def data(self, text: str) -> None:
        self._tree.data(text)

    def close(self) -> ET.Element:
        return self._tree.close()


def _local_name(name: str) -> str:
    return name.rpartition("}")[2]


def parse_xml(
    body: bytes, document_name: str, remedy: str, *, element_name: Callable[[str], str] = _local_name
) -> ET.Element:
    """A document's elements by their local names; comments and the like are passed over. Usage `request_invalid`.

    `document_name` and `remedy` are told where it can't be read. Names of attributes with a namespace keep it,
    as `{namespace}name`. `element_name` makes the names of elements of such ones.
    """
    parser: Any = DefusedXMLParser(target=_LimitedTreeBuilder(document_name, remedy, element_name), forbid_dtd=True)
    try:
        parser.feed(body)
        root: ET.Element = parser.close()
    except DefusedXmlException:
        raise document_invalid_error(
            f"{document_name} has a document type: DOCTYPE is disallowed.", "Leave <!DOCTYPE> out: nothing is expanded."
        ) from None
    except (ParseError, ValueError, LookupError) as error:  # of an encoding that Python does not know, too
        raise document_invalid_error(f"{document_name} is no XML that can be read: {error}.", remedy) from None
    return root

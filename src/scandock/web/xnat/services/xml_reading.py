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


def off(message: str, remedy: str) -> Usage:
    """What is wrong with a document."""
    return RequestInvalid(message, remedy)


class _Builder:
    """Puts elements together by their names as `named` gives them, as many and as deep as may be."""

    def __init__(self, what: str, remedy: str, named: Callable[[str], str]) -> None:
        self._tree = ET.TreeBuilder()
        self._what, self._remedy = what, remedy
        self._depth = self._count = 0
        self._named = named

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth, self._count = self._depth + 1, self._count + 1
        if self._depth > MAX_DEPTH:
            raise off(f"{self._what} is nested more than {MAX_DEPTH} deep.", self._remedy)
        if self._count > MAX_ELEMENTS:
            raise off(f"{self._what} has more than {MAX_ELEMENTS} elements.", self._remedy)
        self._tree.start(self._named(name), attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(self._named(name))

    def data(self, text: str) -> None:
        self._tree.data(text)

    def close(self) -> ET.Element:
        return self._tree.close()


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def read_xml(body: bytes, what: str, remedy: str, *, named: Callable[[str], str] = _local) -> ET.Element:
    """A document's elements by their local names; comments and the like are passed over. Usage `request_invalid`.

    `what` it is and the `remedy` are said where it can't be read. Names of attributes with a namespace of their own
    keep it, as `{namespace}name`. `named` makes the names of elements of such ones.
    """
    parser: Any = DefusedXMLParser(target=_Builder(what, remedy, named), forbid_dtd=True)
    try:
        parser.feed(body)
        root: ET.Element = parser.close()
    except DefusedXmlException:
        raise off(
            f"{what} has a document type: DOCTYPE is disallowed.", "Leave <!DOCTYPE> out: nothing is expanded."
        ) from None
    except (ParseError, ValueError, LookupError) as error:  # of an encoding that Python does not know, too
        raise off(f"{what} is no XML that can be read: {error}.", remedy) from None
    return root

"""XML that clients send: read without any document type, so that nothing in it is expanded, and within limits."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from scandock.model.errors import Usage

MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 100_000


def off(message: str, remedy: str) -> Usage:
    """What is wrong with a document."""
    return Usage("request_invalid", message, remedy)


def read_xml(body: bytes, what: str, remedy: str) -> ET.Element:
    """A document's elements by their local names; comments and the like are passed over. Usage `request_invalid`.

    `what` it is and the `remedy` are said where it can't be read. Names of attributes with a namespace of their own
    keep it, as `{namespace} name`.
    """
    builder = ET.TreeBuilder()
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH:
            raise off(f"{what} is nested more than {MAX_DEPTH} deep.", remedy)
        if count > MAX_ELEMENTS:
            raise off(f"{what} has more than {MAX_ELEMENTS} elements.", remedy)
        builder.start(name.rpartition(" ")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition(" ")[2])

    def doctype(*_: object) -> None:
        raise off(f"{what} has a document type: DOCTYPE is disallowed.", "Leave <!DOCTYPE> out: nothing is expanded.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # of an encoding that Python does not know, too
        raise off(f"{what} is no XML that can be read: {error}.", remedy) from None
    return builder.close()

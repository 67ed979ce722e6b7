"""Texts as XML can hold them."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

NOT_IN_XML: Final = {ord(chr(code)): None for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}
"""Characters that XML can't hold."""


def text(value: str) -> str:
    """Text that XML can hold."""
    return escape(value.translate(NOT_IN_XML))


def quote_attribute(value: str) -> str:
    """A value as an attribute has it, with its quotes."""
    return quoteattr(value.translate(NOT_IN_XML))

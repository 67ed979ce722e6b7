"""Texts with numbered gaps, as Java's MessageFormat fills them: `{0}`, apostrophes quote, two of them are one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_INDEX: Final = re.compile(r"\d{1,9}", re.ASCII)


class FormatError(ValueError):
    """A pattern that can't be read; says why without quoting it."""


def format_message(pattern: str, values: Sequence[str | None]) -> Iterator[str]:
    """The pieces of a message, in order; an absent value is the word null. Raises FormatError.

    A gap with a kind, as `{0,number}`, is refused: all values are texts here, which Java's kinds do not take.
    """
    at, end, quoted = 0, len(pattern), False
    while at < end:
        sign = pattern[at]
        if sign == "'":
            if pattern.startswith("''", at):
                yield "'"
                at += 2
                continue
            quoted = not quoted
            at += 1
        elif sign == "{" and not quoted:
            close = pattern.find("}", at)
            if close < 0:
                raise FormatError("a pattern has a brace that isn't closed")
            written = pattern[at + 1 : close]
            if _INDEX.fullmatch(written) is None:
                raise FormatError("a pattern has braces without a number in them")
            index = int(written)
            if index >= len(values):
                yield "{" + str(index) + "}"
            else:
                value = values[index]
                yield "null" if value is None else value
            at = close + 1
        else:
            yield sign
            at += 1

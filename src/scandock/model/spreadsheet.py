"""Tables as CSV for people's spreadsheets: no cell runs as a formula (OWASP, CSV Injection).

Names come from strangers' archives. A text that a spreadsheet would run gets a `'` in front, which makes it text there;
numbers stay numbers. Every CSV that Scandock writes is written here (`tests/unit/model/test_spreadsheet.py` looks).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, overload

_BEGINNINGS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""Signs that begin a formula, and their full-width forms, which East Asian spreadsheets take for them."""

_PASSED_OVER: Final = ' \\v\\f\\x00"\u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff'
"""Blanks and quotes, which a spreadsheet may drop before it looks for a formula."""

# a cell begins at the text's beginning, and also behind what some spreadsheets take for the end of one
# (semicolon, tab, line break); each of those ends what is passed over, so that the search is linear
_FORMULA: Final = re.compile(f"((?:^|(?<=[;\t\r\n]))[{_PASSED_OVER}']*)([{_BEGINNINGS}])")
_BREAKS: Final = ("\t", "\r", "\n")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?")


class _Writable(Protocol):
    """What takes text: a file, a stream."""

    def write(self, text: str, /) -> Any: ...  # noqa: ANN401  as the standard library has it


@overload
def escape_cell(value: str) -> str: ...
@overload
def escape_cell(value: object) -> object: ...
def escape_cell(value: object) -> object:
    """The value of a cell that a spreadsheet shows and does not run; what is no text, or a number, is left as it is.

    Done twice, it changes nothing more.
    """
    if not isinstance(value, str) or not value or _NUMBER.fullmatch(value):
        return value
    text = _FORMULA.sub(_add_quote, value)
    return f"'{text}" if text.startswith(_BREAKS) else text


def _add_quote(match: re.Match[str]) -> str:
    passed_over, sign = match.groups()
    if "'" in passed_over:  # that is text already
        return match.group()
    return f"'{passed_over}{sign}"


class TableWriter:
    """Writes rows as CSV; `exact` leaves the cells' bytes as they are, for programs."""

    def __init__(self, file: _Writable, *, line_end: str = "\r\n", exact: bool = False) -> None:
        self._rows = csv.writer(file, lineterminator=line_end)
        self._exact = exact

    def write_row(self, row: Sequence[object]) -> None:
        self._rows.writerow(row if self._exact else [escape_cell(value) for value in row])

    def write_rows(self, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self.write_row(row)

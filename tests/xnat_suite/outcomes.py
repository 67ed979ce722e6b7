"""The page that says what came of each test of other suites: docs/xnat-suites.md, made and checked here.

`python -m tests.xnat_suite.outcomes` writes the part of the original's suite anew from the marks of our tests and from
`OUT`, and the counts of both suites into docs/xnat-compatibility.md; tests/clients/test_pyxnat_own.py writes the part
of pyxnat's own tests from a run.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.xnat_suite.out import OUT

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "xnat-suites.md"
NAMED_ON: Final = PAGE.with_name("xnat-compatibility.md")
"""The page that names that one, with its counts."""
ORIGINAL: Final = "original"
PYXNAT: Final = "pyxnat"
MODULES: Final = ("import", "archiving", "files", "experiments", "assessors", "modalities", "projects")
_COUNTED: Final = {ORIGINAL: "Of the original's tests", PYXNAT: "Of pyxnat's own tests"}
"""What stands before the number of those that pass."""
_ROW: Final = re.compile(r"\| `([^`|]+)` \| (passes|stays out) \| ([^|]*) ?\|")


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a test: it passes, or there is a reason why it stays out."""

    name: str
    passes: bool
    reason: str = ""

    def __str__(self) -> str:
        return f"| `{self.name}` | {'passes' if self.passes else 'stays out'} | {self.reason} |"


def of_the_original() -> list[Row]:
    """The outcomes of the original's tests, as our tests of them are marked; a test that fails is one of ours."""
    rows = [Row(name, not reason, reason) for name, reason in _marked()]
    return sorted([*rows, *(Row(name, False, reason) for name, reason in OUT.items())], key=lambda row: row.name)


def _marked() -> Iterator[tuple[str, str]]:
    """Each of the original's tests that one of ours is, with the reason why that has to fail, if it has."""
    for name in MODULES:
        module = importlib.import_module(f"tests.xnat_suite.test_original_{name}")
        for test in vars(module).values():
            marks = getattr(test, "pytestmark", None)
            if not callable(test) or marks is None:
                continue
            yield from _named(marks)
            for one in (value for mark in marks if mark.name == "parametrize" for value in mark.args[1]):
                yield from _named(getattr(one, "marks", ()))


def _named(marks: Iterable[Any]) -> Iterator[tuple[str, str]]:
    marks = list(marks)
    reason = next((str(mark.kwargs["reason"]) for mark in marks if mark.name == "xfail"), "")
    for mark in marks:
        if mark.name == "original":
            yield from ((name, reason) for name in mark.args)


def _part(page: str, part: str) -> tuple[int, int]:
    """Where a part's rows are in the page."""
    begin = page.index(f"<!-- {part} -->")
    return page.index("|---|---|---|\n", begin) + len("|---|---|---|\n"), page.index(f"<!-- /{part} -->")


def rows_of(page: str, part: str) -> list[Row]:
    """The rows of a part of the page."""
    begin, end = _part(page, part)
    return [Row(one[1], one[2] == "passes", one[3].strip()) for one in _ROW.finditer(page[begin:end])]


def with_rows(page: str, part: str, rows: Sequence[Row]) -> str:
    """The page with other rows in a part, and their number in the sentence before them."""
    begin, end = _part(page, part)
    page = page[:begin] + "".join(f"{row}\n" for row in rows) + page[end:]
    passing = f"**{sum(row.passes for row in rows)} of {len(rows)}**"
    return re.sub(rf"({_COUNTED[part]}) \*\*\d+ of \d+\*\*", rf"\1 {passing}", page)


def with_counts(text: str, page: str) -> str:
    """The text of a page that says how many tests pass, with the counts of `page`."""
    for part, before in {ORIGINAL: "the original's own REST suite", PYXNAT: "of pyxnat's own"}.items():
        rows = rows_of(page, part)
        text = re.sub(rf"({before}) \d+ of \d+", rf"\1 {sum(row.passes for row in rows)} of {len(rows)}", text)
    return text


if __name__ == "__main__":
    PAGE.write_text(with_rows(PAGE.read_text(), ORIGINAL, of_the_original()))
    NAMED_ON.write_text(with_counts(NAMED_ON.read_text(), PAGE.read_text()))

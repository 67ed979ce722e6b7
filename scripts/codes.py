"""Write the rows of docs/codes.md from the classes of errors and the tables of codes: `python -m scripts.codes`.

A row stands where people want it: a code that has none yet needs a line with as many empty cells as its table has.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import scandock.web.app  # with every module of the server
from scandock.access.principal import AccessDenied
from scandock.model.errors import Coded
from scandock.rules.notices import CODES as NOTICES
from scandock.rules.notices import UPLOAD_WARNINGS
from scandock.rules.receipt_codes import ARCHIVES, ENTRIES

PAGE = Path(__file__).resolve().parent.parent / "docs/codes.md"
_ROW = re.compile(r"^\| `([a-z0-9_]+)` \|.*\|$", re.MULTILINE)


def classes(base: type[Coded] = Coded) -> Iterator[type[Coded]]:
    """Every class of an error that has a code, once every module is imported that has some."""
    if base is Coded:
        for module in pkgutil.walk_packages(scandock.__path__, "scandock."):
            if module.name.endswith("errors"):
                import_module(module.name)
    for made in base.__subclasses__():
        if hasattr(made, "CODE"):
            yield made
        yield from classes(made)


def rows() -> dict[str, list[str]]:
    """Code -> its rows, of which no two have as many cells: with statuses and without, of receipts, of sessions."""
    found: dict[str, list[str]] = {}
    every = list(classes())
    for code in {made.CODE for made in every}:
        own = [made for made in every if code == made.CODE and hasattr(made, "MEANING")]
        asking = [made for made in own if _is_without_status(made)]
        answered = [made for made in own if made not in asking] or asking
        if own:
            plain, statuses = _one(asking or answered), {str(made.STATUS) for made in answered if made.ANSWERED}
            found[code] = [
                f"| `{code}` | {plain} |",
                f"| `{code}` | {', '.join(sorted(statuses)) or '-'} | {_one(answered)} |",
            ]
    for code, notice in NOTICES.items():
        row = f"| `{code}` | {notice.kind} | {notice.section} | {notice.sentence} | {notice.remedy} |"
        found.setdefault(code, []).append(row)
    for code, meaning in UPLOAD_WARNINGS.items():
        found.setdefault(code, []).append(f"| `{code}` | {meaning} |")
    for code, entry in ENTRIES.items():
        verdicts = ", ".join(sorted(entry.verdicts))
        found.setdefault(code, []).append(f"| `{code}` | {verdicts} | {entry.sentence} | {entry.remedy} |")
    for code, archive in ARCHIVES.items():
        mark = "entry" if archive.verdicts else ""
        remedy = f"{archive.remedy} The setting is `{archive.setting}`." if archive.setting else archive.remedy
        found.setdefault(code, []).append(f"| `{code}` | {mark} | {archive.sentence} | {remedy} |")
    return found


def _is_without_status(made: type[Coded]) -> bool:
    """Whether a class is of a table without statuses where its code has another one: of commands, or of who asks."""
    return issubclass(made, AccessDenied) or made.__module__.startswith("scandock.cli.")


def _one(made: list[type[Coded]]) -> str:
    """What all of them mean. Raises ValueError where they say it in several ways."""
    (meaning,) = {one.MEANING for one in made}
    return meaning


def cells(row: str) -> int:
    """How many cells a row has, by which its table is known."""
    return row.count("|") - 1


def written(page: str) -> str:
    """The page with these rows. Raises ValueError for a code that has no row, or for a row whose code has none."""
    every, met = rows(), set()

    def row_of(found: re.Match[str]) -> str:
        met.add(found[1])
        like = [row for row in every.get(found[1], []) if cells(row) == cells(found[0])]
        if len(like) != 1:
            raise ValueError(f"docs/codes.md has a row of {found[1]} that no class or table has")
        return like[0]

    page = _ROW.sub(row_of, page)
    if every.keys() - met:
        raise ValueError(f"docs/codes.md has no row of {', '.join(sorted(every.keys() - met))}")
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

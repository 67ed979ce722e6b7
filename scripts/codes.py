"""Write the rows of docs/codes.md whose codes have classes of errors: `python -m scripts.codes`.

A row stands where people want it: a code that has none yet needs a line `| `code` | | |` in one of the page's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import scandock.web.app  # every class is there once the application is
from scandock.model.errors import CodedUsage

assert scandock.web.app
PAGE = Path(__file__).resolve().parent.parent / "docs/codes.md"


def classes(base: type[CodedUsage] = CodedUsage) -> Iterator[type[CodedUsage]]:
    """Every class below `base`."""
    for one in base.__subclasses__():
        yield one
        yield from classes(one)


def rows() -> dict[str, str]:
    """Code -> its row."""
    statuses: dict[str, set[int]] = {}
    meanings: dict[str, set[str]] = {}
    for one in classes():
        statuses.setdefault(one.CODE, set()).add(one.STATUS)
        meanings.setdefault(one.CODE, set()).add(one.MEANING)
    return {
        code: f"| `{code}` | {', '.join(map(str, sorted(statuses[code])))} | {' '.join(sorted(meanings[code]))} |"
        for code in statuses
    }


def written(page: str) -> str:
    """The page with these rows. Raises ValueError for a code that has no row, or several."""
    for code, row in rows().items():
        kept = row.replace("\\", r"\\")
        page, count = re.subn(rf"^\| `{code}` \|[^|]*\|[^|]*\|$", kept, page, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"docs/codes.md has {count} rows of {code}; it needs one")
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

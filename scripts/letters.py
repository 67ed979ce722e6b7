"""Write `src/scandock/rules/letters.txt`: what Latin, Greek and Cyrillic letters of a name are in a label.

By anyascii (ISC license), of whose texts letters and digits stay. The pages' scripts read the same file, so that a
preview names subjects as the import does. `python -m scripts.letters`
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Final

from anyascii import anyascii

FILE: Final = Path(__file__).parent.parent / "src" / "scandock" / "rules" / "letters.txt"
OTHER: Final = "?"
"""Stands for a letter or number of which no label is made."""
_SCRIPTS: Final = re.compile(r"\b(LATIN|GREEK|CYRILLIC)\b|^MODIFIER LETTER (?!GEORGIAN)|^(SMALL )?ROMAN NUMERAL\b")
_WITHOUT_THE_NAME: Final = "ªºµˇℲⅎ"
"""Letters of these scripts whose names do not say it. `µ` is the Greek one, by its name alone a sign."""
_MARKS: Final = ((0x300, 0x36F), (0x483, 0x487), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0xFE20, 0xFE2F))
"""Combining marks that letters of these scripts bear. Those that make one letter with it are composed before."""


def file_text() -> str:
    """The file: `FIRST LAST TEXT` in hexadecimal, TEXT empty where nothing stays of a character."""
    lines = [f"# anyascii {version('anyascii')}, Unicode {unicodedata.unidata_version}: made by scripts/letters.py"]
    lines += [f"{first:04x} {last:04x} {text}".rstrip() for first, last, text in _ranges()]
    return "\n".join(lines) + "\n"


def _ranges() -> Iterator[tuple[int, int, str]]:
    """Runs of code points of one text; those of other letters go over gaps of marks and of what is not assigned yet."""
    known = [(code, text) for code in range(0x80, sys.maxunicode + 1) if (text := _text(code)) is not None]
    runs = [
        (run[0][0], run[-1][0], run[0][1])
        for _, group in groupby(enumerate(known), lambda item: (item[1][0] - item[0], item[1][1]))
        if (run := [one for _, one in group])
    ]
    joined: list[tuple[int, int, str]] = []
    for first, last, text in runs:
        if joined and text == joined[-1][2] == OTHER and _is_gap(joined[-1][1] + 1, first):
            joined[-1] = (joined[-1][0], last, OTHER)
        else:
            joined.append((first, last, text))
    yield from joined


def _is_gap(begin: int, end: int) -> bool:
    return all(unicodedata.category(chr(code)) in {"Cn", "Mn", "Mc", "Me"} for code in range(begin, end))


def _text(code: int) -> str | None:
    """What a character becomes; None: it is no letter, number or mark, and becomes `_` as all others do."""
    if any(first <= code <= last for first, last in _MARKS):
        return ""
    char = chr(code)
    category = unicodedata.category(char)
    if category[0] not in "LN":
        return None
    if unicodedata.normalize("NFC", char) != char:
        return None  # names are composed first, so that it never comes
    if not _SCRIPTS.search(unicodedata.name(char, "")) and char not in _WITHOUT_THE_NAME:
        return OTHER
    text = re.sub("[^A-Za-z0-9]", "", anyascii(char))
    return text if text or category[0] == "L" else OTHER


if __name__ == "__main__":
    FILE.write_text(file_text(), "utf-8")

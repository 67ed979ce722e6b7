"""Names in letters of other alphabets, as labels spell them (rules.md, "Names").

The table is a file (`letters.txt`, from anyascii by scripts/letters.py) that the pages' scripts read too, so that what
is shown before an upload is what the import does, on every version of Python and of browsers.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import cache
from typing import Final
from unicodedata import normalize

LETTERS_FILE: Final = os.path.join(os.path.dirname(__file__), "letters.txt")
_OTHER: Final = "?"
"""What the file has for letters and numbers that can't be spelled."""
_UNREADABLE: Final = "\ufffd"
"""Stands for bytes that are no character of the object's set: nobody knows which letter it was."""


def transliterate(text: str) -> str | None:
    """`text` with its Latin, Greek and Cyrillic letters in ASCII, or None where it has a letter or number of others.

    All other characters stay. A letter and its combining marks count as the letter that both make.
    """
    if text.isascii():
        return text
    letters = []
    for char in normalize("NFC", text):
        letter = char if char.isascii() else spell_letter(char)
        if letter is None:
            return None
        letters.append(letter)
    return "".join(letters)


def spell_letter(char: str) -> str | None:
    """A character outside ASCII in ASCII; itself where it is no letter, None where it can't be spelled."""
    firsts, ranges = _table()
    at = bisect_right(firsts, ord(char)) - 1
    if at >= 0 and ord(char) <= ranges[at][0]:
        return None if ranges[at][1] == _OTHER else ranges[at][1]
    return None if char == _UNREADABLE else char


@cache
def _table() -> tuple[list[int], list[tuple[int, str]]]:
    """The first code point of each range, and its last one with what its characters become."""
    with open(LETTERS_FILE, encoding="utf-8") as file:
        lines = file.read().splitlines()[1:]
    parts = [(line + " ").split(" ")[:3] for line in lines]
    return [int(first, 16) for first, _, _ in parts], [(int(last, 16), text) for _, last, text in parts]

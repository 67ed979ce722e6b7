"""Names of persons as they are compared: without case and accents, in each component group by itself (PS3.4 C.2.2.2).

A value of PN has up to three groups, joined by `=`: alphabetic, ideographic, phonetic (PS3.5 6.2.1).
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

GROUPS: Final = 3


class NameKey(NamedTuple):
    """The folded component groups of a name; "" where there is none."""

    alphabetic: str
    ideographic: str
    phonetic: str


def name_key(name: str) -> NameKey:
    """The groups of a name, folded; of several names the first one's."""
    groups = [fold_name(group) for group in name.split("\\", 1)[0].split("=")[:GROUPS]]
    return NameKey(*groups, *[""] * (GROUPS - len(groups)))


def fold_name(text: str) -> str:
    """One component group without case, accents, blanks around its components, and empty components at its end."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
    folded = unicodedata.normalize("NFC", plain)  # what is made of parts in other scripts, as Hangul, is whole again
    return "^".join(" ".join(component.split()) for component in folded.split("^")).rstrip("^")

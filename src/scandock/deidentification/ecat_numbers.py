"""Texts where ECAT headers have numbers: told by what the numbers would be, or by letters or digits in a row."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple


class Number(NamedTuple):
    """A number of a header: where it stands, struct's letter, and the least and most that it sensibly is, but for 0."""

    at: int
    kind: str
    least: float
    most: float

    @property
    def end(self) -> int:
        return self.at + struct.calcsize(self.kind)


_KINDS: Final = {
    "f": ("f", 2e-4, 1e6),  # a length, an angle
    "M": ("f", 0, 1e6),  # one that can be nearly 0, as of a matrix
    "D": ("f", 1e-3, 1e12),  # a dose, a half-life
    "F": ("f", 1e-12, 1e12),
    "h": ("h", 1, 8191),
    "V": ("h", 1, 2.0**16),  # a voxel
    "i": ("i", 1, 2.0**29),
    "T": ("i", 1, 2.0**32),  # a time
}
"""By the letters of the tables below: struct's letter, the least and the most."""


def _numbers(table: str) -> tuple[Number, ...]:
    numbers = []
    for begin, kinds in (line.split() for line in table.strip().splitlines()):
        at = int(begin)
        for count, kind in re.findall(r"(\d*)(\w)", kinds):
            for _ in range(int(count or 1)):
                numbers.append(Number(at, *_KINDS[kind]))
                at = numbers[-1].end
    return tuple(numbers)


MAIN_NUMBERS: Final = _numbers("""
46 2h
74 D
110 4M2h2f3hF3h
216 3f
352 4h16Mf3h
444 h2fTDf
""")
"""Numbers of the main header that stand beside others; one of two bytes can't be told from a text."""

IMAGE_NUMBERS: Final = _numbers("""
0 5h3MfF
30 2V3f2ih7f4i3fh2M
162 9M2f2h2f2h3M3h
""")
"""Numbers of an image's subheader."""

_TEXT: Final = re.compile(rb"[ -~\xc0-\xff]{4,}")
_WORDS: Final = re.compile(rb"[A-Z]{6}|[A-Za-z][a-z]{5}|[A-Z][a-z]{3}[A-Z][a-z]|[0-9]{6}|[A-Za-z0-9 .,^'-]{9}")
"""What numbers hardly ever look like by chance: letters as people write them, digits, or more of both and of blanks.

The first byte of numbers from 8 to 500,000 is a capital, so that one header in a hundred has six letters in a row, but
one in five hundred in the capitals and small letters of a word, or of two words without a blank.
"""


def find_text(raw: bytes, order: str, numbers: Sequence[Number]) -> list[Number]:
    """Those of `numbers`, in their order, over which a text runs.

    That is one of four characters and more where a number that it touches makes no sense, or one with a word of six
    letters, with six digits in a row, or with nine of both and of blanks.
    """
    found: list[Number] = []
    for begin, end in _regions(numbers):
        for match in _TEXT.finditer(raw, begin, end):
            touched = [number for number in numbers if number.at < match.end() and number.end > match.start()]
            if _WORDS.search(match[0]) or not all(_is_sensible(raw, order, number) for number in touched):
                found += touched
    return found


def has_words(raw: bytes) -> bool:
    """Whether a word of six letters, six digits, or nine of both and of blanks stand in a row."""
    return _WORDS.search(raw) is not None


def _regions(numbers: Sequence[Number]) -> Iterator[tuple[int, int]]:
    """Offsets between which numbers stand side by side."""
    begin = end = numbers[0].at
    for number in numbers:
        if number.at != end:
            yield begin, end
            begin = number.at
        end = number.end
    yield begin, end


def _is_sensible(raw: bytes, order: str, number: Number) -> bool:
    value = struct.unpack_from(order + number.kind, raw, number.at)[0]
    return value == 0 or bool(number.least <= abs(value) <= number.most)

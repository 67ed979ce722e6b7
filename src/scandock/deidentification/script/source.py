"""The text of a script before it is parsed: lines joined, comments blanked, and where each sign stood."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from scandock.model.dataclass import dataclass

_JOINT: Final = re.compile(r"\\\r?\n")
_DEEPEST: Final = 40
"""Blocks, lists and calls within each other."""


@dataclass(frozen=True)
class Source:
    """What is parsed, and how its offsets become lines and columns of what was written."""

    text: str
    _joints: tuple[tuple[int, int], ...]
    """Offsets of `text` at which signs were left out before it, and how many in all."""
    _lines: tuple[int, ...]
    """Where the lines of the written text begin."""

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of an offset of `text`."""
        index = bisect_right(self._joints, (offset, 1 << 62)) - 1
        written = offset + (self._joints[index][1] if index >= 0 else 0)
        line = bisect_right(self._lines, written) - 1
        return line + 1, written - self._lines[line] + 1


def read_source(written: str) -> Source:
    """Join the lines that end in a backslash, then blank the comments (which leaves all else where it stood)."""
    joints, pieces, at, left_out = [], [], 0, 0
    for match in _JOINT.finditer(written):
        pieces.append(written[at : match.start()])
        left_out += len(match[0])
        joints.append((match.end() - left_out, left_out))
        at = match.end()
    pieces.append(written[at:])
    lines = (0, *(match.end() for match in re.finditer("\n", written)))
    text = "\n".join(_blank_comment(line) for line in "".join(pieces).split("\n"))
    return Source(text, tuple(joints), lines)


def find_too_deep(text: str) -> int | None:
    """The offset of the first bracket that opens more levels than are read; None where none does."""
    depth, quoted = 0, False
    for offset, sign in enumerate(text):
        if sign in {'"', "\n"}:
            quoted = sign == '"' and not quoted
        elif quoted:
            continue
        elif sign in "{[(":
            depth += 1
            if depth > _DEEPEST:
                return offset
        elif sign in ")]}":
            depth -= 1
    return None


def _blank_comment(line: str) -> str:
    """A line without its comment: from `//` outside quotes on, unless a colon stands before it, as in http://."""
    quoted = False
    for at, sign in enumerate(line):
        if sign == '"':
            quoted = not quoted
        elif sign == "/" and not quoted and line.startswith("//", at) and line[at - 1 : at] != ":":
            end = len(line.rstrip("\r"))
            return line[:at] + " " * (end - at) + line[end:]
    return line

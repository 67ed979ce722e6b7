"""What is shown in the place of a picture that can't be made: its reason, as a small drawing."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Final

_COLUMNS: Final = 24
_LINES: Final = 8
MEDIA_TYPE: Final = "image/svg+xml"


def draw_placeholder(reason: str) -> bytes:
    """An SVG of 256 x 256 with the reason on it; whatever stands in it, it is text."""
    plain = "".join(char if char.isprintable() else " " for char in reason)
    lines = textwrap.wrap(plain, _COLUMNS, max_lines=_LINES, placeholder=" …", break_long_words=True)
    top = 128 - 12 * (len(lines) - 1) + 6
    texts = "".join(
        f'<text x="128" y="{top + 24 * at}" text-anchor="middle">{escape(line)}</text>' for at, line in enumerate(lines)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256" viewBox="0 0 256 256">'
        '<rect width="256" height="256" fill="#1c262a"/>'
        '<rect x="4.5" y="4.5" width="247" height="247" rx="8" fill="none" stroke="#5c6d73" stroke-dasharray="5 5"/>'
        f'<g font-family="sans-serif" font-size="18" fill="#cbd8db">{texts}</g></svg>'
    ).encode()

"""Names out of archives, made fit to stand in a sentence that a person or a terminal reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LONGEST: Final = 120

_display: ContextVar[Callable[[str], str] | None] = ContextVar("display", default=None)


@contextmanager
def display_names_by(display: Callable[[str], str] | None) -> Iterator[None]:
    """Within the context let sentences name what `display` makes of a name, where names may not be known."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)


def display_name(name: str) -> str:
    """What a sentence calls something of this name."""
    display = _display.get()
    return name if display is None else display(name)


def quote(name: str) -> str:
    """`name`, as it is displayed, in quotes, on one line: what does not print is escaped, of a long one the middle cut.

    Control characters, line ends, terminal escapes, text-direction marks and lone surrogates all become escapes.
    The end of a long name stays, since the file's own name stands there.
    """
    name = display_name(name)
    if len(name) > LONGEST:
        half = LONGEST // 2
        name = f"{name[:half]}...{name[-half:]}"
    return f"'{escape_name(name)}'"


def escape_name(name: str) -> str:
    """`name` whole, with what does not print as escapes: for tables, where quotes would only be in the way."""
    if name.isprintable():
        return name
    return "".join(char if char.isprintable() else _escaped(char) for char in name)


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def decode_file_name(name: str) -> str:
    """A file name of this system as text: UTF-8 where valid, else Latin-1, as in a tar; never holds a surrogate."""
    raw = os.fsencode(name)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def as_sizes(one: int, other: int) -> tuple[str, str]:
    """Two numbers of bytes that are not the same, as `as_size`; in bytes where that would not tell them apart."""
    if as_size(one) != as_size(other):
        return as_size(one), as_size(other)
    return f"{one:,} bytes", f"{other:,} bytes"


def as_size(count: int) -> str:
    """A number of bytes as people read it: 812 bytes, 1.5 MB, 2.0 GB (powers of ten)."""
    if count < 1000:
        return f"{count} bytes" if count != 1 else "1 byte"
    figure = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        figure /= 1000
        if figure < 999.95:
            return f"{figure:.1f} {unit}"
    return f"{figure / 1000:.1f} EB"

"""The words of `scandock import` and `scandock inspect` where nothing about them is unusual, read without typer.

typer and what it checks options with take 0.15 s to load. Whatever is not plain here (help, a slip, a value that begins
with a dash, an option of another shape) is left to typer, which reads plain words the same way: a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args

from scandock.model.import_types import Destination, Overwrite, Resources

MAX_WORKERS: Final = 64


def _text(value: str) -> str | None:
    return value or None


def _count(value: str) -> int | None:
    """A number of readers, written in digits alone."""
    is_count = value.isascii() and value.isdecimal() and len(value) <= 2 and 1 <= int(value) <= MAX_WORKERS
    return int(value) if is_count else None


def _one_of(*choices: str) -> Callable[[str], str | None]:
    return lambda value: value if value in choices else None


_VALUES: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "--data": ("data", _text),
    "--project": ("project", _text),
    "--subject": ("subject", _text),
    "--session": ("session", _text),
    "--mapping": ("mapping", _text),
    "--destination": ("destination", _one_of(*get_args(Destination))),
    "--overwrite": ("overwrite", _one_of(*get_args(Overwrite))),
    "--resources": ("resources", _one_of(*get_args(Resources))),
    "--workers": ("workers", _count),
    "--receipt": ("receipt", _text),
    "--receipt-format": ("receipt_format", _one_of("jsonl", "csv")),
}
"""Options with a value: parameter, and what makes its value; None where that is not plain."""
_FLAGS: Final[Mapping[str, tuple[str, bool]]] = {
    "--create-project": ("create_project", True),
    "--json": ("as_json", True),
    "--ignore-unparsable": ("ignore_unparsable", True),
    "--no-ignore-unparsable": ("ignore_unparsable", False),
}


def parse_plain_words(words: Sequence[str]) -> dict[str, Any] | None:
    """The parameters that the words behind a command's name give values to; None where they are not plain.

    No option is named twice, and there are archives.
    """
    values: dict[str, object] = {}
    given: object
    archives: list[str] = []
    left = iter(words)
    for word in left:
        if not _is_plain(word):
            return None
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            archives.append(word)
            continue
        if option in _FLAGS and not equals:
            name, given = _FLAGS[option]
        elif option in _VALUES:
            name, convert = _VALUES[option]
            value = value if equals else next(left, "-")
            given = convert(value) if _is_plain(value) and not value.startswith("-") else None
        else:
            return None
        if given is None or name in values:
            return None
        values[name] = given
    return {**values, "archives": archives} if archives else None


def _is_plain(word: str) -> bool:
    """Whether it is text, and not bytes of no meaning in the locale's encoding."""
    return word.isascii() or not any("\ud800" <= char <= "\udfff" for char in word)

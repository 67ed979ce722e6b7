"""Words that name no person: terms of code strings, and words of protocols and descriptions."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

_NUMBER: Final = r"(?:0|[1-9]\d{0,2})(?:[.,]\d{1,3})?"
_UNITS: Final = r"(?:mm|cm|µm|um|ms|sec|min|hz|khz|mhz|kv|kvp|kev|ma|mas|deg|mg|ml|mmol|mgy|ch|dirs?)"
_WORD: Final = re.compile(
    rf"(?<![^\W_])(?<!\d[.,:/-]){_NUMBER} {_UNITS}(?![^\W_])|(?:[^\W_]|(?<=\d)[.,:/-](?=\d))+%?", re.IGNORECASE
)
"""A number and its unit, or letters and digits, with what joins digits: a date is one word."""
_JOINED: Final = re.compile(r"(?<=\d)[.,:/-](?=\d)")
_QUANTITY: Final = re.compile(rf"{_NUMBER}(?:x{_NUMBER}){{0,2}}(?: ?{_UNITS}|[st%])")
_LEVEL: Final = r"(?:c[1-7]|th?(?:[1-9]|1[0-2])|l[1-5]|s[1-5])"
_TERM: Final = re.compile(
    rf"[234]d|[1-9]x|x[1-9]|p[1-9]|[1-9](?:st|nd|rd|th)|t[12][a-z]?|mp2?rage|{_LEVEL}(?:[/-](?:{_LEVEL}|\d))?"
    r"|(?:te|tr|ti|fa)[1-9]\d{0,2}|(?:etl|acc|iso|dir|run|ph|echo|phase|pass|rec)[1-9]\d?"
)
"""Letters and digits that are terms of protocols: dimensions, factors, vertebrae, times, numbers of echoes and runs."""
_B_VALUE: Final = re.compile(r"b(\d{1,5})")
_TITLES: Final = frozenset({
    "dr", "prof", "professor", "doctor", "mrs", "miss", "mister", "sir", "herr", "frau", "mme", "madame", "monsieur",
    "dra", "sra", "señor", "señora", "signor", "signora", "dott",
})  # fmt: skip
"""What follows is a name, whatever else the word means."""
_WRITTEN_TITLES: Final = frozenset({"Mr", "Ms"})
"""Titles that mean something else in capitals."""
_JOINING: Final = frozenset(" _-/.+:")
_CACHED: Final = 20_000
_LONGEST_CACHED: Final = 256
"""Characters of a text whose words are kept in memory."""
_CODE_WORD: Final = re.compile(r"[A-Z0-9/]+")


def is_code_term(value: str) -> bool:
    """Whether a value of a code string is a term that the standard or a scanner defines, or is made of such terms."""
    term = value.strip().upper()
    known = _code_terms()
    if term in known:
        return True
    words = _CODE_WORD.findall(term)
    return term.isascii() and all(
        word in known or len(word) < 2 or (word.isdigit() and len(word) < 5) for word in words
    )


def keep_words(text: str) -> str:
    """The words of a description that name no person, in their order; "" where there are none."""
    return _kept_words(text) if len(text) <= _LONGEST_CACHED else _kept_words.__wrapped__(text)


@lru_cache(maxsize=_CACHED)
def _kept_words(text: str) -> str:
    kept: list[str] = []
    end, is_name = 0, False
    for match in _WORD.finditer(text):
        word = "" if is_name else _known_part(match[0])
        is_name = (
            match[0].casefold() in _TITLES or match[0] in _WRITTEN_TITLES or (is_name and len(match[0]) == 1)
        )  # an initial has a name behind it
        if word and not is_name:
            between = text[end : match.start()] if end else ""
            if kept:
                kept.append(between if end and len(between) == 1 and between in _JOINING else " ")
            kept.append(word)
            end = match.end() if word == match[0] else 0
        else:
            end = 0
    return "".join(kept)


def _known_part(text: str) -> str:
    """A word that is known; of several that are joined by digits the first ones, if the first begins with a letter."""
    if _is_known(text.casefold()):
        return text
    end = 0
    if text[0].isalpha():
        for piece in _JOINED.split(text):
            if not _is_known(piece.casefold()):
                break
            end += len(piece) + 1
    return text[: max(end - 1, 0)]


def _is_known(word: str) -> bool:
    """Whether a word, in small letters, is one of protocols, a quantity with its unit, or a term with digits."""
    if word in _protocol_words() or _QUANTITY.fullmatch(word) or _TERM.fullmatch(word):
        return True
    match = _B_VALUE.fullmatch(word)
    return match is not None and _is_b_value(match[1])


def _is_b_value(digits: str) -> bool:
    """Whether a number is what b-values are: a multiple of 5 below 100, of 50 below 1000, of 100 up to 20,000."""
    value = int(digits)
    if digits != str(value) or value > 20_000:
        return False
    return value % (5 if value < 100 else 50 if value < 1000 else 100) == 0


@cache
def _protocol_words() -> frozenset[str]:
    return frozenset(word.casefold() for word in _words_of("protocol_words.txt"))


@cache
def _code_terms() -> frozenset[str]:
    terms = set((files(__package__) / "code_terms.txt").read_text("ascii").splitlines())
    terms.update(_words_of("more_code_terms.txt"))
    return frozenset(terms | {word for term in terms for word in _CODE_WORD.findall(term)})


def _words_of(name: str) -> list[str]:
    lines = (files(__package__) / name).read_text("utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]

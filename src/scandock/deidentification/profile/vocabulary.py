"""Words that name no person: terms of code strings, and words of protocols and descriptions."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_UNIT: Final = re.compile(
    r"\d{1,4}(?:mm|cm|ms|s|sec|min|hz|khz|kv|kvp|ma|mas|deg|dir|dirs|d|t|x|p|st|nd|rd|th)"
    r"|[bvpsx]\d{1,4}|(?:te|tr|ti|fa|etl|acc|iso|dir|run|ph|echo|phase|pass|rec|lt|rt)\d{1,4}|\d{1,2}scan|\d|t[12]\w?|mp2?rage"
)
"""Numbers with their units, as protocols name them; a number alone could be an age or an id."""
_TITLES: Final = frozenset({"dr", "prof", "professor", "doctor", "mrs", "miss", "herr", "frau", "mme", "dra", "sra"})
"""What follows is a name, whatever else the word means."""
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
        word = match[0].casefold()
        is_kept = not is_name and (word in _protocol_words() or _UNIT.fullmatch(word) is not None)
        is_name = word in _TITLES
        if is_kept:
            between = text[end : match.start()] if end else ""
            if kept:
                kept.append(between if end and len(between) == 1 and between in _JOINING else " ")
            kept.append(match[0])
            end = match.end()
        else:
            end = 0
    return "".join(kept)


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

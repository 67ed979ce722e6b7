"""Words that name no person: terms of code strings, and words of protocols and descriptions."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from scandock.deidentification.package_files import read_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER: Final = r"(?:0|[1-9]\d{0,2})(?:[.,]\d{1,3})?"
_UNITS: Final = (
    r"(?:mm|cm|µm|um|ms|sec|min|hz|khz|mhz|kv|kvp|kev|ma|mas|deg|mg|ml|mmol|mgy|ch|dirs?|sl|slices?|vols?|frames?)"
)
_WORD: Final = re.compile(
    rf"(?<![^\W_])(?<!\d[.,:/-]){_NUMBER} {_UNITS}(?![^\W_])|(?:[^\W_]|(?<=\d)[.,:/-](?=\d))+%?", re.IGNORECASE
)
"""A number and its unit, or letters and digits, with what joins digits: a date is one word."""
_JOINED: Final = re.compile(r"(?<=\d)[.,:/-](?=\d)")
_QUANTITY: Final = re.compile(rf"{_NUMBER}(?:x{_NUMBER}){{0,2}}(?: ?{_UNITS}|[st%])")
_LEVEL: Final = r"(?:c[1-7]|th?(?:[1-9]|1[0-2])|l[1-5]|s[1-5])"
_TERM: Final = re.compile(
    rf"[234]d|[1-9]x|x[1-9]|p[1-9]|[1-9](?:st|nd|rd|th)|t[12][a-z]?|mp2?rage|{_LEVEL}(?:[/-](?:{_LEVEL}|\d))?"
    r"|(?:(?:te|tr|ti)[1-9]\d{0,2}(?:ms)?|(?:fa|bw)[1-9]\d{0,2})"
    r"|(?:etl|acc|iso|dir|run|ph|echo|phase|pass|rec|mb|sms|ipat|grappa|sense|caipi|nex|nsa|avg|tse|fse|sl)[1-9]\d?"
)
"""Letters and digits that are terms of protocols: dimensions, factors, vertebrae, times, numbers of echoes and runs."""
_B_VALUE: Final = re.compile(r"b(\d{1,5})")
_LONG_TIME: Final = re.compile(r"(?:te|tr|ti)(\d{4,5})(?:ms)?")
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
_LONGEST_CODE: Final = 64
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ &+,./-]+")
"""The repertoire of code strings, and what scanners write beside it (`C-SPINE`, `HEAD & NECK`)."""
_CODE_WORD: Final = re.compile(r"[A-Z0-9]+")
_TEMPLATE: Final = re.compile(r"[1-9]\d{2,4}")
_TEMPLATES: Final = (
    *(range(300, 322), range(1000, 1030), range(1200, 1216), range(1350, 1360), range(1400, 1430), range(1500, 1510)),
    *(range(1600, 1610), range(2000, 2011), range(2100, 2110), range(3000, 3030), range(3100, 3120)),
    *(range(3200, 3275), range(3300, 3330), range(3400, 3470), range(3500, 3580), range(3600, 3605)),
    *(range(3700, 3730), range(3750, 3760), range(3800, 3830), range(3900, 3930), range(4000, 4030)),
    *(range(4100, 4135), range(4200, 4220), range(5000, 5032), range(5100, 5112), range(5200, 5230)),
    *(range(5300, 5345), range(6000, 6010), range(7000, 7005), range(8000, 8010), range(8100, 8155)),
    *(range(8200, 8220), range(8300, 8305), range(9000, 9010), range(10001, 10045), range(15100, 15105)),
)
"""Where the numbers of the templates of PS3.16 are."""
_METHOD_NAMES: Final = frozenset(
    (
        *("BLOEDORN", "CHANDIGARH", "DELCLOS", "FLETCHER_SUIT", "HENSCHKE", "JOSLIN_FLYNN", "MANCHESTER"),
        *("FERMI", "HAMMING", "HANNING", "LORENTZIAN", "RIESZ", "TUKEY"),
    )
)
"""Terms of applicators and of filters that people are called by: terms of their elements alone."""
_MOST_DIGITS: Final = 2
"""Digits of a number within a term that is made of others."""
_MOST_SINGLES: Final = 2
"""Letters and numbers that stand alone in all values of a code string: more of them could spell anything."""


def known_codes(values: Sequence[str]) -> list[bool]:
    """Which values of a code string are terms, or are made of them; no letters and numbers alone if they are many."""
    known = [len(value) <= _LONGEST_CODE and is_code_term(value) for value in values]
    singles = [
        sum(len(word) == 1 or word.isdigit() for word in _CODE_WORD.findall(value.upper())) if is_known else 0
        for value, is_known in zip(values, known, strict=True)
    ]
    if sum(singles) <= _MOST_SINGLES:
        return known
    return [is_known and not count for is_known, count in zip(known, singles, strict=True)]


@lru_cache(maxsize=_CACHED)
def is_code_term(value: str) -> bool:
    """Whether a value of a code string is a term that the standard or a scanner defines, or is made of such terms.

    Beside terms it may have one letter, and one number of up to two digits.
    """
    term = value.strip(" ").upper()
    if not term:
        return True
    if not _CODE_STRING.fullmatch(term):
        return False
    if term in _code_terms():
        return True
    terms = _terms_in_others()
    words = _CODE_WORD.findall(term)
    letters = [word for word in words if len(word) == 1 and word.isalpha()]
    numbers = [word for word in words if word.isdigit()]
    others = [word for word in words if len(word) > 1 and not word.isdigit()]
    is_short = all(len(number) <= _MOST_DIGITS for number in numbers)
    return len(letters) < 2 and len(numbers) < 2 and is_short and bool(others) and terms.issuperset(others)


def is_method_name(value: str) -> bool:
    """Whether a value is a term that is somebody's name, of elements that have such (`MANCHESTER`, `HANNING`)."""
    return value.strip(" ") in _METHOD_NAMES


def is_context_group(value: str) -> bool:
    """Whether a value of ContextIdentifier is the number of a context group of PS3.16."""
    return value in _context_groups()


@cache
def _context_groups() -> frozenset[str]:
    from pydicom.sr._cid_dict import name_for_cid  # large, and seldom needed

    return frozenset(map(str, name_for_cid))


def is_template(value: str) -> bool:
    """Whether a value of TemplateIdentifier is a number that PS3.16 gives to templates, none that is a year."""
    return _TEMPLATE.fullmatch(value) is not None and any(int(value) in numbers for numbers in _TEMPLATES)


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
    if match := _B_VALUE.fullmatch(word):
        return _is_b_value(match[1])
    match = _LONG_TIME.fullmatch(word)
    return match is not None and _is_long_time(match[1])


def _is_b_value(digits: str) -> bool:
    """Whether a number is what b-values are: a multiple of 5 below 100, of 50 below 1000, of 100 up to 20,000."""
    value = int(digits)
    if digits != str(value) or value > 20_000:
        return False
    return value % (5 if value < 100 else 50 if value < 1000 else 100) == 0


def _is_long_time(digits: str) -> bool:
    """Whether a number is what milliseconds of a second and more are: a multiple of 10 up to 20,000, and no year."""
    value = int(digits)
    is_year = 1900 < value < 2100 and value % 100 != 0
    return digits == str(value) and value <= 20_000 and value % 10 == 0 and not is_year


@cache
def _protocol_words() -> frozenset[str]:
    return frozenset(word.casefold() for word in _words_of("protocol_words.txt"))


@cache
def _code_terms() -> frozenset[str]:
    terms = set(read_beside(__file__, "code_terms.txt").splitlines())
    terms.update(_words_of("more_code_terms.txt"))
    return frozenset(terms - _METHOD_NAMES)


@cache
def _terms_in_others() -> frozenset[str]:
    """Terms of one word, and the words of what scanners write: others are made of them."""
    words = {word for term in _words_of("more_code_terms.txt") for word in _CODE_WORD.findall(term)}
    return frozenset(words | {term for term in _code_terms() if _CODE_WORD.fullmatch(term)})


def _words_of(name: str) -> list[str]:
    lines = read_beside(__file__, name).splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]

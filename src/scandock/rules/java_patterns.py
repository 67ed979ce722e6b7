r"""Java's regular expressions by Python's `re`, bounded: scripts and import filters are written for Java.

Translated are named groups, `\Q..\E`, `\h \v \R \z \Z \e \cx \x{h}`, octal and POSIX classes, `\p{L}` and other general
categories (of the basic plane), unions of classes, flags within a pattern, and what `.` stops at. What has no like in
Python (`&&` in classes, `\G`, `\X`, other `\p{}`) is refused.

Bounded as routing rules are: a repetition that repeats a repetition is refused, as it may never end, and a value is cut
at 1,024 characters before it is matched, earlier for patterns that take long. How that is told is in `pattern_bounds`.
"""

from __future__ import annotations

import re
import sys
import unicodedata
import warnings
from functools import lru_cache
from math import factorial, log2
from typing import Final, NamedTuple

from scandock.rules.pattern_bounds import MANY_ENDS, begins_anywhere, loose_ranges, may_run_away

MAX_VALUE: Final = 1024
_CUTS: Final = (MAX_VALUE, 600, 200, 64)
_MOST_BITS: Final = 26.7
"""What a pattern may take at most, as a power of two: a second or so."""
MAX_PATTERN: Final = 2000
_POSIX: Final = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
_CATEGORIES: Final = re.compile(r"(?:Is)?([CLMNPSZ][a-z]?)")
_BLANKS: Final = " \\t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
_LINE_ENDS: Final = "\\n\\x0b\\f\\r\x85\u2028\u2029"
_DOT: Final = "[^\\n\\r\x85\u2028\u2029]"
_CLASSES: Final = {"h": _BLANKS, "v": _LINE_ENDS}
_SAME: Final = frozenset("tnrfadDsSwWbBA")
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])")


class PatternError(ValueError):
    """A pattern that isn't run; says why without quoting it."""


class PatternUnsupported(PatternError):
    """A pattern that Java has and that isn't run here."""


class RunawayPattern(PatternUnsupported):
    """A pattern that may take forever."""


class Pattern(NamedTuple):
    """A pattern, and at how many characters a value is cut before it is matched."""

    compiled: re.Pattern[str]
    most: int


_CODES: Final = (
    (re.compile(r"\\0([0-3]?[0-7]{1,2})"), 8),
    (re.compile(r"\\x([0-9A-Fa-f]{2})"), 16),
    (re.compile(r"\\u([0-9A-Fa-f]{4})"), 16),
    (re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}"), 16),
)
"""Characters by their codes, and the base of these."""


@lru_cache(maxsize=512)
def compile_pattern(
    pattern: str, *, is_search: bool = False, ignore_case: bool = False, value_length: int | None = None
) -> Pattern:
    """Java's pattern, as Python matches it; `is_search`: it may begin anywhere in a value. Raises PatternError.

    `value_length`: values are cut there and nowhere else; a pattern that would take long for that is refused.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternUnsupported(f"a pattern is longer than {MAX_PATTERN} characters")
    python, flags = _Translator(pattern, ignore_case=ignore_case).translate()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if may_run_away(python, flags):
                raise RunawayPattern("a pattern repeats a repetition, which may never end")
            ranges = loose_ranges(python, flags)
            if is_search and begins_anywhere(python, flags):
                python = f"(?:\\A|(?<=[\\n\\r\x85\u2028\u2029]))(?:{python})"
            elif is_search:
                ranges.append(MANY_ENDS)
            return Pattern(re.compile(python, flags), _cut_of(ranges, (value_length,) if value_length else _CUTS))
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        if isinstance(error, PatternError):
            raise
        raise PatternError("a pattern can't be read") from None


def _cut_of(ranges: list[int], cuts: tuple[int, ...]) -> int:
    """At how many characters values are cut, so that a pattern with these loose repetitions takes no long."""
    for cut in cuts:
        unbounded = sum(ends >= cut for ends in ranges)
        bits = sum(log2(min(ends, cut) + 1) for ends in ranges) - log2(factorial(unbounded))
        if bits <= _MOST_BITS:
            return cut
    raise RunawayPattern("a pattern has too many repetitions that can end anywhere, as .* does")


def matches(pattern: str, value: str) -> bool:
    """Whether a pattern matches the whole value. Raises PatternError."""
    compiled, most = compile_pattern(pattern)
    return compiled.fullmatch(value[:most]) is not None


def find_group(pattern: str, value: str, group: int) -> str | None:
    """The text of a group where a pattern is first found in a value. Raises PatternError."""
    compiled, most = compile_pattern(pattern, is_search=True)
    if not 0 <= group <= compiled.groups:
        raise PatternError("a pattern has no such group")
    match = compiled.search(value[:most])
    return None if match is None else match[group]


class _Translator:
    """Reads a pattern of Java's from left to right, and writes it as Python's."""

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self.text = pattern
        self.at = 0
        self.written: list[str] = []
        self.open_flags: list[list[str]] = [[]]
        """Of each open group: the flags that were set within it, each a group of its own here."""
        self.flags: int = re.ASCII | (re.IGNORECASE if ignore_case else 0)
        self.has_dotall = "s" in "".join(match[1] for match in _FLAGS.finditer(pattern))

    def translate(self) -> tuple[str, int]:
        self._leading_flags()
        while self.at < len(self.text):
            self._next()
        if len(self.open_flags) != 1:
            raise PatternError("a pattern has a group that isn't closed")
        self.written.append(")" * len(self.open_flags[0]))
        return "".join(self.written), self.flags

    def _leading_flags(self) -> None:
        while (match := _FLAGS.match(self.text, self.at)) and match[3] == ")" and match[2] is None and match[1]:
            for letter in match[1]:
                self.flags = _with_flag(self.flags, letter)
            self.at = match.end()
        self.has_dotall = self.has_dotall or bool(self.flags & re.DOTALL)

    def _next(self) -> None:
        sign = self.text[self.at]
        if sign == "\\":
            self._escape()
        elif sign == "[":
            self.written.append("[" + self._class() + "]")
        elif sign == "(":
            self._group()
        elif sign == ")":
            if len(self.open_flags) == 1:
                raise PatternError("a pattern closes a group that isn't open")
            self.written.append(")" * (len(self.open_flags.pop()) + 1))
            self.at += 1
        elif sign == "|" and self.open_flags[-1]:
            flags = self.open_flags[-1]
            self.written.append(")" * len(flags) + "|" + "".join(f"(?{letters}:" for letters in flags))
            self.at += 1
        else:
            self.written.append(_DOT if sign == "." and not self.has_dotall else sign)
            self.at += 1

    def _group(self) -> None:
        match = _FLAGS.match(self.text, self.at)
        if match is not None and (match[1] or match[2]):
            letters = _inline(match[1] or "") + (f"-{_inline(match[2])}" if match[2] else "")
            if letters in {"", "-"}:
                letters = ""
            self.written.append(f"(?{letters}:")
            if match[3] == ":":
                self.open_flags.append([])
            else:
                self.open_flags[-1].append(letters)
            self.at = match.end()
            return
        if self.text.startswith("(?<", self.at) and self.text[self.at + 3 : self.at + 4] not in {"=", "!"}:
            self.written.append("(?P<")
            self.at += 3
        else:
            self.written.append("(")
            self.at += 1
            if self.text.startswith("?", self.at):
                form = re.compile(r"\?(?:[:=!>]|<[=!])").match(self.text, self.at)
                if form is None:
                    raise PatternError("a pattern has a group that can't be read")
                self.written.append(form[0])
                self.at = form.end()
        self.open_flags.append([])

    def _escape(self) -> None:
        """An escape outside of a class."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "Q":
            self.written.append("(?:" + re.escape(self._quoted()) + ")")
        elif letter == "R":
            self._put(2, f"(?:\\r\\n|[{_LINE_ENDS}])")
        elif letter == "z":
            self._put(2, r"\Z")
        elif letter == "Z":
            self._put(2, r"(?=\n?\Z)")
        elif letter == "k":
            match = re.compile(r"\\k<([A-Za-z][A-Za-z0-9]*)>").match(self.text, self.at)
            if match is None:
                raise PatternError("a pattern names a group that can't be read")
            self._put(len(match[0]), f"(?P={match[1]})")
        elif letter in {"h", "v"}:
            self._put(2, f"[{_CLASSES[letter]}]")
        elif letter in {"H", "V"}:
            self._put(2, f"[^{_CLASSES[letter.lower()]}]")
        elif letter in {"p", "P"}:
            is_negated, members = self._property()
            self.written.append(f"[{'^' if is_negated else ''}{members}]")
        elif letter in _SAME or letter in "123456789":
            self._put(2, "\\" + letter)
        else:
            self.written.append(self._character())

    def _put(self, read: int, written: str) -> None:
        self.at += read
        self.written.append(written)

    def _quoted(self) -> str:
        end = self.text.find(r"\E", self.at)
        text = self.text[self.at + 2 : end if end >= 0 else None]
        self.at = end + 2 if end >= 0 else len(self.text)
        return text

    def _character(self) -> str:
        """One character that is written as an escape, escaped for Python."""
        letter = self.text[self.at + 1 : self.at + 2]
        if not letter:
            raise PatternError("a pattern ends with a backslash")
        for form, base in _CODES:
            match = form.match(self.text, self.at)
            if match is not None:
                self.at = match.end()
                return _escaped(int(match[1], base))
        if letter == "c" and self.at + 2 < len(self.text):
            self.at += 3
            return _escaped(ord(self.text[self.at - 1]) ^ 64)
        if letter == "e":
            self.at += 2
            return r"\x1b"
        if letter.isascii() and letter.isalnum():
            raise PatternUnsupported(rf"a pattern has \{letter}, which isn't supported")
        self.at += 2
        return re.escape(letter)

    def _property(self) -> tuple[bool, str]:
        r"""Whether `\p` or `\P` excludes, and its members as a class has them."""
        match = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|([A-Z]))").match(self.text, self.at)
        if match is None:
            raise PatternError(r"a pattern has a \p that can't be read")
        self.at = match.end()
        name = match[3] or match[4]
        category = _CATEGORIES.fullmatch(name)
        if name in _POSIX:
            members = _POSIX[name]
        elif category is not None:
            members = _of_category(category[1])
        else:
            raise PatternUnsupported(r"a pattern has a \p{} that isn't supported")
        return (match[1] == "P") != bool(match[2]), members

    def _class(self) -> str:
        """The inside of a class, from `[` on to behind `]`."""
        self.at += 1
        written = []
        if self.text.startswith("^", self.at):
            written.append("^")
            self.at += 1
        is_first = True
        while True:
            sign = self.text[self.at : self.at + 1]
            if not sign:
                raise PatternError("a pattern has a class that isn't closed")
            if sign == "]" and not is_first:
                self.at += 1
                return "".join(written)
            if self.text.startswith("&&", self.at):
                raise PatternUnsupported("a pattern has && in a class, which isn't supported")
            if sign == "[":
                inner = self._class()
                if inner.startswith("^"):
                    raise PatternUnsupported("a pattern has a class within a class that excludes")
                written.append(inner)
            elif sign == "\\":
                written.append(self._class_escape())
            else:
                written.append("\\" + sign if sign in "[]|~&" else sign)
                self.at += 1
            is_first = False

    def _class_escape(self) -> str:
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "Q":
            return re.escape(self._quoted())
        if letter in {"p", "P"}:
            is_negated, members = self._property()
            if is_negated:
                raise PatternUnsupported(r"a pattern has a \P within a class, which isn't supported")
            return members
        if letter in {"h", "v"}:
            self.at += 2
            return _CLASSES[letter]
        if letter and letter in "tnrfadDsSwW":
            self.at += 2
            return "\\" + letter
        return self._character()


def _with_flag(flags: int, letter: str) -> int:
    known = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE, "x": re.VERBOSE}
    if letter in known:
        return flags | known[letter]
    if letter in "uU":
        return flags & ~re.ASCII
    raise PatternUnsupported("a pattern has a flag that isn't supported")


def _inline(letters: str) -> str:
    if set(letters) - set("ismxu"):
        raise PatternUnsupported("a pattern has a flag that isn't supported")
    return letters.replace("u", "")


def _escaped(code: int) -> str:
    if code > sys.maxunicode:
        raise PatternError("a pattern has a character that does not exist")
    return re.escape(chr(code)) if code else r"\x00"


@lru_cache(maxsize=64)
def _of_category(category: str) -> str:
    """The characters of a general category as ranges of a class, those of the basic plane."""
    ranges: list[tuple[int, int]] = []
    for code in range(0x10000):
        if 0xD800 <= code < 0xE000 or not unicodedata.category(chr(code)).startswith(category):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = ranges[-1][0], code
        else:
            ranges.append((code, code))
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)

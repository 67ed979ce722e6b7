"""The table of letters: made by scripts/letters.py from anyascii, and what is read of it."""

from __future__ import annotations

import re
import unicodedata
from importlib.metadata import version
from pathlib import Path

import pytest
from anyascii import anyascii

from scandock.rules.letters import LETTERS_FILE, spell_letter, transliterate
from scripts.letters import file_text

TEXT = Path(LETTERS_FILE).read_text("utf-8")


def test_the_file_is_what_its_script_makes():
    if f"anyascii {version('anyascii')}, Unicode {unicodedata.unidata_version}:" not in TEXT.partition("\n")[0]:
        pytest.skip("made by another version of anyascii or of Unicode's data than this Python has")
    assert file_text() == TEXT


@pytest.mark.parametrize("script", ["LATIN", "GREEK", "CYRILLIC"])
def test_each_letter_is_as_anyascii_has_it_without_what_is_no_letter_or_digit(script):
    letters = [
        char
        for char in map(chr, range(0x80, 0x1DF2B))
        if unicodedata.category(char)[0] == "L" and re.search(rf"\b{script}\b", unicodedata.name(char, ""))
    ]
    assert len(letters) > 100
    differ = {
        char: text
        for char in letters
        if (text := transliterate(char))
        != re.sub("[^A-Za-z0-9]", "", "".join(map(anyascii, unicodedata.normalize("NFC", char))))
    }
    assert differ == {}


@pytest.mark.parametrize("mark", [0x300, 0x308, 0x36F, 0x483, 0x1AB0, 0x1DFF, 0x20D0, 0xFE2F])
def test_combining_marks_leave_nothing(mark):
    assert spell_letter(chr(mark)) == ""


@pytest.mark.parametrize("char", "\u5c71\u3084\uac00\u0639\u05d0\u0905\u10d0\u0e01\u0661\xb2\U00020000\ufffd")
def test_other_letters_and_numbers_have_no_spelling(char):
    assert spell_letter(char) is None
    assert transliterate(f"Doe {char}") is None


@pytest.mark.parametrize("char", "\u2019\xb7\xa0\u3001\U0001f600\x80\ud800")
def test_what_is_no_letter_stays(char):
    assert transliterate(f"D\xf6 {char}") == f"Do {char}"

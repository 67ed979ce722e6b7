"""What is shown of names: nothing, what follows from them by the site's key, or all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.entry import ordinal
from scandock.rules.shown_names import ALL_SHOWN, ShownNames, clean_suffix, is_hidden

KEY = bytes(range(32))
DROP = ShownNames(level="drop", key=KEY, number=3)
HASH = ShownNames(level="hash", key=KEY)
FIRST = ordinal(b"", 0)
NESTED = ordinal(ordinal(b"", 1), 4)


def test_dropped_names_are_ordinals_with_their_suffix() -> None:
    assert DROP.archive("/home/anna/Anna.zip") == "#3"
    assert DROP.path(ordinal(b"", 16), "Anna/IM0017.DCM") == "#17.dcm"
    assert DROP.path(NESTED, "Anna.zip!Doe/5.dcm") == "#2!#5.dcm"
    assert DROP.path(NESTED, "a!b.zip!Doe!/5.Anna") == "#2!#5"
    assert DROP.path(ordinal(NESTED, 0), "a.zip!b.tar.gz!c/brain.nii.gz") == "#2!#5!#1.nii.gz"
    assert DROP.path(FIRST, "") == "#1"
    assert DROP.message_name("Anna/Doe.txt") == "#.txt"
    assert DROP.folder("Anna") == ""
    assert DROP.file_path(NESTED, ("Anna", "Doe"), "Anna.pdf") == ((), "2-5.pdf")


def test_hashed_names_are_the_same_for_the_same_name_and_key() -> None:
    path = HASH.path(NESTED, "Anna.zip!Doe\\IM1.DCM")
    assert re.fullmatch(r"f-[0-9a-f]{8}\.zip!f-[0-9a-f]{8}\\f-[0-9a-f]{8}\.dcm", path)
    assert HASH.archive("/there/Anna.zip") == path.partition("!")[0] == HASH.message_name("Anna.zip")
    assert HASH.folder("Doe") == re.split(r"[!\\]", path)[1]
    assert HASH.file_path(FIRST, ("Doe",), "IM1.DCM") == ([HASH.folder("Doe")], path.rpartition("\\")[2])
    assert HASH.path(FIRST, HASH.path(FIRST, "Doe/x")) == HASH.path(FIRST, "Doe/x"), "what is hashed stays so"
    assert HASH.path(FIRST, "#4711") != "#4711"
    assert HASH.path(FIRST, "f-12345678.anna") != "f-12345678.anna"
    assert ShownNames(level="hash", key=bytes(32)).folder("Doe") != HASH.folder("Doe")
    assert HASH.path(FIRST, "../a/./b").count("../") == 1


def test_kept_names_are_what_they_are() -> None:
    assert ALL_SHOWN.archive("/home/a.zip") == "/home/a.zip"
    assert ALL_SHOWN.path(NESTED, "a.zip!b") == "a.zip!b"
    assert ALL_SHOWN.message_name("b") == ALL_SHOWN.folder("b") == "b"
    assert ALL_SHOWN.file_path(FIRST, ("a",), "b") == (("a",), "b")
    assert (ALL_SHOWN.keeps, ALL_SHOWN.hides_anything) == (True, False)
    assert ShownNames(hides_bytes=True).hides_anything


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.DCM", ".dcm"), ("a.nii.gz", ".nii.gz"), ("a.anna.gz", ".gz"), ("1.2.840.113619.2.5", ""), ("MR.anna", ""),
        ("anna", ""), (".txt", ".txt"), ("a.b/c", ""), ("a.", ""), ("a.txt\n", ""), ("a.dcm.anna", ""),
    ],
)  # fmt: skip
def test_a_suffix_stays_where_it_names_a_kind_of_file(name: str, suffix: str) -> None:
    assert clean_suffix(name) == suffix


def test_what_is_hidden_is_told_from_names() -> None:
    assert all(map(is_hidden, ("#1", "#12", "f-0123abcd", "f-0123abcd.tar.gz")))
    assert not any(map(is_hidden, ("", "#1.zip", "exam.zip", "f-0123abcd.anna", "f-0123abc.zip", "x#1", "archive")))


def test_a_hashed_name_says_too_much_where_names_are_dropped() -> None:
    assert is_hidden("#1", "drop")
    assert not any(is_hidden(name, "drop") for name in ("f-0123abcd", "f-0123abcd.tar.gz"))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4), st.text())
def test_nothing_of_a_name_is_in_a_number(indexes: list[int], name: str) -> None:
    number = b"".join(index.to_bytes(4, "big") for index in indexes)
    shown = DROP.path(number, name)
    assert re.fullmatch(r"#[0-9]+(!#[0-9]+)*(\.[a-z0-9]+){0,2}", shown)
    assert [int(piece) - 1 for piece in re.findall(r"#([0-9]+)", shown)] == indexes
    assert ShownNames.from_plain(DROP.to_plain()) == DROP

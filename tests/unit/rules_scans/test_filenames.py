from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.rules.filenames import (
    MAX_PATH_BYTES,
    MAX_PIECE_BYTES,
    HashedNames,
    UsedNames,
    clean_piece,
    make_unique,
    name_key,
    object_name,
    resource_path,
    variant_name,
)

SHA = hashlib.sha256(b"x").digest()
NASTY = st.text(
    st.one_of(
        st.sampled_from('./\\:*?"<>|~-% \t\n\0\x1b\x7fCONnul1.．／\u202e\ud800é\u0301ßİ表'),
        st.characters(),
    ),
    max_size=300,
)
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def assert_safe_piece(piece: str) -> None:
    assert piece
    assert piece not in {".", ".."}
    assert not set(piece) & set('/\\:*?"<>|\0')
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs"} for char in piece)
    assert piece[0] not in ".-~ "
    assert piece[-1] not in ". "
    assert piece.partition(".")[0].strip().lower() not in WINDOWS_DEVICES
    assert unicodedata.is_normalized("NFC", piece)
    assert len(piece.encode()) <= MAX_PIECE_BYTES


def test_an_object_is_called_by_its_uid():
    assert object_name("1.2.840.1", SHA) == "1.2.840.1.dcm"
    assert object_name("9" * 64, SHA) == "9" * 64 + ".dcm"


@pytest.mark.parametrize(
    "uid", ["", ".", "..", "...", "1..2", ".1.2", "1.2.", "1.2/../3", "1.2\n", "1.2\0", "9" * 65, "a.1", "١.٢", "1.2 "]
)
def test_an_object_whose_uid_is_none_is_called_by_its_hash(uid):
    assert object_name(uid, SHA) == SHA.hex()[:40] + ".dcm"
    assert object_name(uid, SHA.hex()) == SHA.hex()[:40] + ".dcm"


def test_variants_of_one_uid_are_told_apart_by_content():
    other = hashlib.sha256(b"y").digest()
    names = {object_name("1.2", SHA), variant_name("1.2", SHA), variant_name("1.2", other), variant_name("", other)}
    assert len(names) == 4
    assert variant_name("1.2", SHA) == f"1.2_{SHA.hex()[:12]}.dcm"


@pytest.mark.parametrize(
    ("folders", "base", "path"),
    [
        (("physio", "run 1"), "log (copy).txt", "physio/run 1/log (copy).txt"),
        ((), "données.txt", "données.txt"),
        ((), "donne\u0301es.txt", "données.txt"),
        (("..", "a", "", "."), "b", "a/b"),
        ((), "..", "file"),
        ((), "", "file"),
        ((), ".bashrc", "_bashrc"),
        ((), "...", "__"),
        ((), "-rf", "_rf"),
        ((), "~root", "_root"),
        ((), "a\nb\x1b[31m", "a_b_[31m"),
        ((), "file.txt:stream", "file.txt_stream"),
        ((), "CON", "_CON"),
        ((), "nul.txt", "_nul.txt"),
        ((), "com1 .txt", "_com1 .txt"),
        ((), "COM¹", "_COM¹"),
        ((), "console.txt", "console.txt"),
        ((), "a. .", "a_"),
        ((), "..%2f..%2Fetc", "_._2f.._2Fetc"),
        ((), "100%.txt", "100%.txt"),
        ((), "．．／x", "___x"),
        ((), "evil\u202etxt.exe", "evil_txt.exe"),
        ((), "a\0b", "a_b"),
        (("C:",), "x", "C_/x"),
        ((), "表ソ.txt", "表ソ.txt"),
    ],
)
def test_names_are_cleaned(folders, base, path):
    assert resource_path(folders, base) == path


def test_a_long_name_is_cut_and_keeps_its_suffix():
    cut = resource_path((), "n" * 300 + ".nii.gz")
    assert cut.endswith(".nii.gz")
    assert len(cut.encode()) == MAX_PIECE_BYTES
    assert cut != resource_path((), "n" * 301 + ".nii.gz")
    assert resource_path((), "é" * 300).encode().decode()


def test_a_long_path_keeps_its_first_folder_and_its_base():
    path = resource_path(["top", *["d" * 50] * 40], "x.txt")
    assert path.startswith("top/deep-")
    assert path.endswith("/x.txt")
    assert path != resource_path(["top", *["d" * 50] * 41], "x.txt")
    assert len(resource_path(["d"] * 2000, "x").split("/")) == 3


@given(st.lists(NASTY, max_size=40), NASTY)
def test_every_path_is_safe(folders, base):
    path = resource_path(folders, base)
    assert len(path.encode()) <= MAX_PATH_BYTES
    for piece in path.split("/"):
        assert_safe_piece(piece)


@given(NASTY)
def test_cleaning_twice_changes_nothing(name):
    assert clean_piece(clean_piece(name)) == clean_piece(name)


@pytest.mark.parametrize(
    ("first", "second", "given_second"),
    [
        ("a.txt", "a.txt", "a_2.txt"),
        ("a.txt", "A.TXT", "A_2.TXT"),
        ("é", "e\u0301", "e\u0301_2"),
        ("x.nii.gz", "x.nii.gz", "x_2.nii.gz"),
        ("a", "a/b", "a_2/b"),
        ("a/b", "a", "a_2"),
        ("a/b", "A", "A_2"),
        ("ſ", "S", "S_2"),
        ("a", "b", "b"),
        ("a/b", "a/c", "a/c"),
    ],
)
def test_a_name_that_is_taken_gets_a_number(first, second, given_second):
    names = UsedNames()
    assert make_unique(names, first) == first
    assert make_unique(names, second) == given_second


def test_files_of_one_renamed_folder_stay_together():
    names = UsedNames()
    names.add("a")
    assert [make_unique(names, f"a/{n}") for n in range(3)] == ["a_2/0", "a_2/1", "a_2/2"]


def test_twenty_thousand_equal_names_take_no_time():
    names = UsedNames()
    given_names = {make_unique(names, "IM.txt") for _ in range(20_000)}
    assert len(given_names) == 20_000


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "A", "b", "é", "e\u0301", "a_2", "x.txt", "X.TXT", "x_2.txt"]), min_size=1, max_size=3
        ),
        max_size=30,
    )
)
def test_no_two_names_meet_on_any_file_system(wanted):
    names = UsedNames()
    made = [make_unique(names, "/".join(pieces)) for pieces in wanted]
    keys = [name_key(name) for name in made]
    assert len(set(keys)) == len(keys)
    folders = {"/".join(key.split("/")[:depth]) for key in keys for depth in range(1, key.count("/") + 1)}
    assert folders.isdisjoint(keys)


@given(st.lists(st.sampled_from(["1.txt", "2.txt", "sub/1.txt"]), unique=True), st.randoms(use_true_random=False))
def test_names_that_do_not_meet_keep_theirs_in_any_order(wanted, random):
    random.shuffle(wanted)
    names = UsedNames()
    assert [make_unique(names, name) for name in wanted] == wanted


def test_hashed_names_are_as_good_as_names():
    hashed, plain = UsedNames(files=HashedNames()), UsedNames()
    names = [f"f{number % 700}/{number % 3000}.dcm" for number in range(6_000)] + ["A/x", "a/X", "f1", "f2/5.dcm/y"]
    assert [make_unique(hashed, name) for name in names] == [make_unique(plain, name) for name in names]
    assert all(name in hashed for name in names)
    assert "never" not in hashed

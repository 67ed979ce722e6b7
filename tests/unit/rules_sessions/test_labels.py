"""Which session 2: names and what is left of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.rules.labels import (
    clean_label,
    is_placeholder,
    is_project_id,
    label_key,
    person_label,
    plain_person_label,
    study_hash_label,
)

LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("DOE^JOHN", "DOE_JOHN"),
        (" A.1 ", "A_1"),
        ("A-1_b", "A-1_b"),
        ("M\xfcller", "M_ller"),
        ("../../etc", "______etc"),
        ("..", ""),
        (".", ""),
        ("", ""),
        ("^^^", ""),
        ("___", ""),
        ("\u5c71\u7530", ""),
        ("a\nb\0c", "a_b_c"),
        ("CON", "CON"),
    ],
)
def test_every_other_character_becomes_an_underscore(text, label):
    assert clean_label(text) == label


def test_a_label_is_at_most_64_characters():
    assert clean_label("a" * 64) == "a" * 64
    assert len(clean_label("a" * 65)) == 64


def test_cut_labels_end_in_a_hash_of_the_whole():
    long = ["a" * 300, "a" * 299 + "b", "a" * 64]
    assert len({clean_label(text) for text in long}) == 3
    assert re.fullmatch(r"a{55}_[0-9a-f]{8}", clean_label(long[0]))


@given(st.text(max_size=300))
def test_a_label_is_valid_or_empty_and_cleaning_it_again_changes_nothing(text):
    label = clean_label(text)
    assert label == "" or LABEL.fullmatch(label)
    assert clean_label(label) == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Doe^John", "Doe_John"),
        ("Doe^John^^", "Doe_John"),
        ("Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060", "Yamada_Tarou"),
        ("\u5c71\u7530^\u592a\u90ce==Yamada^Tarou", "Yamada_Tarou"),
        ("=\u5c71\u7530=\u3084\u307e\u3060", ""),
        ("^^^^", ""),
        ("Anonymous^^", ""),
        ("Anonymous^Mouse", "Anonymous_Mouse"),
        ("\ufffdR\ufffdc^\ufffd\ufffd\ufffdY", ""),
        ("\ufffdR\ufffdc=Yamada", "Yamada"),
    ],
)
def test_the_first_component_group_that_leaves_something_names_a_person(name, label):
    assert person_label(name) == plain_person_label(name) == label


@pytest.mark.parametrize(
    ("name", "label", "plain"),
    [
        ("M\xfcller^Anna", "Muller_Anna", "M_ller_Anna"),
        ("Mu\u0308ller^Anna", "Muller_Anna", "Mu_ller_Anna"),
        ("\xdej\xf3\xf0\xf3lfr^\xc6sa", "Thjodolfr_Aesa", "_j___lfr__sa"),
        ("\u0418\u0432\u0430\u043d\u043e\u0432^\u041d\u0438\u043a\u043e\u043b\u0430\u0439", "Ivanov_Nikolay", ""),
        ("\u0418\u0306", "Y", ""),  # as one letter
        ("\u041a\u0443\u0437\u044c\u043c\u0438\u043d", "Kuzmin", ""),
        ("\u0391\u03b8\u03b7\u03bd\u03ac", "Athina", ""),
        ("O\u2019Brien^Se\xe1n", "O_Brien_Sean", "O_Brien_Se_n"),
        ("\u5c71\u7530^Taro", "", "___Taro"),
        ("\u5c71\u7530^Taro=Yamada^Taro", "Yamada_Taro", "___Taro"),
        ("\u041b\u0438=\u674e", "Li", ""),
        ("Doe^\u0663", "", "Doe__"),  # a digit of another script
        ("M\ufffdller^J\ufffdrg", "", "M_ller_J_rg"),  # bytes of no character: which letters they were, nobody knows
    ],
)
def test_names_are_spelled_in_ascii_where_every_letter_has_a_spelling(name, label, plain):
    assert (person_label(name), plain_person_label(name)) == (label, plain)


@given(st.text(max_size=80))
def test_a_persons_label_is_valid_or_empty(name):
    assert person_label(name) == "" or LABEL.fullmatch(person_label(name))


@pytest.mark.parametrize(
    "text", ["", " ", "*", "***", "* *", "ANON", "anonymous", "Anonymized", "Unknown", "none^", "\0", "^^", "***^***"]
)
def test_placeholders_count_as_absent(text):
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["P1", "anonymous2", "nonesuch", "0", "*1"])
def test_what_only_resembles_a_placeholder_does_not(text):
    assert not is_placeholder(text)


def test_placeholders_are_a_setting():
    assert is_placeholder("Nobody", ("nobody",))
    assert not is_placeholder("anonymous", ("nobody",))
    assert is_placeholder("*", ())


def test_labels_are_compared_without_case():
    assert label_key("Ab_C") == label_key("aB_c")


def test_the_label_of_last_resort_is_eight_digits_of_the_study_uid():
    assert study_hash_label("1.2.3") == "study_c47f5b18"


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("P", True),
        ("p_1-x", True),
        ("", False),
        ("a b", False),
        ("x" * 65, False),
        ("Unassigned", False),
        ("P\n", False),
    ],
)
def test_project_ids(text, is_id):
    assert is_project_id(text) is is_id

"""Words and terms that name no person."""

from __future__ import annotations

import pytest

from scandock.deidentification.profile.vocabulary import (
    is_code_term,
    is_context_group,
    is_template,
    keep_words,
    known_codes,
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("CT chest abdomen pelvis - 55F Dr. Smith", "CT chest abdomen pelvis"),
        ("t1_mprage_sag_p2_iso", "t1_mprage_sag_p2_iso"),
        ("AX T2 FLAIR 5mm", "AX T2 FLAIR 5mm"),
        ("Dr. Hand", ""),
        ("DOE^JANE 12345678", ""),
        ("knee JANE left", "knee left"),
        ("Schädel nativ, Müller", "Schädel nativ"),
        ("", ""),
    ],
)
def test_descriptions_keep_words_of_protocols_alone(text: str, kept: str) -> None:
    assert keep_words(text) == kept


def test_terms() -> None:
    known = (
        "HEAD",
        "LOWEXTREMITY",
        "head",
        "ORIGINAL",
        "M",
        "EPI_GEMS",
        "HELICAL MODE",
        "FM3_2",
        "M_SE",
        "DIS2D",
        "CSA REPORT",
        "CT_SOM5 SPI",
        "PET_20_STEP",
        "C-SPINE",
        "HEAD & NECK",
        "T1 MAP ",
        "00181063",
        "MONOCHROME2",
        "HFS",
    )
    assert [term for term in known if not is_code_term(term)] == []
    assert [
        term for term in ("DOE", "SMITH", "JANE DOE", "HEAD JANE", "MÜLLER", "12345678") if is_code_term(term)
    ] == []


@pytest.mark.parametrize(
    "value",
    [
        *("1970-01-02", "1970_01_02", "02 01 1970", "02.01.70", "01/02", "4711", "4711_1234", "AX_4711", "T1 471"),
        *(
            "0049 1701 2345 678",
            "J",
            "J M",
            "J_M_4711",
            "A B HEAD",
            "Z Z M A R K N A M E",
            "X_Y_Z_Z_Y",
            "12 34 56",
            "1 2",
        ),
        *(
            "HEAD\0CHEST",
            "\0HEAD",
            "M\0R",
            "HEAD\n",
            "\x1b(BHEAD",
            "HE\u00c4D",
            "-",
            "HEAD^NECK",
            "HEAD " * 20,
            "GE MS",
        ),
    ],
)
def test_what_is_no_term(value: str) -> None:
    assert not is_code_term(value) or len(value) > 64
    assert known_codes([value]) == [False]


def test_letters_and_numbers_alone_are_few_in_all_values() -> None:
    assert known_codes(["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]) == [True] * 5
    assert known_codes(["ORIGINAL", "M", "A", "R", "P1 HEAD", "L SPINE"]) == [True, *[False] * 5]
    assert known_codes(["19", "24", "12"]) == [False] * 3


def test_numbers_of_context_groups_and_templates() -> None:
    assert [value for value in ("4020", "29", "12325") if not is_context_group(value)] == []
    assert [value for value in ("1500", "1411", "10011") if not is_template(value)] == []
    for value in ("4711", "1970", "", "0029", "4020\0", "99_3000", "2026"):
        assert not is_context_group(value)
        assert not is_template(value)

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
        ("Mr Head", ""),
        ("MR Head", "MR Head"),
        ("Prof. Dr. J. Head, knee", "knee"),
        ("John Head", "Head"),
        ("2.5mm 1.5T 3 mm 50% 2x2x2mm 30dirs 120kV", "2.5mm 1.5T 3 mm 50% 2x2x2mm 30dirs 120kV"),
        ("T1 T2 B0 b1000 b50 3D C7 L4 L4/5 L5/S1 Th12 p2", "T1 T2 B0 b1000 b50 3D C7 L4 L4/5 L5/S1 Th12 p2"),
        ("T2-3D T2,5mm ep2d", "T2-3D T2,5mm ep2d"),
        ("axial 3", "axial"),
        ("TR2000 TE30ms TI1100 FA180 te47111 TR10000", "TR2000 TE30ms TI1100 FA180 TR10000"),
        ("ep2d_diff_b1000_64dirs_TR8400_MB3_iPAT2", "ep2d_diff_b1000_64dirs_TR8400_MB3_iPAT2"),
        ("30sl 128 slices NEX2 TSE15 SL24 BW250", "30sl 128 slices NEX2 TSE15 SL24 BW250"),
    ],
)
def test_descriptions_keep_words_of_protocols_alone(text: str, kept: str) -> None:
    assert keep_words(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4", "2.1.1970", "1970-01-02", "02/01/70", "2_1_1970", "2 1 1970", "p4711", "r4711", "T4711", "C4711",
        "b19700102", "b1970", "TR19700102", "4711mm", "4711T", "1970ms", "0123456789mm", "012mm", "v2.1", "4711/5",
        "4711-5mm", "3.4711mm", "555mm1234", "1.2.3mm", "2.1.70kV", "3", "12", "4711", "#3", "75y", "12w5d", "120kg",
        "+49 170 1234567", "1.2.840.113619.2.1", "4711 mm", "2.1.70 mm", "s4711", "x17", "id5", "Ms Head", "Herr Kopf",
        "TR1970", "TI2010", "TE4711", "TR04710", "TR54320", "FA1970", "MB471", "4711sl",
    ],
)  # fmt: skip
def test_numbers_without_a_unit_go_with_all_that_is_joined_to_them(text: str) -> None:
    assert keep_words(text) == ""
    assert keep_words(f"knee {text} left") == "knee left"


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

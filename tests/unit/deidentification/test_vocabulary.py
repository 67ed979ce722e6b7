"""Words and terms that name no person."""

from __future__ import annotations

import pytest

from scandock.deidentification.profile.vocabulary import is_code_term, keep_words


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
        "ISO_IR 192",
        "MONOCHROME2",
        "HFS",
    )
    assert [term for term in known if not is_code_term(term)] == []
    assert [
        term for term in ("DOE", "SMITH", "JANE DOE", "HEAD JANE", "MÜLLER", "12345678") if is_code_term(term)
    ] == []

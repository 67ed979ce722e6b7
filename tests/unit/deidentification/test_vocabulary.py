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
        "ISO_IR 192",
        "MONOCHROME2",
        "HFS",
    )
    assert [term for term in known if not is_code_term(term)] == []
    assert [
        term for term in ("DOE", "SMITH", "JANE DOE", "HEAD JANE", "MÜLLER", "12345678") if is_code_term(term)
    ] == []

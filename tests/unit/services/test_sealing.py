"""Sealed texts: opened by a key that sealed them, and by nothing else."""

from __future__ import annotations

import base64

import pytest

from scandock.catalog.sealed_texts import SEALED
from scandock.services.sealing import SealUnreadable, seal, unseal

KEY, OTHER = b"a" * 32, b"b" * 32
TEXT = "pid/M\u00fcller = 7 \U0001f512"


def test_a_text_is_opened_by_the_key_that_sealed_it_among_others() -> None:
    sealed = seal(KEY, TEXT)

    assert sealed.startswith(SEALED)
    assert unseal([OTHER, KEY], sealed) == TEXT
    with pytest.raises(SealUnreadable):
        unseal([OTHER], sealed)


def test_nothing_of_it_is_in_what_is_stored_and_none_is_like_another() -> None:
    first, second = seal(KEY, TEXT), seal(KEY, TEXT)

    assert first != second
    assert b"ller" not in base64.b64decode(first.removeprefix(SEALED))


def test_what_is_empty_or_was_never_sealed_is_as_it_is() -> None:
    assert seal(KEY, "") == ""
    assert unseal([], "pid/7 = 9") == "pid/7 = 9"


@pytest.mark.parametrize("changed", ["AAA=", "no base64!", ""])
def test_what_was_changed_is_not_opened(changed: str) -> None:
    with pytest.raises(SealUnreadable):
        unseal([KEY], seal(KEY, TEXT)[:-4] + changed if changed == "AAA=" else SEALED + changed)

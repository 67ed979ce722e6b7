"""Sealed texts: opened by the key that sealed them, for what they were sealed for, and by nothing else."""

from __future__ import annotations

import base64

from scandock.services.sealing import PREFIX, is_sealed, seal, unseal

KEY, OTHER = b"a" * 32, b"b" * 32
TEXT = "pid/M\u00fcller = 7 \U0001f512"


def test_a_text_is_opened_by_the_key_that_sealed_it_among_others() -> None:
    sealed = seal(KEY, TEXT, "lookup")

    assert is_sealed(sealed)
    assert unseal([OTHER, KEY], sealed, "lookup") == TEXT
    assert unseal([OTHER], sealed, "lookup") is None
    assert unseal([KEY], sealed, "mapping") is None


def test_nothing_of_it_is_in_what_is_stored_and_none_is_like_another() -> None:
    first, second = seal(KEY, TEXT, "lookup"), seal(KEY, TEXT, "lookup")

    assert first != second
    assert b"ller" not in base64.b64decode(first.removeprefix(PREFIX))


def test_what_was_changed_is_not_opened() -> None:
    sealed = seal(KEY, TEXT, "lookup")

    assert unseal([KEY], sealed[:-4] + "AAA=", "lookup") is None
    assert unseal([KEY], PREFIX + "no base64!", "lookup") is None
    assert unseal([KEY], PREFIX, "lookup") is None

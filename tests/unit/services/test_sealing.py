"""Sealed texts: read by the key, by a former one, and by nobody else."""

from __future__ import annotations

import pytest

from scandock.services.sealing import SealUnreadable, seal, unseal

KEY, OTHER = bytes(range(32)), bytes(32)


def test_a_sealed_text_is_read_by_its_key_alone() -> None:
    text = "folder,session\nAnna Ödland,E1\n" * 1000
    sealed = seal(KEY, text)
    assert "Anna" not in sealed
    assert sealed != seal(KEY, text)
    assert unseal((KEY,), sealed) == unseal((OTHER, KEY), sealed) == text
    for keys, broken in (((OTHER,), sealed), ((), sealed), ((KEY,), sealed[:-8]), ((KEY,), "sealed:1:?")):
        with pytest.raises(SealUnreadable):
            unseal(keys, broken)


def test_what_is_not_sealed_is_read_as_it_is() -> None:
    assert unseal((), "folder,session\n") == "folder,session\n"
    assert seal(KEY, "") == unseal((KEY,), "") == ""

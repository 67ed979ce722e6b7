"""Texts that nobody may read in the catalog: sealed with the site's key (AES-256-GCM, RFC 5116).

What a mapping says of patients, what a client of tus says of its file, and lookup tables are kept so. Whoever reads the
catalog or a backup of it without the key learns their length alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from scandock.catalog.sealed_texts import SEALED
from scandock.model.errors import Coded, Fault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class SealUnreadable(Coded, Fault):
    CODE = "seal_unreadable"
    MEANING = "What was sealed with the site's privacy key can't be read with the one that is there now."
    SENTENCE = "What was asked of this upload was sealed with another privacy key than the site has now."
    REMEDY = "Put the former key back, or send the archive again."


def seal(key: bytes, text: str) -> str:
    """A text that only who has the key can read; "" for an empty one."""
    if not text:
        return ""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(key).encrypt(nonce, text.encode("utf-8", "surrogatepass"), None)
    return SEALED + base64.b64encode(nonce + sealed).decode()


def unseal(keys: Iterable[bytes], text: str) -> str:
    """The text that was sealed with one of these keys; one that is not sealed as it is. Raises SealUnreadable."""
    if not text.startswith(SEALED):
        return text
    from cryptography.exceptions import InvalidTag

    try:
        raw = base64.b64decode(text.removeprefix(SEALED), validate=True)
    except binascii.Error:
        raise SealUnreadable from None
    for key in keys:
        try:
            opened = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            continue
        return opened.decode("utf-8", "surrogatepass")
    raise SealUnreadable


def _cipher(key: bytes) -> AESGCM:
    """By a key for sealing alone, so that no hash that is stored somewhere is of use for it.

    Its module takes long to load: only who seals has it.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(key, b"seal", sha256))

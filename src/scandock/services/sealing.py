"""Texts that identify people, as they are stored: encrypted with the site's key (AES-256-GCM, RFC 5116).

Whoever reads the catalog or a backup of it without the key learns their length alone.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "sealed:"
_NONCE: Final = 12


def seal(key: bytes, text: str, purpose: str) -> str:
    """The text, sealed. What is sealed for one purpose can't be opened for another."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_derive(key)).encrypt(nonce, text.encode("utf-8", "surrogatepass"), purpose.encode())
    return PREFIX + base64.b64encode(nonce + sealed).decode("ascii")


def is_sealed(text: str) -> bool:
    """Whether a text is one of `seal`."""
    return text.startswith(PREFIX)


def unseal(keys: Sequence[bytes], text: str, purpose: str) -> str | None:
    """The text of `seal` by whichever of the keys sealed it; None where none of them did, or it was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        sealed = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        return None
    for key in keys:
        try:
            opened = AESGCM(_derive(key)).decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError):
            continue
        return opened.decode("utf-8", "surrogatepass")
    return None


def _derive(key: bytes) -> bytes:
    """A key for sealing alone, so that no hash that is stored somewhere is of use for it."""
    return hmac.digest(key, b"seal\0", sha256)

"""Secrets of logins and tokens: random, shown once, kept as a hash alone.

256 bits from the system need no slow hash: nobody guesses them, and a look-up must cost nothing.
"""

from __future__ import annotations

import hashlib
import secrets


def make_secret() -> str:
    """43 characters that are safe in a header, a cookie and a URL."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()

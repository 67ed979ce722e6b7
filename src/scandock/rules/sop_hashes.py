"""SOP Instance UIDs as numbers of 64 bits, by which files are found without their study."""

from __future__ import annotations

import hashlib
from typing import Final

_BYTES: Final = 8


def sop_hash(uid: str) -> int:
    """A number for a UID, the same everywhere; signed, as databases have them. Two UIDs may share one."""
    return hash_number(sop_digest(uid))


def sop_digest(uid: str) -> bytes:
    """The same as bytes, the first of the number's first."""
    return hashlib.blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def hash_number(digest: bytes) -> int:
    """The first 64 bits of a digest as a signed number."""
    return int.from_bytes(digest[:_BYTES], "big", signed=True)

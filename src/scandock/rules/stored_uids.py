"""UIDs that objects of a de-identified session have: what names them later is to go on naming them.

Viewers know stored UIDs alone. What they make of a session names its study, series and objects by these.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from scandock.rules.keyed_values import uuid_version

_DIGEST_BYTES: Final = 16
_VERSIONS: Final = (5, 8)
"""Of UUIDs: those that `hashUID` of scripts makes, and those that follow from the site's key."""


def is_made_uid(uid: str) -> bool:
    """Whether de-identification may have made a UID in the place of another one, by its form alone."""
    return uuid_version(uid.encode("utf-8", "surrogatepass")) in _VERSIONS


class StoredUids:
    """A set of UIDs by digests of them, 16 bytes each: a session may have a hundred thousand."""

    __slots__ = ("_digests", "_hash")

    def __init__(self, digests: bytes = b"") -> None:
        """`digests` as `pack_uids` gives them."""
        self._digests = digests
        self._hash = hash(digests)

    def __contains__(self, uid: bytes) -> bool:
        if not self._digests:
            return False
        digest = _digest(uid)
        at = bisect_left(range(len(self)), digest, key=self._digest_at)
        return at < len(self) and self._digest_at(at) == digest

    def __len__(self) -> int:
        return len(self._digests) // _DIGEST_BYTES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredUids) and self._digests == other._digests

    def __hash__(self) -> int:
        return self._hash

    def _digest_at(self, index: int) -> bytes:
        return self._digests[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES]


NO_UIDS: Final = StoredUids()


def pack_uids(uids: Iterable[str]) -> bytes:
    """The digests of UIDs, each once, in order."""
    return b"".join(sorted({_digest(uid.encode("utf-8", "surrogatepass")) for uid in uids}))


def _digest(uid: bytes) -> bytes:
    return hashlib.blake2b(uid, digest_size=_DIGEST_BYTES).digest()

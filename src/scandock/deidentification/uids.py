"""UIDs in the place of others: keyed by a site, so that they agree over files, processes and later imports, or not.

A keyed UID is the same for the same text and key, and tells nothing of the text to those who lack the key. Who has the
key can check a guess, so a keyed UID is a pseudonym and not anonymous.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache
from typing import Final

from scandock.deidentification.dictionary import dictionary_keyword
from scandock.rules.keyed_values import keyed_uid, uuid_number, uuid_version
from scandock.rules.stored_uids import NO_UIDS, StoredUids

_LONGEST: Final = 64
_DIGITS: Final = 39
"""Decimal digits of 128 bits."""
_FEWEST_DIGITS: Final = 10
"""Digits that have to be left behind a root, so that two values seldom meet."""
_ROOT: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_CLASSES: Final = re.compile(
    r"SOPClass|TransferSyntaxUID|^ImplementationClassUID$|^CodingSchemeUID$|^ContextUID$|^MappingResourceUID$"
)
"""UIDs that say what kind of thing something is, by their keywords."""
_CUSTOM_VERSION: Final = 8
"""Version of a UUID whose bits are of an own scheme (RFC 9562)."""
_NAME_VERSION: Final = 5
_CACHED: Final = 50_000
_LONGEST_CACHED: Final = 256
"""Bytes of a value, and of its new UIDs, that are kept in memory: short values of many UIDs become long ones."""


def hash_uid(text: str) -> str:
    """The UID that DicomEdit's `hashUID` makes of `text`: version 5 over SHA-1 of the text alone, without a key."""
    return f"2.25.{uuid_number(hashlib.sha1(text.encode(), usedforsecurity=False).digest(), _NAME_VERSION)}"


def map_uid(root: str, value: str, key: bytes) -> str:
    """The UID below `root` that stands for `value` where `key` is in use; ValueError where `root` can be none."""
    room = _LONGEST - len(root) - 1
    if _ROOT.fullmatch(root) is None or room < _FEWEST_DIGITS:
        raise ValueError("no root of a UID, or no room for digits behind it")
    number = uuid_number(hmac.digest(key, f"{root}\0{value}".encode(), "sha256"), _CUSTOM_VERSION)
    return f"{root}.{number if room >= _DIGITS else number % 10**room}"


def is_keyed_uid(uid: bytes) -> bool:
    """Whether a UID is one that `keyed_uid` could have made, by the version and variant of its UUID."""
    return uuid_version(uid) == _CUSTOM_VERSION


@lru_cache(maxsize=8_192)
def is_class(tag: int) -> bool:
    """Whether the UID of an element says what kind of thing something is."""
    return _CLASSES.search(dictionary_keyword(tag)) is not None


class UidMapper(dict[bytes, bytes]):
    """Values of UI elements, as they stand in a file, with each UID that is not the standard's replaced by a keyed one.

    `mapper[value]` has it; UIDs of the standard itself (`1.2.840.10008.`), stored ones and empty values stay. What was
    asked for once is had from memory.
    """

    __slots__ = ("_key", "_stored")

    def __init__(self, key: bytes, stored: StoredUids = NO_UIDS) -> None:
        super().__init__()
        self._key = key
        self._stored = stored

    def __missing__(self, value: bytes) -> bytes:
        mapped = b"\\".join(map(self._one, value.split(b"\\"))) if b"\\" in value else self._one(value)
        if len(self) >= _CACHED:
            self.clear()
        if max(len(value), len(mapped)) <= _LONGEST_CACHED:
            self[value] = mapped
        return mapped

    def _one(self, uid: bytes) -> bytes:
        text = uid.strip(b" \0")
        if not text or text.startswith(b"1.2.840.10008."):
            return text if text.replace(b".", b"").isdigit() else b""
        if text in self._stored:
            return text
        return keyed_uid(self._key, text.decode("latin-1")).encode()

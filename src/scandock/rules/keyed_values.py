"""Values in the place of others that follow from the site's key: UIDs, and pseudonyms of people.

The same for the same value and key, over files, imports and processes; whoever lacks the key can't tell what they stand
for. Who has it can check a guess, so they are pseudonyms and not anonymous.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from functools import lru_cache
from typing import Final

from scandock.rules.labels import is_placeholder
from scandock.rules.patients import fold_name

_CUSTOM_VERSION: Final = 8
"""Version of a UUID whose bits are of an own scheme (RFC 9562)."""
_UUID_BITS: Final = (1 << 128) - 1 & ~(0xF << 76 | 0x3 << 62)
"""All of a UUID but its version and variant."""
_VARIANT: Final = 0x2 << 62
_UUID: Final = re.compile(rb"2\.25\.([1-9][0-9]{23,38})")
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_CHARACTERS: Final = 12
"""Of a pseudonym in a header: with its prefix it fits every VR of texts, and the fields of ECAT."""


def keyed_uid(key: bytes, text: str) -> str:
    """The UID that stands for `text` where `key` is in use: `2.25.` and a UUID of HMAC-SHA256(key, text)."""
    states = _hmac_states(key)
    inner, outer = states[0].copy(), states[1].copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    return f"2.25.{uuid_number(outer.digest(), _CUSTOM_VERSION)}"


@lru_cache(maxsize=16)
def _hmac_states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The two hashes of HMAC-SHA256 (RFC 2104) that have read the key: `hmac` would do it, slower, for each UID."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def uuid_number(digest: bytes, version: int) -> int:
    """The first 128 bits of a digest as the number of a UUID."""
    return int.from_bytes(digest[:16], "big") & _UUID_BITS | version << 76 | _VARIANT


def uuid_version(uid: bytes) -> int | None:
    """The version of the UUID that a UID is; None of one that is none of RFC 9562."""
    match = _UUID.fullmatch(uid)
    number = int(match[1]) if match is not None else 0
    return number >> 76 & 0xF if number & 0x3 << 62 == _VARIANT and number < 1 << 128 else None


def keyed_letters(key: bytes, kind: str, text: str, count: int) -> str:
    """`count` letters and digits (of base 32, at most 51) that stand for a text among texts of its kind."""
    digest = hmac.digest(key, kind.encode() + b"\0" + text.encode("utf-8", "surrogatepass"), "sha256")
    return b32encode(digest).decode()[:count]


def id_pseudonym(key: bytes, patient_id: str) -> str:
    """What stands for a PatientID in headers; one that names nobody stays."""
    text = patient_id.strip(" \0")
    return text if is_placeholder(text) else f"P-{keyed_letters(key, 'patient id', text, _CHARACTERS)}"


def name_pseudonym(key: bytes, name: str) -> str:
    """What stands for a PatientName in headers, however it is padded and capitalized; one that names nobody stays."""
    return name if is_placeholder(name) else f"N-{keyed_letters(key, 'patient name', fold_name(name), _CHARACTERS)}"

"""The headers of tus 1.0.0: what they say, and what is wrong with them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.services.spool_writer import Digest
from scandock.web.tus import errors

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,checksum,termination,expiration"
ALGORITHMS: Final = ("sha1", "sha256", "md5")
BODY: Final = "application/offset+octet-stream"


def check_version(headers: Mapping[str, str]) -> None:
    """Raise VersionUnknown unless the client speaks 1.0.0."""
    if headers.get("tus-resumable") != VERSION:
        raise errors.VersionUnknown


def check_body(headers: Mapping[str, str]) -> None:
    """Raise TypeDiffers unless the body is of tus's own type."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != BODY:
        raise errors.TypeDiffers(BODY)


def parse_number(headers: Mapping[str, str], name: str) -> int:
    """A header's whole number. Raises NumberInvalid."""
    text = headers.get(name.lower(), "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise errors.NumberInvalid(name)
    return int(text)


def parse_metadata(text: str) -> dict[str, str]:
    """`Upload-Metadata`: names, each with its value in base64, between commas. Raises MetadataInvalid."""
    metadata: dict[str, str] = {}
    for pair in text.split(","):
        name, _, value = pair.strip().partition(" ")
        if not name:
            continue
        try:
            raw = base64.b64decode(value.strip(), validate=True)
            decoded = raw.decode("utf-8")
        except (binascii.Error, ValueError):
            raise errors.MetadataNotBase64(name) from None
        if name in metadata:
            raise errors.MetadataTwice(name)
        metadata[name] = decoded
    return metadata


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a PATCH should add up to."""

    algorithm: str
    wanted: bytes

    def digest(self) -> Digest:
        """A fresh digest of the algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def parse_checksum(text: str | None) -> Checksum | None:
    """`Upload-Checksum`: algorithm and digest in base64. Raises HeaderInvalid for others."""
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm.lower() not in ALGORITHMS:
        raise errors.AlgorithmUnknown(", ".join(ALGORITHMS))
    try:
        expected = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise errors.ChecksumNotBase64 from None
    if not expected:
        raise errors.ChecksumEmpty
    return Checksum(algorithm.lower(), expected)


def http_date(milliseconds: int) -> str:
    """A time as `Upload-Expires` writes it (RFC 9110)."""
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, UTC), usegmt=True)

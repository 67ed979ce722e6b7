"""The headers of tus 1.0.0: what they say, and what is wrong with them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from scandock.model.errors import Usage
from scandock.web.receiving.spooling import Digest

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,checksum,termination,expiration"
ALGORITHMS: Final = ("sha1", "sha256", "md5")
BODY: Final = "application/offset+octet-stream"


def check_version(headers: Mapping[str, str]) -> None:
    """Usage `tus_version` (412) unless the client speaks 1.0.0."""
    if headers.get("tus-resumable") != VERSION:
        raise Usage("tus_version", "The request does not say Tus-Resumable: 1.0.0.", "Use a client of tus 1.0.")


def check_body(headers: Mapping[str, str]) -> None:
    """Usage `tus_type` (415) unless the body is of tus's own type."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != BODY:
        raise Usage("tus_type", f"The body's Content-Type is not {BODY}.", "Use a client of tus 1.0.")


def number(headers: Mapping[str, str], name: str) -> int:
    """A header's whole number. Raises Usage `tus_header`."""
    text = headers.get(name.lower(), "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Usage("tus_header", f"{name} is missing, or no whole number.", "Use a client of tus 1.0.")
    return int(text)


def parse_metadata(text: str) -> dict[str, str]:
    """`Upload-Metadata`: names, each with its value in base64, between commas. Raises Usage `tus_metadata`."""
    found: dict[str, str] = {}
    for pair in text.split(","):
        name, _, value = pair.strip().partition(" ")
        if not name:
            continue
        try:
            raw = base64.b64decode(value.strip(), validate=True)
            said = raw.decode("utf-8")
        except (binascii.Error, ValueError):
            raise Usage(
                "tus_metadata", f"The value of {name!r} in Upload-Metadata is no text in base64.", "Encode it."
            ) from None
        if name in found:
            raise Usage("tus_metadata", f"Upload-Metadata names {name!r} twice.", "Name it once.")
        found[name] = said
    return found


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a PATCH should add up to."""

    algorithm: str
    wanted: bytes

    def digest(self) -> Digest:
        """A fresh digest of the algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def parse_checksum(text: str | None) -> Checksum | None:
    """`Upload-Checksum`: algorithm and digest in base64. Raises Usage `tus_header` for others."""
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm.lower() not in ALGORITHMS:
        raise Usage("tus_header", "Upload-Checksum names an unknown algorithm.", f"Known are {', '.join(ALGORITHMS)}.")
    try:
        wanted = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Usage("tus_header", "Upload-Checksum is no base64.", "Use a client of tus 1.0.") from None
    if not wanted:
        raise Usage("tus_header", "Upload-Checksum has no value behind its algorithm.", "Use a client of tus 1.0.")
    return Checksum(algorithm.lower(), wanted)


def http_date(milliseconds: int) -> str:
    """A time as `Upload-Expires` writes it (RFC 9110)."""
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, UTC), usegmt=True)

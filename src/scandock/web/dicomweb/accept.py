"""What a request accepts: its Accept header, or `accept=` in its query, read as clients of DICOMweb write them.

They write parameters with quotes and without, several transfer syntaxes in one range, types that no standard has beside
those that are meant, and queries that are not percent-encoded. What can't be read is left out, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from fastapi import Request

from scandock.model.dataclass import dataclass

ANY: Final = "*/*"
MULTIPART: Final = "multipart/related"
JSON: Final = "application/dicom+json"
MAX_RANGES: Final = 100
"""Ranges of one request that are looked at."""
_KNOWN_LENGTH: Final = 500
"""Characters of a header that is remembered, at most."""
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+*-]+/[a-z0-9!#$&^_.+*-]+")
_PIECES: Final = re.compile(r'(?:[^,;"]|"(?:[^"\\]|\\.)*"?)+|[,;]')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media type that a request accepts, in lower case, `*` where it may be any."""

    media_type: str
    """As `application/dicom` or `image/*`; of a multipart range the type of its parts."""
    multipart: bool = False
    """Whether it is to come as multipart/related; False also where both will do (`*/*`)."""
    transfer_syntaxes: tuple[str, ...] = ()
    """UIDs or `*`, in the order named; empty: the default of what is asked for."""
    weight: float = 1.0

    def takes(self, media_type: str) -> bool:
        """Whether a media type, without parameters, is of this range."""
        if self.media_type in (ANY, media_type):
            return True
        return self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])


def parse_accept(request: Request) -> list[MediaRange]:
    """The ranges of a request, those that it likes best first; `*/*` where it says nothing.

    `accept=` in the query goes before the header (PS3.18 8.3.3.1).
    """
    text = ",".join(_accept_parameters(request.scope["query_string"].decode("latin-1")))
    return parse_ranges(text or ",".join(request.headers.getlist("accept")))


def parse_ranges(text: str) -> list[MediaRange]:
    """As `parse_accept`, of the text of a header."""
    return list(_parse_known(text) if len(text) <= _KNOWN_LENGTH else _parse_ranges(text))


def _parse_ranges(text: str) -> Sequence[MediaRange]:
    if not text.strip():
        return [MediaRange(ANY)]
    ranges = [media_range for pieces in _split(text) if (media_range := _parse_range(pieces)) is not None]
    return sorted((one for one in ranges[:MAX_RANGES] if one.weight > 0), key=lambda one: -one.weight)


_parse_known: Final = lru_cache(maxsize=256)(_parse_ranges)
"""A viewer sends the same header with each of a thousand requests."""


def _accept_parameters(query: str) -> Iterator[str]:
    """The values of `accept` in a query. A plus sign is one: who does not encode writes `application/dicom+json`."""
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if unquote(name).lower() == "accept" and value:
            yield unquote(value)


def _split(text: str) -> Iterator[list[str]]:
    """A header's ranges, each as its type and its parameters; commas and semicolons within quotes part nothing."""
    pieces: list[str] = [""]
    for match in _PIECES.finditer(text):
        piece = match[0]
        if piece == ",":
            yield pieces
            pieces = [""]
        elif piece == ";":
            pieces.append("")
        else:
            pieces[-1] += piece
    yield pieces


def _parse_range(pieces: list[str]) -> MediaRange | None:
    """A range from its type and parameters; None where it, or the type of its parts, is no media type."""
    media_type = pieces[0].strip(" \t+").lower()
    if media_type == "*":
        media_type = ANY
    if not _TYPE.fullmatch(media_type):
        return None
    multipart = media_type in (MULTIPART, "multipart/*")
    part, syntaxes, weight = "", [], 1.0
    for parameter in pieces[1:]:
        name, _, value = parameter.partition("=")
        name, value = name.strip(" \t+").lower(), value.strip().strip("\"'").strip()
        if name == "type" and multipart and value not in ("", "*"):
            part = next((one for one in map(str.strip, value.lower().split(",")) if _TYPE.fullmatch(one)), "")
            if not part:
                return None
        elif name == "transfer-syntax" and value:
            syntaxes.append(value)
        elif name == "q":
            weight = _parse_weight(value)
    if multipart:
        media_type = part or ANY
    return MediaRange(media_type, multipart, tuple(dict.fromkeys(syntaxes)), weight)


def _parse_weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0


def takes_json(ranges: Iterable[MediaRange]) -> bool:
    """Whether JSON may be answered, whatever else is accepted too."""
    return any(
        not one.multipart and (one.takes(JSON) or one.media_type in ("application/json", "text/json")) for one in ranges
    )

"""A multipart/related body (RFC 2387) of DICOM objects, parsed as it comes: what STOW-RS sends (PS3.18 10.5).

Read leniently, as clients write it: line ends or a preamble before the first boundary and no line end behind the last,
boundaries of more than the 70 characters that RFC 2046 allows, part headers in any case. A part's Content-Length says
nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from scandock.services.stow_errors import RelatedBoundaryMissing, RelatedUnreadable

MULTIPART: Final = "multipart/related"
DICOM: Final = "application/dicom"
_TYPE_HEADER: Final = b"content-type"
_HEADERS: Final = 32
"""Headers that a part may have; each at most 4 KiB long."""
_PREAMBLE: Final = 64 * 1024
"""Bytes before the first boundary, at most."""


class PartEventKind(Enum):
    """What came of a body."""

    BEGIN = auto()
    DATA = auto()
    END = auto()


class PartEvent(NamedTuple):
    """One thing that came: the beginning of a part, with its media type, some of its bytes, or its end."""

    kind: PartEventKind
    data: memoryview = memoryview(b"")
    media_type: str = ""


class RelatedReader:
    """Push parser: `push` what came and get what it means. `ended` after the last boundary."""

    def __init__(self, boundary: bytes) -> None:
        """Raises RelatedBoundaryMissing for one that is none."""
        self.ended = False
        self._delimiter = b"--" + boundary
        self._preamble: bytearray | None = bytearray()
        """What came as long as no boundary has; None from then on."""
        self._events: list[PartEvent] = []
        self._header = bytearray()
        self._value = bytearray()
        self._media_type = ""
        if not boundary:
            raise RelatedBoundaryMissing
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_end": self._all,
                },
                max_header_count=_HEADERS,
            )
        except FormParserError:
            raise RelatedBoundaryMissing from None

    def push(self, data: bytes) -> list[PartEvent]:
        """What one piece of the body brought, in order. Raises RelatedUnreadable."""
        self._events = []
        if self._preamble is not None:
            data = self._skip_preamble(self._preamble, data)
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise RelatedUnreadable from error
        return self._events

    def _skip_preamble(self, preamble: bytearray, data: bytes) -> bytes:
        """What came from the first boundary on: nothing as long as it has not come. Raises RelatedUnreadable."""
        preamble += data
        at = 0 if preamble.startswith(self._delimiter) else preamble.find(b"\n" + self._delimiter) + 1
        if at == 0 and not preamble.startswith(self._delimiter):
            if len(preamble) > _PREAMBLE:
                raise RelatedUnreadable
            return b""
        self._preamble = None
        return bytes(preamble[at:])

    # -- the parser's calls --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._media_type = ""

    def _header_end(self) -> None:
        if bytes(self._header).lower() == _TYPE_HEADER:
            self._media_type = parse_media_type(bytes(self._value).decode("latin-1"))[0]
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        self._events.append(PartEvent(PartEventKind.BEGIN, media_type=self._media_type))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if start < end:
            self._events.append(PartEvent(PartEventKind.DATA, memoryview(data)[start:end]))

    def _end(self) -> None:
        self._events.append(PartEvent(PartEventKind.END))

    def _all(self) -> None:
        self.ended = True


def parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    """A Content-Type's media type, in lower case, and its parameters, quoted or not."""
    media_type, options = parse_options_header(header)
    return (
        media_type.decode("latin-1").strip().lower(),
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in options.items()},
    )

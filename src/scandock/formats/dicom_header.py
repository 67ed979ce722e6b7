"""One DICOM object's header: UIDs and wanted values from the first bytes of the object (PS3.10 7, PS3.5 7).

`read_header` takes the fast scan and falls back to pydicom for what is unusual. It judges as pydicom does, since that
is how a DICOM file is told from another: what pydicom can't read is no object, what it reads with the three UIDs is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from scandock.formats.dicom_items import (
    BIG,
    LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    DeclinedError,
    ShortError,
    letters,
)
from scandock.formats.dicom_scan import REQUIRED, Scan, read_meta
from scandock.formats.dicom_sniff import has_preamble, looks_like_dicom
from scandock.model.errors import BadInput
from scandock.model.limits import MIB
from scandock.model.tags import DICOMDIR_CLASS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[int], Buffer]

MAX_HEADER: Final = 32 * MIB
"""Most bytes of an object that are looked at for its header, and most that a deflated data set is inflated to."""
LYING_LENGTH: Final = 1 << 30
"""A header element that claims this many bytes or more beyond the object's end was never whole: damage, no cut."""

DEFLATED_LITTLE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

_MEDIA_CLASS: Final = NUMBERS["MediaStorageSOPClassUID"]
_SYNTAX: Final = NUMBERS["TransferSyntaxUID"]
_CLASS, _SOP = NUMBERS["SOPClassUID"], NUMBERS["SOPInstanceUID"]
_STUDY, _SERIES = NUMBERS["StudyInstanceUID"], NUMBERS["SeriesInstanceUID"]
_VRS: Final = frozenset(SHORT_VRS + LONG_VRS)
_LAST_IDENTIFYING_GROUP: Final = 0x0028
_FRAGMENTS: Final = 4096
"""Fragments of encapsulated pixel data that are looked at."""

__all__ = ["MAX_HEADER", "Header", "Unparseable", "looks_like_dicom", "read_header", "uid_text"]


class Unparseable(BadInput):
    """The bytes are no object that can be kept: `code` says why (not_dicom, header_damaged, no_study_uid ...)."""


@dataclass(slots=True)
class Header:
    """What is known of one object. UIDs are text without padding; `values` are raw bytes as they stand in the file.

    `dataset_at` is the offset behind group 0002 (0 where there is no meta information). `pixels` tells whether the
    pixel data that the header announces is there: by its length, or for encapsulated pixels by the fragments at hand.
    """

    values: dict[int, bytes]
    transfer_syntax: str
    implicit: bool
    big_endian: bool
    dataset_at: int
    preamble: bool
    pixels: Literal["none", "whole", "cut"]
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    notes: tuple[str, ...] = ()

    @property
    def is_dicomdir(self) -> bool:
        """Whether this is a directory of a disc (media storage class 1.2.840.10008.1.3.10), which is no image."""
        return self.sop_class == DICOMDIR_CLASS


class _Source:
    """The head of an object, and how to get more of it."""

    __slots__ = ("head", "more", "size")

    def __init__(self, head: Buffer, size: int, more: More | None) -> None:
        self.head = head
        self.size = size
        self.more = more

    def extend(self, need: int) -> bool:
        """Get `need` bytes or more, up to MAX_HEADER; False where nothing is gained."""
        have = len(self.head)
        goal = min(max(need, 4 * have), self.size, MAX_HEADER)
        if self.more is None or goal <= have:
            return False
        self.head = self.more(goal)
        return len(self.head) > have


def read_header(head: Buffer, size: int, wanted: frozenset[int], more: More | None = None) -> Header:
    """Read the header of an object of `size` bytes that begins with `head`.

    `wanted` are the tags (group * 65536 + element) whose values are kept. `more(n)` gives the first n bytes of the
    object; it is asked for at most MAX_HEADER bytes, and only where the header does not end within `head`. Raises
    Unparseable and nothing else, whatever the bytes (what `more` raises passes through).
    """
    preamble = has_preamble(head)
    if not preamble and not looks_like_dicom(head, size):
        raise Unparseable("not_dicom", "It is not DICOM: no DICM mark, and it does not begin like a data set.")
    source = _Source(head, size, more)
    try:
        meta, at = _meta(source, 132 if preamble else 0, wanted)
    except DeclinedError:
        return _from_pydicom(source, wanted, _blank(preamble))
    header = _blank(preamble)
    header.values, header.dataset_at = meta, at
    header.transfer_syntax, header.sop_class = uid_text(meta.get(_SYNTAX)), uid_text(meta.get(_MEDIA_CLASS))
    if header.is_dicomdir:
        return header
    deflated = header.transfer_syntax == DEFLATED_LITTLE
    data = _inflated(source, at) if deflated else source
    try:
        return _dataset(header, data, 0 if deflated else at, wanted)
    except DeclinedError:
        return _from_pydicom(data, wanted, header, inflated=deflated)


def _blank(preamble: bool) -> Header:
    return Header({}, "", False, False, 0, preamble, "none", "", "", "", "")


def _meta(source: _Source, start: int, wanted: frozenset[int]) -> tuple[dict[int, bytes], int]:
    while True:
        try:
            return read_meta(source.head, start, wanted)
        except ShortError as short:
            if not source.extend(short.need):
                raise _truncated("its file meta information") from None


def _inflated(source: _Source, at: int) -> _Source:
    """The data set of a deflated object (PS3.5 A.5), inflated up to MAX_HEADER whatever it holds."""
    while len(source.head) < source.size and source.extend(MAX_HEADER):
        pass
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source.head[at:], MAX_HEADER)
    except zlib.error:
        raise Unparseable("header_damaged", "Its deflated data set is damaged.") from None
    if inflater.eof:
        return _Source(data, len(data), None)
    if len(data) < MAX_HEADER and len(source.head) >= source.size:
        raise _truncated("its deflated data set")
    return _Source(data, 1 << 62, None)


def _encoding(head: Buffer, at: int, syntax: str) -> tuple[bool, bool]:
    """(explicit, big endian) of the data set at `at`: by transfer syntax, set right by its first VR as pydicom does."""
    big = syntax == EXPLICIT_BIG
    if not syntax and bytes(head[at + 4 : at + 6]) in _VRS:
        big = head[at] + 256 * head[at + 1] >= 0x0400
    return letters(head, at + 4), big


def _dataset(header: Header, source: _Source, at: int, wanted: frozenset[int]) -> Header:
    if len(source.head) < at + 8 and not source.extend(at + 8):
        raise _truncated("its file meta information")
    explicit, big = _encoding(source.head, at, header.transfer_syntax)
    scan = Scan(source.head, at, wanted, explicit=explicit, big=big)
    header.implicit, header.big_endian = not explicit, big
    whole = True
    try:
        scan.run()
        while not scan.stopped and len(source.head) < source.size and scan.need < source.size + 16:
            whole = source.extend(scan.need)
            if not whole:
                break
            scan.resume(source.head)
    except DeclinedError:
        if not scan.past_wanted:
            raise
        whole = False
    header.values.update(scan.values)
    _name(header)
    if scan.stopped:
        header.pixels = _pixels(source, scan.start, scan.length, big=big)
    elif not whole:
        header.notes += ("The header goes on beyond what was read; it is judged from its leading elements.",)
    elif scan.open:
        raise _truncated(f"element {_tag(scan.number)}")
    elif scan.pos + 8 <= source.size or scan.pos > source.size:
        _judge_cut(header, scan.number, scan.length)
    return _identified(header)


def _from_pydicom(source: _Source, wanted: frozenset[int], header: Header, *, inflated: bool = False) -> Header:
    """Have pydicom read what the fast scan declined, on at most MAX_HEADER bytes."""
    from scandock.formats.dicom_slow import read_slow

    every = wanted | REQUIRED
    facts = read_slow(bytes(source.head), every, inflated=inflated)
    while facts.pixel is None and len(source.head) < source.size and source.extend(len(source.head) + 1):
        facts = read_slow(bytes(source.head), every, inflated=inflated)
    header.values = (header.values if inflated else {}) | facts.values
    header.transfer_syntax = uid_text(header.values.get(_SYNTAX))
    header.implicit, header.big_endian = facts.implicit, facts.big_endian
    if not inflated:
        header.dataset_at = facts.dataset_at
    header.sop_class = uid_text(header.values.get(_MEDIA_CLASS))
    if header.is_dicomdir:
        return header
    _name(header)
    if facts.pixel is not None:
        header.pixels = _pixels(source, *facts.pixel, big=facts.big_endian)
    elif facts.failed:
        _judge_failure(header, facts.failed, whole=len(source.head) >= source.size)
    elif facts.cut(source.size):
        _judge_cut(header, facts.number, facts.length)
    return _identified(header)


def _name(header: Header) -> None:
    """Fill in the identifiers from the values. The media storage class serves where the data set names no class."""
    values = header.values
    header.study_uid = uid_text(values.get(_STUDY))
    header.series_uid = uid_text(values.get(_SERIES))
    header.sop_uid = uid_text(values.get(_SOP))
    header.sop_class = uid_text(values.get(_CLASS)) or uid_text(values.get(_MEDIA_CLASS))


def _identified(header: Header) -> Header:
    """The header, where the object has its three UIDs."""
    if not header.study_uid:
        raise Unparseable("no_study_uid", "It has no Study Instance UID, so no session can be told for it.")
    if not header.series_uid:
        raise Unparseable("no_series_uid", "It has no Series Instance UID, so no scan can be told for it.")
    if not header.sop_uid:
        raise Unparseable("no_sop_uid", "It has no SOP Instance UID, so it can't be told from other objects.")
    return header


def _judge_cut(header: Header, number: int, length: int) -> None:
    """An element of the header goes beyond the end of the object: refuse, or keep it with a note.

    Kept is what has its identifying groups whole (0008 to 0028) and was merely cut behind them; a claim beyond
    LYING_LENGTH was never true.
    """
    if length >= LYING_LENGTH:
        raise Unparseable("header_damaged", f"Element {_tag(number)} claims {length} bytes, beyond the object's end.")
    if number >> 16 <= _LAST_IDENTIFYING_GROUP or not (header.study_uid and header.series_uid and header.sop_uid):
        raise _truncated(f"element {_tag(number)}")
    header.notes += (f"The header is cut in element {_tag(number)}, behind all that identifies the object.",)


def _judge_failure(header: Header, failed: str, *, whole: bool) -> None:
    """Pydicom gave up: what is too deep, too much or not read to its end is kept by its leading elements."""
    patience = failed in {"RecursionError", "MemoryError", "BudgetError"} or not whole
    if not (patience and header.study_uid and header.series_uid and header.sop_uid):
        raise Unparseable("header_damaged", f"Its header can't be read ({failed}).")
    header.notes += (f"The header could not be read to its end ({failed}); it is judged from its leading elements.",)


def _pixels(source: _Source, start: int, length: int, *, big: bool) -> Literal["none", "whole", "cut"]:
    """Whether the pixel data element's value is there; encapsulated, whether the fragments at hand are."""
    if length == 0:
        return "none"
    if length != UNDEFINED:
        return "whole" if start + length <= source.size else "cut"
    pair = (BIG if big else LITTLE).pair
    head = source.head
    for _ in range(_FRAGMENTS):
        if start + 8 > source.size:
            return "cut"
        if start + 8 > len(head):
            break
        tag, length = pair(head, start)
        if tag != LITTLE.item:
            break
        start += 8 + length
    return "whole"


def uid_text(raw: bytes | None) -> str:
    """A UID's text without padding (NULs, spaces); what can't stand in a text becomes a replacement mark."""
    if not raw:
        return ""
    text = raw.decode("latin-1").strip("\0 \t\r\n")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _tag(number: int) -> str:
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def _truncated(where: str) -> Unparseable:
    return Unparseable("header_truncated", f"Its header is cut: the object ends in {where}.")

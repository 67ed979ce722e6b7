"""One DICOM object's header: UIDs and wanted values from the first bytes of the object (PS3.10 7, PS3.5 7).

`read_header` takes the fast scan and falls back to pydicom for what is unusual. It judges as pydicom does, since that
is how a DICOM file is told from another: what pydicom can't read is no object, what it reads with the three UIDs is.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from scandock.formats.dicom_encoding import BIG, LITTLE, Buffer, DeclinedError, OddVRError, ShortError, TooOddError
from scandock.formats.dicom_items import is_explicit
from scandock.formats.dicom_object import (
    IMPATIENCE,
    Header,
    check_identifiers,
    handle_cut,
    handle_failure,
    handle_odd_vr,
    pixel_state,
    set_identifiers,
    shared_uid,
    tag_text,
    truncated_error,
    uid_text,
)
from scandock.formats.dicom_scan import EXPLICIT_BIG, REQUIRED, Scan, encoding_of, read_meta
from scandock.formats.dicom_sniff import begins_like_a_data_set, has_preamble, looks_like_dicom
from scandock.formats.dicomdir import dicomdir_files
from scandock.formats.errors import HeaderDamaged, NotDicom, Unparseable
from scandock.model.limits import MIB
from scandock.model.tags import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    More = Callable[[int], Buffer]

MAX_HEADER: Final = 32 * MIB
"""Most bytes of an object that are looked at for its header, and most that a deflated data set is inflated to."""

_FIRST: Final = 1024
"""Bytes that show whether an object is DICOM at all."""

DEFLATED_LITTLE: Final = "1.2.840.10008.1.2.1.99"
_PREAMBLE: Final = 132
_META: Final = b"\x02\0"
"""Group 0002, which stands behind every preamble that is one."""
_ENCODINGS: Final = (None, (True, False), (False, False), (True, True))
"""The one that the object says and its first element tells; then explicit or implicit VR, little or big endian."""
_UNREAD: Final = frozenset({"header_damaged", "header_truncated"})
_UID: Final = re.compile(r"[0-9.]+")

_MEDIA_CLASS: Final = NUMBERS["MediaStorageSOPClassUID"]
_SYNTAX: Final = NUMBERS["TransferSyntaxUID"]

__all__ = ["MAX_HEADER", "Header", "Unparseable", "dicomdir_files", "looks_like_dicom", "read_header"]


class _Source:
    """The head of an object, and how to get more of it."""

    __slots__ = ("head", "more", "size")

    def __init__(self, head: Buffer, size: int, more: More | None) -> None:
        self.head = head
        self.size = size
        self.more = more

    @property
    def whole(self) -> bool:
        """Whether all of the object is at hand."""
        return len(self.head) >= self.size

    def extend(self, need: int) -> bool:
        """Get `need` bytes or more, at most MAX_HEADER; False where they can't be had and nothing is asked for."""
        have = len(self.head)
        if self.more is None or need > MAX_HEADER or self.whole:
            return False
        self.head = self.more(min(max(need, 4 * have), self.size, MAX_HEADER))
        return len(self.head) > have


def read_header(head: Buffer, size: int, tags: frozenset[int], more: More | None = None) -> Header:
    """Read the header of an object of `size` bytes that begins with `head`.

    `tags` are the tags (group * 65536 + element) whose values are kept. `more(n)` gives the first n bytes of the
    object; it is asked for at most MAX_HEADER bytes, and only where the header does not end within `head`. Raises
    Unparseable and nothing else, whatever the bytes (what `more` raises passes through).
    """
    source = _Source(head, size, more)
    if len(head) < _FIRST:
        source.extend(_FIRST)
    preamble = has_preamble(source.head)
    if not preamble and not begins_like_a_data_set(source.head, size):
        raise NotDicom
    if preamble and _has_mark_by_chance(source):
        return _read_otherwise(source, tags, (False, True)) or _read(source, tags, preamble=False)
    try:
        return _read(source, tags, preamble=preamble)
    except Unparseable as refused:
        starts = (True, False) if preamble and begins_like_a_data_set(source.head, size) else (preamble,)
        header = _read_otherwise(source, tags, starts)
        if header is None:
            raise
        if header.transfer_syntax == EXPLICIT_BIG and not header.big_endian:
            why = "Its transfer syntax says that it is big endian, but its data set is written in little endian."
            raise Unparseable(refused.code, why) from None
        return header


def read_data_set(
    head: Buffer, size: int, transfer_syntax: str, tags: frozenset[int], more: More | None = None
) -> Header | None:
    """Read the header of a data set of `size` bytes that begins with `head`, in the transfer syntax that is told.

    None where it is in any way unusual: `read_header` is to judge of it, of the whole file.
    """
    if transfer_syntax == DEFLATED_LITTLE:
        return None
    header = _blank(preamble=True)
    _begin(header, {_SYNTAX: transfer_syntax.encode("ascii", "replace")}, 0)
    try:
        return _dataset(header, _Source(head, size, more), 0, tags)
    except (DeclinedError, OddVRError, Unparseable):
        return None


def _has_mark_by_chance(source: _Source) -> bool:
    """Whether `DICM` stands in a value of a data set without a preamble: no meta information follows it."""
    return source.head[132:134] != _META and begins_like_a_data_set(source.head, source.size)


def _read(source: _Source, tags: frozenset[int], *, preamble: bool) -> Header:
    """Read the object as it says that it is written."""
    header = _blank(preamble)
    try:
        meta, at = _meta(source, _PREAMBLE if preamble else 0, tags)
    except DeclinedError:
        return _from_pydicom(source, tags, header)
    _begin(header, meta, at)
    if header.is_dicomdir:
        return header
    deflated = header.transfer_syntax == DEFLATED_LITTLE
    data = _inflated(source, at) if deflated else source
    try:
        return _dataset(header, data, 0 if deflated else at, tags)
    except OddVRError as odd:
        try:
            return _from_pydicom(data, tags, header, inflated=deflated)
        except Unparseable as refused:
            if refused.code not in _UNREAD:
                raise
            return handle_odd_vr(header, odd.number)
    except DeclinedError:
        return _from_pydicom(data, tags, header, inflated=deflated)


def _read_otherwise(source: _Source, tags: frozenset[int], starts: tuple[bool, ...]) -> Header | None:
    """Read what can't be read as it says: with or without a preamble, by `starts`, and in every encoding.

    None where no reading gives the three UIDs as UIDs are written.
    """
    for preamble in starts:
        for encoding in _ENCODINGS:
            try:
                return _read_as(source, tags, encoding, preamble=preamble)
            except (DeclinedError, Unparseable):
                continue
    return None


def _read_as(source: _Source, tags: frozenset[int], encoding: tuple[bool, bool] | None, *, preamble: bool) -> Header:
    """Read the object in one encoding (explicit, big endian), whatever it says; with None in that which it says."""
    header = _blank(preamble)
    _begin(header, *_meta(source, _PREAMBLE if preamble else 0, tags))
    if header.transfer_syntax == DEFLATED_LITTLE:
        raise DeclinedError("a deflated data set is of one encoding")
    if encoding is not None and encoding[0] != _begins_explicit(source.head, header.dataset_at, big=encoding[1]):
        raise DeclinedError("a first element of the other kind of VR")
    _dataset(header, source, header.dataset_at, tags, encoding)
    if not all(_UID.fullmatch(uid) for uid in (header.study_uid, header.series_uid, header.sop_uid)):
        raise DeclinedError("UIDs that are none")
    if header.big_endian and header.transfer_syntax not in ("", EXPLICIT_BIG):
        header.notes += ("Its transfer syntax says little endian, but its data set is written in big endian.",)
    return header


def _begins_explicit(head: Buffer, at: int, *, big: bool) -> bool:
    """Whether the data set at `at` begins with an element of explicit VR, if only with a blank one."""
    return len(head) >= at + 8 and is_explicit(head, at, BIG if big else LITTLE)


def _begin(header: Header, meta: dict[int, bytes], at: int) -> None:
    """Enter what the meta information says, and that the data set begins at `at`."""
    header.values, header.dataset_at = meta, at
    header.transfer_syntax, header.sop_class = shared_uid(meta.get(_SYNTAX)), shared_uid(meta.get(_MEDIA_CLASS))


def _blank(preamble: bool) -> Header:
    return Header({}, "", False, False, 0, preamble, "none", "", "", "", "")


def _meta(source: _Source, start: int, tags: frozenset[int]) -> tuple[dict[int, bytes], int]:
    while True:
        try:
            return read_meta(source.head, start, tags, whole=source.whole)
        except ShortError as short:
            if short.need > source.size + 8 or not source.extend(short.need):
                raise truncated_error("its file meta information") from None


def _inflated(source: _Source, at: int) -> _Source:
    """The data set of a deflated object (PS3.5 A.5), inflated up to MAX_HEADER whatever it holds."""
    while source.extend(MAX_HEADER):
        pass
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source.head[at:], MAX_HEADER)
    except zlib.error:
        raise HeaderDamaged("Its deflated data set is damaged.") from None
    if inflater.eof:
        return _Source(data, len(data), None)
    if len(data) < MAX_HEADER and source.whole:
        raise truncated_error("its deflated data set")
    return _Source(data, 1 << 62, None)


def _dataset(
    header: Header, source: _Source, at: int, tags: frozenset[int], encoding: tuple[bool, bool] | None = None
) -> Header:
    if len(source.head) < at + 8 and not source.extend(at + 8):
        raise truncated_error("its file meta information")
    explicit, big = encoding or encoding_of(source.head, at, header.transfer_syntax)
    header.implicit, header.big_endian = not explicit, big
    scan = Scan(source.head, at, tags, explicit=explicit, big=big, size=source.size)
    whole = _run(scan, source)
    header.values.update(scan.values)
    set_identifiers(header)
    if scan.stopped:
        header.pixels = pixel_state(source.head, source.size, scan.start, scan.length, big=big)
    elif not whole:
        if not scan.is_past:
            header.notes += ("The header goes on beyond what was read; it is judged from its leading elements.",)
    elif scan.open:
        raise truncated_error(f"element {tag_text(scan.number)}")
    elif scan.pos + 8 <= source.size or scan.pos > source.size:
        handle_cut(header, scan.number, scan.length)
    return check_identifiers(header)


def _run(scan: Scan, source: _Source) -> bool:
    """Scan to the pixel data or the end of the object, with as much of it as that takes; False where it ends before.

    What is unusual within the last wanted sequence or behind it is of no account; before it DeclinedError is raised.
    """
    try:
        scan.run()
        while not (scan.stopped or source.whole or _is_over(scan, source.size)):
            if not source.extend(scan.need):
                return False
            scan.resume(source.head)
    except DeclinedError:
        if not (scan.has_all or scan.is_past):
            raise
        return False
    return True


def _is_over(scan: Scan, size: int) -> bool:
    """Whether the object has no bytes that would let the scan go on."""
    return scan.need > size + 16 or (not scan.open and scan.pos + 8 > size)


def _from_pydicom(source: _Source, tags: frozenset[int], header: Header, *, inflated: bool = False) -> Header:
    """Have pydicom read what the fast scan declined, on at most MAX_HEADER bytes."""
    from scandock.formats.dicom_fallback import read_with_pydicom

    all_tags = tags | REQUIRED
    facts = read_with_pydicom(_for_pydicom(source, header, inflated=inflated), all_tags, inflated=inflated)
    while facts.pixel is None and facts.failed not in IMPATIENCE and source.extend(len(source.head) + 1):
        facts = read_with_pydicom(_for_pydicom(source, header, inflated=inflated), all_tags, inflated=inflated)
    header.values = (header.values if inflated else {}) | facts.values
    header.transfer_syntax = uid_text(header.values.get(_SYNTAX))
    if not inflated:
        header.dataset_at = facts.dataset_at
    at = 0 if inflated else facts.dataset_at
    header.implicit, header.big_endian = facts.implicit, facts.big_endian
    if facts.dataset_at or inflated:  # pydicom keeps what it expected, and not what it found
        header.implicit = not _begins_explicit(source.head, at, big=facts.big_endian)
    header.sop_class = uid_text(header.values.get(_MEDIA_CLASS))
    if header.is_dicomdir:
        return header
    set_identifiers(header)
    if facts.pixel is not None:
        header.pixels = pixel_state(source.head, source.size, *facts.pixel, big=facts.big_endian)
    elif facts.failed:
        handle_failure(header, facts.failed, facts.number, whole=source.whole)
    elif facts.cut(source.size):
        handle_cut(header, facts.number, facts.length)
    return check_identifiers(header)


def _for_pydicom(source: _Source, header: Header, *, inflated: bool) -> bytes:
    """The bytes at hand, such that pydicom reads them as the fast scan does.

    Unchanged where the fast scan did not find where the data set begins.
    """
    from scandock.formats.dicom_repair import MOST_SET_RIGHT, repair_header

    at = 0 if inflated else header.dataset_at
    start = _PREAMBLE if header.preamble and not inflated else 0
    try:
        right = (
            repair_header(source.head, start, at, header.transfer_syntax)
            if at or inflated or not header.preamble
            else None
        )
    except TooOddError:
        why = f"more than {MOST_SET_RIGHT:,} of its elements have a value representation that does not exist"
        raise HeaderDamaged(f"Its header can't be read: {why}.") from None
    return right or bytes(source.head)

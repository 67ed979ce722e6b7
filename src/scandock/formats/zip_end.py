"""Where the directory of a zip stands: the record at the end, its zip64 form, and what may lie around them.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16 and 4.4.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from scandock.formats.errors import ArchiveEncrypted, ArchiveSplit
from scandock.formats.source import SliceSource, Source
from scandock.model.errors import BadInput

_END: Final = Struct("<4s4H2LH")
_LOCATOR: Final = Struct("<4sLQL")
_END64: Final = Struct("<4sQ2H2L4Q")
_CENTRAL: Final = b"PK\x01\x02"
_WINDOWS: Final = (22 + 65_535, 1024 * 1024)
"""A comment fits in the first; the second finds a zip with other bytes behind it."""
_CANDIDATES: Final = 256
_CONCATENATED: Final = 64


class ZipEnd(NamedTuple):
    """Where a directory stands in the source, as its end record says and as it was found."""

    directory_at: int
    directory_size: int
    entries: int
    zip64: bool
    shift: int
    """What must be added to the offsets that the directory gives: bytes put before the zip."""
    after_at: int
    """Just after the comment."""


def find_end(source: Source) -> ZipEnd | None:
    """The last end record whose directory stands where it says, or None.

    One that lists entries goes before an empty one, so that a comment cannot hide the entries. Raises BadInput
    `split_archive` or `encrypted` (a directory that is encrypted) where that is what the last record tells.
    """
    size = source.size
    empty: ZipEnd | None = None
    refusal: BadInput | None = None
    seen: set[int] = set()
    for window in _WINDOWS:
        start = max(0, size - window)
        tail = source.read_at(start, window)
        at = tail.rfind(b"PK\x05\x06")
        while at >= 0 and len(seen) < _CANDIDATES:
            if start + at not in seen:
                seen.add(start + at)
                try:
                    end = _check_end_record(source, start + at, tail[at : at + 22])
                except BadInput as bad:
                    refusal = refusal or bad
                    end = None
                if end is not None and end.entries:
                    return end
                empty = empty or end
            at = tail.rfind(b"PK\x05\x06", 0, at)
        if start == 0 or empty or refusal:
            break
    if empty is None and refusal is not None:
        raise refusal
    return empty


def is_filled_by_zips(source: Source, offset: int) -> bool:
    """Whether whole zips, one after the other, take up the source from its beginning to exactly `offset`."""
    for _ in range(_CONCATENATED):
        try:
            end = find_end(SliceSource(source, 0, offset))
        except BadInput:
            return False
        if end is None or end.after_at != offset:
            return False
        if end.shift == 0:
            return True
        offset = end.shift
    return False


def _check_end_record(source: Source, at: int, record: bytes) -> ZipEnd | None:
    """The directory that the end record at `at` tells of, if there is one."""
    if len(record) < _END.size:
        return None
    _, disk, first_disk, here, total, size, offset, comment = _END.unpack(record)
    end_at, zip64, version = at, False, 0
    if 0xFFFF in (disk, first_disk, here, total) or 0xFFFFFFFF in (size, offset):
        zip64_end = _zip64(source, at)
        if zip64_end is not None:
            end_at, version, disk64, first64, here64, total64, size64, offset64 = zip64_end
            zip64 = True
            disk = disk64 if disk == 0xFFFF else disk
            first_disk = first64 if first_disk == 0xFFFF else first_disk
            here = here64 if here == 0xFFFF else here
            total = total64 if total == 0xFFFF else total
            size = size64 if size == 0xFFFFFFFF else size
            offset = offset64 if offset == 0xFFFFFFFF else offset
    directory_at = _directory_at(source, end_at, size, offset, total)
    if directory_at is None:
        if zip64 and version >= 62 and _within(source, offset, size, end_at):
            raise ArchiveEncrypted(
                "The zip is encrypted, its directory as well.",
                "Unpack it with its password and pack it again without one.",
            )
        if (disk or first_disk) and max(disk, first_disk) < 0xFFFF and at + 22 + comment == source.size:
            raise split_archive_error()
        return None
    if disk or first_disk or here != total:
        raise split_archive_error()
    size = min(size, end_at - directory_at) if size else end_at - directory_at
    after_at = min(at + 22 + comment, source.size)
    return ZipEnd(directory_at, size, total, zip64, directory_at - offset, after_at)


def _directory_at(source: Source, end_at: int, size: int, offset: int, total: int) -> int | None:
    """Directly before its end record, whatever was put before the zip; else where the record says."""
    if total == 0 and size == 0:
        return end_at if offset <= end_at else None
    for at in (end_at - size, offset):
        if 0 <= at <= end_at - 46 and source.read_at(at, 4) == _CENTRAL and (at >= offset):
            return at
    return None


def _zip64(source: Source, at: int) -> tuple[int, int, int, int, int, int, int, int] | None:
    """The zip64 end record: (where it stands, version needed, disks, entries, size, offset)."""
    if at < _LOCATOR.size + _END64.size:
        return None
    signature, disk, offset, disks = _LOCATOR.unpack(source.read_at(at - _LOCATOR.size, _LOCATOR.size))
    if signature != b"PK\x06\x07":
        return None
    if disk or disks > 1:
        raise split_archive_error()
    # Where the locator says; or, with bytes put before the zip, directly before the locator.
    for end_at in (at - _LOCATOR.size - _END64.size, offset):
        if not 0 <= end_at <= at - _LOCATOR.size - _END64.size:
            continue
        record = _END64.unpack(source.read_at(end_at, _END64.size))
        if record[0] == b"PK\x06\x06":
            return (end_at, record[3], *record[4:])
    return None


def _within(source: Source, offset: int, size: int, end_at: int) -> bool:
    return size > 0 and offset + size <= end_at <= source.size


def split_archive_error() -> BadInput:
    """The refusal of one part of an archive that lies in several files."""
    return ArchiveSplit(
        "The file is one part of a zip that was split over several.",
        "Join the parts (zip -s 0 split.zip --out whole.zip) and send the whole.",
    )

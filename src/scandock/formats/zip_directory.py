"""The directory of a zip, read once into a compact table and proven free of overlaps before anything is unpacked.

Source: APPNOTE 6.3.10, 4.3.12; overlaps after D. Fifield, "A better zip bomb" (WOOT 2019).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from scandock.formats.display_names import as_size, quote
from scandock.formats.errors import (
    RAISE,
    ArchiveDamaged,
    ArchiveTruncated,
    EntriesOverlap,
    EntriesTooMany,
    NotAnArchive,
)
from scandock.formats.meter import too_many_entries
from scandock.formats.source import Source
from scandock.formats.zip_end import ZipEnd, find_end, is_filled_by_zips, split_archive_error
from scandock.formats.zip_entries import ROW, ZipEntries, ZipEntry
from scandock.formats.zip_names import UNICODE_PATH, UTF8_FLAG, decode_name, extra_field, unicode_path
from scandock.model.errors import BadInput
from scandock.model.limits import Limits

__all__ = ["ZipDirectory", "ZipEntries", "ZipEntry", "overlapping", "read_directory"]

_CENTRAL: Final = Struct("<I4x2H4x3L4H2xLL")
_SIGNATURE: Final = 0x02014B50
_DIGITAL_SIGNATURE: Final = 0x05054B50
_READ: Final = 1024 * 1024
_LOCAL: Final = 30
_MAX32: Final = 0xFFFFFFFF


class ZipDirectory(NamedTuple):
    """What a zip holds, and what was odd about it in words."""

    entries: ZipEntries
    notes: tuple[str, ...]


def read_directory(source: Source, limits: Limits) -> ZipDirectory:
    """Read and prove the directory at the end of `source`.

    Raises BadInput `truncated` (no directory), `damaged`, `split_archive`, `encrypted` or `overlapping_entries`, and
    LimitExceeded `too_many_entries` for more entries than one upload may have or a directory beyond its bound.
    """
    end = find_end(source)
    if end is None:
        raise _no_directory(source)
    if end.entries > limits.max_entries:
        raise too_many_entries(end.entries, limits.max_entries)
    if end.directory_size > limits.max_directory_bytes:
        raise EntriesTooMany(
            f"The zip's directory takes {as_size(end.directory_size)}; at most {as_size(limits.max_directory_bytes)} "
            "are read.",
            f"Upload it in parts. {RAISE}",
        )
    table = _read_table(source, end, limits)
    count = len(table.rows) // ROW.size
    # Without zip64 the count has 16 bits; some writers let it run over, others leave it at its largest.
    run_over = not end.zip64 and count > 0xFFFF and end.entries in (count & 0xFFFF, 0xFFFF)
    if count != end.entries and not run_over:
        raise _damaged_error(f"its directory lists {count} entries where its end record claims {end.entries}")
    notes = _check_bounds(source, end, table)
    return ZipDirectory(ZipEntries(bytes(table.rows), bytes(table.names)), tuple(notes))


class _Table:
    def __init__(self) -> None:
        self.rows = bytearray()
        self.names = bytearray()
        self.headers = array("Q")
        self.ends = array("Q")
        """Where each entry's data can end at the earliest."""
        self.ordered = True

    def name(self, index: int) -> str:
        row = ROW.unpack_from(self.rows, index * ROW.size)
        return quote(decode_name(bytes(self.names[row[4] : row[4] + row[7]]), row[9]))


def _read_table(source: Source, end: ZipEnd, limits: Limits) -> _Table:
    """All rows of the directory, a stretch of it in memory at a time; `next_at` is still open."""
    table = _Table()
    read_at, remaining = end.directory_at, end.directory_size
    buffer, at, count = b"", 0, 0
    unpack, pack, add = _CENTRAL.unpack_from, ROW.pack, table.rows.extend
    names, headers, ends, shift, last = table.names, table.headers, table.ends, end.shift, -1
    while True:
        held = len(buffer) - at
        if held >= 46:
            signature, flags, method, crc, csize, usize, name_n, extra_n, note_n, disk, attributes, offset = unpack(
                buffer, at
            )
            if signature != _SIGNATURE:
                break
            length = 46 + name_n + extra_n + note_n
            if held >= length:
                name = buffer[at + 46 : at + 46 + name_n]
                if extra_n:
                    extra = buffer[at + 46 + name_n : at + 46 + name_n + extra_n]
                    if UNICODE_PATH in extra and (better := unicode_path(extra, name)) is not None:
                        name = better[:0xFFFF]
                        flags |= UTF8_FLAG
                    if _MAX32 in (csize, usize, offset) or disk == 0xFFFF:
                        usize, csize, offset, disk = _read_zip64_fields(extra, (usize, csize, offset, disk), name)
                if disk:
                    raise split_archive_error()
                header_at = offset + shift
                if header_at < last:
                    table.ordered = False
                last = header_at
                add(pack(header_at, 0, csize, usize, len(names), crc, attributes, len(name), method, flags))
                names += name
                headers.append(header_at)
                ends.append(header_at + _LOCAL + csize)
                at += length
                count += 1
                if count > limits.max_entries:
                    raise too_many_entries(count, limits.max_entries)
                continue
        if not remaining:
            break
        piece = source.read_at(read_at, min(remaining, _READ))
        if not piece:
            raise _damaged_error("its directory cannot be read to the end")
        buffer, at = buffer[at:] + piece, 0
        read_at += len(piece)
        remaining -= len(piece)
    rest = buffer[at : at + 4]
    if rest and int.from_bytes(rest, "little") != _DIGITAL_SIGNATURE:
        raise _damaged_error(f"its directory breaks off after {count} entries")
    return table


def _read_zip64_fields(extra: bytes, narrow: tuple[int, int, int, int], name: bytes) -> tuple[int, int, int, int]:
    """(size, packed size, offset, disk), those of them that say so taken from the zip64 extra field, in that order."""
    *values, disk = narrow
    wide = extra_field(extra, 1)
    if wide is None:  # a file of exactly 4 GiB - 1, or a writer that leaves the disk unset
        return values[0], values[1], values[2], 0 if disk == 0xFFFF else disk
    at = 0
    for index, value in enumerate(values):
        if value == _MAX32:
            if at + 8 > len(wide):
                raise _damaged_error(f"the zip64 sizes of {quote(decode_name(name, 0))} are cut")
            values[index] = int.from_bytes(wide[at : at + 8], "little")
            if values[index] >= 1 << 62:
                raise _damaged_error(f"the sizes of {quote(decode_name(name, 0))} are absurd")
            at += 8
    if disk == 0xFFFF:
        disk = int.from_bytes(wide[at : at + 4], "little")
    return values[0], values[1], values[2], disk


def _check_bounds(source: Source, end: ZipEnd, table: _Table) -> list[str]:
    """Give each row its bound; every entry has bytes of its own, in the source, before the directory."""
    notes = []
    headers, ends, rows, count = table.headers, table.ends, table.rows, len(table.headers)
    order: Sequence[int] = range(count) if table.ordered else sorted(range(count), key=headers.__getitem__)
    pack, width = Struct("<Q").pack_into, ROW.size
    next_at, following = end.directory_at, -1
    for index in reversed(order):
        if ends[index] > next_at:
            raise _overlap(end, table, index, following)
        pack(rows, index * width + 8, next_at)
        next_at, following = headers[index], index
    if count:
        first = order[0]
        if source.read_at(headers[first], 4) != b"PK\x03\x04":
            raise _damaged_error(f"the entry {table.name(first)} is not where its directory says")
        notes += _before(source, headers[first], end.shift)
    if end.after_at < source.size:
        notes.append(f"{as_size(source.size - end.after_at)} after the end of the zip were ignored.")
    return notes


def _before(source: Source, first_at: int, shift: int) -> list[str]:
    """What stands before the first entry: a program, another zip, or the sign that this is the rest of a cut one.

    A cut zip may hold a whole one, stored: the last inner session of a bundle would pass for the upload.
    """
    head = source.read_at(0, 8)
    if first_at == 0 or (first_at == 4 and head[:4] in (b"PK\x07\x08", b"PK00")):
        return []
    if shift == 0 or head[:4] != b"PK\x03\x04":
        return [f"{as_size(first_at)} before the first entry of the zip were ignored."]
    if is_filled_by_zips(source, first_at):
        return ["Several zips follow one another in the file; the directory of the last one counts."]
    raise ArchiveTruncated(
        "The file begins as one zip and ends with another: it was cut within an archive that it holds.",
        "Send it again, whole.",
    )


def _overlap(end: ZipEnd, table: _Table, index: int, following: int) -> BadInput:
    if following < 0 or table.ends[index] > end.directory_at:
        return _damaged_error(f"the entry {table.name(index)} claims more bytes than the zip holds")
    return overlapping(table.name(index), table.name(following))


def overlapping(name: str, other: str = "") -> BadInput:
    """The refusal of entries that share bytes; names as `shown`."""
    return EntriesOverlap(
        f"The entries {name} and {other} of the zip share bytes, as only a zip bomb's do."
        if other
        else f"The entry {name} of the zip shares bytes with the next one, as only a zip bomb's does.",
        "Pack the files again with a common tool.",
    )


def _no_directory(source: Source) -> BadInput:
    head = source.read_at(0, 8)
    if head[:4] == b"PK\x07\x08":
        return split_archive_error()
    if head[:2] == b"PK":
        return ArchiveTruncated(
            "The file begins like a zip, but the directory at its end is missing: it was cut short.",
            "Send it again, whole.",
        )
    return NotAnArchive("The file is not a zip.", "Pack the session as a zip or a tar.gz and send that.")


def _damaged_error(what: str) -> BadInput:
    return ArchiveDamaged(f"The zip is damaged: {what}.", "Make it again and send that.")

"""Rows of the table, bomb: little archives that would fill a disk, a memory or an afternoon."""

from __future__ import annotations

import struct
import zlib

from tests.badinput import tars, zips
from tests.badinput.case import Made, add, beside_good, good, good_pairs, made, placed, refused, row
from tests.badinput.objects import Image, dataset, element, part10, sha256_of
from tests.badinput.packing import ZEROS_CHUNK, crc_of_zeros, deflated_zeros, gzipped

SECTION = "bomb"
GIB = 1 << 30
GIB_CHUNKS = GIB // ZEROS_CHUNK


def _zeros(name: bytes, chunks: int, **values: object) -> zips.Entry:
    """An entry of zeros, 16 MiB a chunk."""
    honest: dict[str, object] = {"crc": crc_of_zeros(chunks), "size": chunks * ZEROS_CHUNK}
    return zips.Entry(name=name, body=deflated_zeros(chunks), **{**honest, **values})  # type: ignore[arg-type]


@row(SECTION, "bomb_42_nested_16x5.zip", refused(("ratio", "too_many_bytes", "too_many_entries"), seconds=60))
def forty_two() -> Made:
    """Five levels of 16 zips in a zip; each of the 1,048,576 innermost ones holds 64 MiB of zeros."""
    inner = zips.archive([_zeros(b"0.dcm", 4)])
    for _ in range(5):
        entry = zips.Entry(name=b"", data=inner)
        body = entry.packed_bytes()
        names = [b"%x.zip" % number for number in range(16)]
        inner = zips.archive([zips.Entry(name=name, data=inner, body=body) for name in names])
    return made(inner)


@row(SECTION, "bomb_gz_in_gz.tar.gz", refused("not_an_archive"))
def gz_in_gz() -> Made:
    """Three times gzip around a tar."""
    data = tars.plain(*good_pairs("gz in gz"))
    for _ in range(3):
        data = gzipped(data)
    return made(data)


@row(SECTION, "bomb_nested_40_deep.zip", refused("no_images", "too_deep", "level 5", lines=1))
def forty_deep() -> Made:
    data = zips.plain(*good_pairs("forty deep"))
    for level in range(40, 1, -1):
        data = zips.plain((b"level%02d.zip" % level, data))
    return made(data)


@row(SECTION, "bomb_overlap_full_2000.zip", refused("overlapping_entries"))
def overlap_full() -> Made:
    """2000 directory records of one body of 64 MiB of zeros: 125 GiB."""
    first = _zeros(b"0000.dcm", 4)
    others = [_zeros(b"%04d.dcm" % number, 4, offset=0) for number in range(1, 2000)]
    return made(zips.archive([first, *others]))


@row(SECTION, "bomb_overlap_quoted_fifield.zip", refused("overlapping_entries"))
def overlap_quoted() -> Made:
    """Each entry quotes the next one's local header in a stored block and runs on into its data (Fifield 2019).

    150 entries share one body of 13 MiB of zeros: 2 GB from 28 kB, no entry beyond a ratio of 1032.
    """
    count, zeros = 150, bytes(13 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body, crc, size = packer.compress(zeros) + packer.flush(), zlib.crc32(zeros), len(zeros)
    tail = b""  # local headers and quoting blocks of the entries after this one
    packed, entries = len(body), []
    suffix_crc, suffix_size = crc, size
    for number in range(count - 1, -1, -1):
        entry = zips.Entry(name=b"%03d.dcm" % number, crc=suffix_crc, size=suffix_size, packed=packed, body=b"")
        header = zips.local_header(entry, b"")
        entries.append((entry, len(header)))
        quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        tail = (quote if number else b"") + header + tail
        suffix_crc = _combine(zlib.crc32(header), suffix_crc, suffix_size)
        suffix_size += len(header)
        packed += len(header) + len(quote)
    entries.reverse()
    return made(_overlapping(entries, tail + body))


def _overlapping(entries: list[tuple[zips.Entry, int]], front: bytes) -> bytes:
    """The directory of entries whose local headers stand one after another, five bytes of quoting between them."""
    offset, directory = 0, b""
    for entry, length in entries:
        directory += zips.central(entry, offset, b"")
        offset += length + 5
    return front + directory + zips.end(count=len(entries), size=len(directory), offset=len(front))


def _times(matrix: list[int], vector: int) -> int:
    total, row_number = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[row_number]
        vector >>= 1
        row_number += 1
    return total


def _combine(first: int, second: int, second_size: int) -> int:
    """CRC-32 of two strings one after the other, from their CRCs (zlib's crc32_combine)."""
    operator = [0xEDB88320, *(1 << bit for bit in range(31))]  # one zero bit
    for _ in range(3):
        operator = [_times(operator, column) for column in operator]  # 2, 4, 8 bits: one zero byte
    while second_size:
        if second_size & 1:
            first = _times(operator, first)
        operator = [_times(operator, column) for column in operator]
        second_size >>= 1
    return first ^ second


def _ratio(**values: object) -> Made:
    return made(beside_good("ratio bomb", _zeros(b"zeros.dcm", GIB_CHUNKS, **values)))


add(
    SECTION,
    "bomb_ratio_1GiB_claims_100_bytes.zip",
    lambda: _ratio(size=100),
    refused("damaged", "zeros.dcm", "100 bytes", named=(("zeros.dcm", "refused", "damaged"),)),
)
add(SECTION, "bomb_ratio_1GiB_honest.zip", _ratio, refused("ratio"))
add(SECTION, "bomb_ratio_1GiB_streamed_dd.zip", lambda: _ratio(descriptor=b"PK\7\x08"), refused("ratio"))


@row(SECTION, "bomb_tgz_1GiB_of_zeros.tar.gz", refused("ratio"))
def tgz_of_zeros() -> Made:
    before = b"".join(tars.block(tars.Member(name=n, data=d)) for n, d in good_pairs("tgz bomb"))
    before += tars.zeros_header(b"zeros.dcm", GIB)
    crc = crc_of_zeros(GIB_CHUNKS, zlib.crc32(before))
    packed = deflated_zeros(GIB_CHUNKS, before, tars.END)
    trailer = tars.gzip_trailer(zlib.crc32(tars.END, crc), len(before) + GIB + len(tars.END))
    return made(b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + packed + trailer)


@row(SECTION, "bomb_valid_dicom_512MiB_of_zeros.zip", placed(stored=4, seconds=120))
def dull_image() -> Made:
    case, chunks = "dull image", GIB_CHUNKS // 2
    image = Image(case=case, number=9, without=frozenset({0x7FE00010}))
    head = part10(image.head(), dataset(image.elements()) + element(0x7FE00010, b"OW", b"", length=GIB // 2))
    entry = zips.Entry(
        name=b"dull.dcm",
        body=deflated_zeros(chunks, head),
        crc=crc_of_zeros(chunks, zlib.crc32(head)),
        size=len(head) + GIB // 2,
    )
    whole = sha256_of([head, *[bytes(ZEROS_CHUNK)] * chunks])
    return Made(beside_good(case, entry), (*made(b"", *good(case)).keep, whole))


@row(SECTION, "many_100000_empty_entries.zip", refused("no_images", lines=100_000))
def empty_entries() -> Made:
    return made(zips.archive(zips.Entry(name=b"e/%06d" % n, method=zips.STORED) for n in range(100_000)))


@row(SECTION, "many_20000_folders.zip", placed(stored=3))
def folders() -> Made:
    case = "folders"
    return made(beside_good(case, *(zips.folder(b"d/%05d/" % n) for n in range(20_000))), *good(case))

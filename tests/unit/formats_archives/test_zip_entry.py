"""One entry: every method, both ways, and every way in which its bytes can lie."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache

import inflate64
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.source import FileSource, MemorySource, SliceSource
from scandock.formats.zip_directory import ZipEntry, read_directory
from scandock.formats.zip_entry import WHOLE, ZipEntryReader
from scandock.model.errors import BadInput, Fault
from scandock.model.limits import Limits
from tests.unit.formats_archives.craft import LIMITS, Made, contents, deflated, made_zip

IMAGE = random.Random(7).randbytes(3000) * 40 + bytes(100_000)


def deflated64(data: bytes) -> bytes:
    squeeze = inflate64.Deflater()
    return bytes(squeeze.deflate(data) + squeeze.flush())


def zipped_lzma(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
    return b"\x09\x04\x05\x00\x5d" + struct.pack("<I", 1 << 20) + lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


PACK: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    8: deflated,
    9: deflated64,
    12: bz2.compress,
    14: zipped_lzma,
    93: zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKERS = {method: lru_cache(16)(pack) for method, pack in PACK.items()}
"""Most tests pack the same data."""
NOISE = random.Random(8).randbytes(300_000)


def made(method: int, data: bytes = IMAGE, **kwargs: object) -> Made:
    flags = 2 if method == 14 else 0
    return Made(b"S/odd.dcm", data, method, flags, packed=PACKERS[method](data), **kwargs)  # type: ignore[arg-type]


def outcome(way: Callable[[], object]) -> str:
    try:
        way()
    except BadInput as bad:
        return bad.code if "S/odd.dcm" in bad.message and bad.remedy else f"unnamed: {bad}"
    return "read"


def both_ways(data: bytes, limits: Limits = LIMITS) -> set[str]:
    """The codes with which the odd entry fails, whole (from memory and else) and streamed; empty where it is read."""
    source, reader, codes = MemorySource(data), ZipEntryReader(limits), set()
    for entry in read_directory(source, limits).entries:
        if entry.name != "S/odd.dcm":
            continue
        ways = [lambda: b"".join(map(bytes, reader.stream(source, entry)))]  # noqa: B023 - called at once
        if entry.usize <= WHOLE:
            ways.append(lambda: bytes(reader.whole(source, entry)))  # noqa: B023 - called at once
            ways.append(lambda: bytes(reader.whole(SliceSource(source, 0, source.size), entry)))  # noqa: B023
        codes |= {outcome(way) for way in ways}
    assert len(codes) == 1, f"both ways agree: {codes}"
    return codes - {"read"}


@pytest.mark.parametrize("method", PACKERS)
@pytest.mark.parametrize("data", [b"", b"x", IMAGE, NOISE], ids=["empty", "one", "image", "noise"])
def test_every_method_is_read(method: int, data: bytes) -> None:
    entries = [Made(b"before", b"1"), made(method, data), made(method, data, descriptor=b"PK\7\x08"), Made(b"z", b"2")]
    assert contents(made_zip(entries))["S/odd.dcm"] == data


@pytest.mark.parametrize("method", PACKERS)
def test_a_large_entry_comes_in_pieces(method: int) -> None:
    data = IMAGE * 10 + bytes(7_000_000)
    source = MemorySource(made_zip([made(method, data)]))
    (entry,) = read_directory(source, LIMITS).entries
    crc = total = 0
    for piece in ZipEntryReader(LIMITS).stream(source, entry):
        assert 0 < len(piece) <= 1 << 20
        crc, total = zlib.crc32(piece, crc), total + len(piece)
    assert (total, crc) == (len(data), zlib.crc32(data))
    with pytest.raises(ValueError, match="streamed"):
        ZipEntryReader(LIMITS).whole(source, entry)


@pytest.mark.parametrize("method", PACKERS)
class TestLies:
    def test_a_wrong_checksum(self, method: int) -> None:
        assert both_ways(made_zip([made(method, crc=1), Made(b"z")])) == {"damaged"}

    def test_a_size_that_lies(self, method: int, subtests: pytest.Subtests) -> None:
        for size in (0, 1, len(IMAGE) - 1, len(IMAGE) + 1, len(IMAGE) + 5_000_000, (1 << 32) - 2):
            with subtests.test(size=size):
                assert both_ways(made_zip([made(method, usize=size), Made(b"z")])) == {"damaged"}

    def test_cut_data(self, method: int, subtests: pytest.Subtests) -> None:
        for less in (1, 5, 700):
            with subtests.test(less=less):
                entry = made(method)
                entry.packed = PACKERS[method](IMAGE)[:-less]
                codes = both_ways(made_zip([entry, Made(b"z")]))
                assert codes
                assert codes <= {"damaged", "truncated"}

    def test_flipped_bits(self, method: int) -> None:
        packed = bytearray(PACKERS[method](IMAGE))
        entry = made(method)
        for at in range(0, len(packed), max(1, len(packed) // 40)):
            broken = packed.copy()
            broken[at] ^= 0x10
            entry.packed = bytes(broken)
            codes = both_ways(made_zip([entry, Made(b"z")]))
            assert codes <= {"damaged", "truncated", "dictionary_too_large"}
            # Not every bit of a container counts; where none complains, size and checksum were right.


@pytest.mark.parametrize("method", PACKERS)
def test_what_was_unpacked_stays_while_other_entries_are_unpacked_beside_it(method: int) -> None:
    data = made_zip([Made(b"outer", IMAGE, 0), made(method, NOISE), Made(b"third", bytes(len(IMAGE)), 0)])
    source, reader = SliceSource(MemorySource(data), 0, len(data)), ZipEntryReader(LIMITS)
    outer, odd, third = read_directory(source, LIMITS).entries
    view = reader.whole(source, outer)
    for _ in range(2):
        with reader.keep_buffers():
            inner = reader.whole(source, odd)
            assert bytes(inner) == NOISE
            with reader.keep_buffers():
                assert not any(reader.whole(source, third))
            assert bytes(inner) == NOISE
        assert bytes(view) == IMAGE
    reader.whole(source, third)
    assert not any(view), "the buffer is used again"


def test_a_bomb_stops_at_what_it_declares() -> None:
    zeros = deflated(bytes(50_000_000), 9)
    source = MemorySource(made_zip([Made(b"bomb", packed=zeros, usize=100, crc=5)]))
    (entry,) = read_directory(source, LIMITS).entries
    with pytest.raises(BadInput, match="more than the 100 bytes"):
        next(ZipEntryReader(LIMITS).stream(source, entry))


@pytest.mark.long
def test_deflate64_grows_in_bounded_pieces() -> None:
    from scandock.formats.codecs import inflate64 as pieces

    packed = deflated64(bytes(100_000_000))
    pulls = [memoryview(packed), memoryview(b"")]
    sizes = [len(piece) for piece in pieces(lambda: pulls.pop(0))]
    assert sum(sizes) == 100_000_000
    assert max(sizes) < 8_000_000


def test_more_packed_bytes_than_unpacked_ones() -> None:
    blocks = b"\0\0\0\xff\xff" * 2_000_000 + deflated(b"end")  # ten million bytes of empty stored blocks
    assert contents(made_zip([Made(b"padded", b"end", packed=blocks)])) == {"padded": b"end"}


@pytest.mark.parametrize(
    ("flags", "local", "method"),
    [(1, None, 8), (0x41, None, 8), (0x2001, None, 8), (0, 1, 8), (1, None, 99), (0, 0, 99)],
)
def test_encrypted_entries_are_said_to_be(flags: int, local: int | None, method: int) -> None:
    entry = Made(b"S/odd.dcm", IMAGE, 8, flags, local_flags=local, packed=deflated(IMAGE))
    entry.method = method
    assert both_ways(made_zip([entry])) == {"encrypted"}


@pytest.mark.parametrize(("method", "name"), [(1, "shrink"), (6, "implode"), (95, "xz"), (98, "PPMd"), (77, "unknown")])
def test_unknown_methods_are_named(method: int, name: str) -> None:
    source = MemorySource(made_zip([Made(b"S/odd.dcm", b"x", method)]))
    (entry,) = read_directory(source, LIMITS).entries
    with pytest.raises(BadInput, match=rf"{name} \({method}\)") as caught:
        ZipEntryReader(LIMITS).whole(source, entry)
    assert caught.value.code == "unknown_method"


def test_headers_that_disagree() -> None:
    assert both_ways(made_zip([made(8, local_method=0), Made(b"z")])) == {"damaged"}
    data = bytearray(made_zip([Made(b"first", b"1"), made(8)]))
    data[data.index(b"PK\3\4", 4)] = 0
    assert both_ways(bytes(data)) == {"damaged"}


def test_a_long_local_header_is_read_past() -> None:
    entry = made(8, local_extra=b"\0\0\xff\xff" + bytes(65_531))
    entry.local_name = b"n" * 65_535
    assert contents(made_zip([entry, made(0, local_extra=bytes(30_000))]))["S/odd.dcm"] == IMAGE


def test_lzma_dictionaries_are_bounded_by_need() -> None:
    """A gigabyte is asked for, the entry needs a megabyte."""
    packed = bytearray(zipped_lzma(IMAGE))
    packed[5:9] = struct.pack("<I", 1 << 30)
    entry = Made(b"S/odd.dcm", IMAGE, 14, 2, packed=bytes(packed))
    assert both_ways(made_zip([entry])) == set()
    entry.usize = 1 << 29
    assert both_ways(made_zip([entry])) == {"dictionary_too_large"}


def test_lzma_without_an_end_mark() -> None:
    """As 7-Zip writes it: the data end where the size says, and the flag does not promise a mark."""
    data = IMAGE[:9000]
    head = b"\x09\x04\x05\x00\x5d" + struct.pack("<I", 1 << 20)
    for packed in (literal_lzma(data), zipped_lzma(data)[9:]):
        assert both_ways(made_zip([Made(b"S/odd.dcm", data, 14, 0, packed=head + packed)])) == set()


def literal_lzma(data: bytes) -> bytes:
    """Raw LZMA (lc 3, lp 0, pb 2) of literals only, without an end mark, flushed as the reference encoder does."""
    low, width, cache, held, out = 0, 0xFFFFFFFF, 0, 1, bytearray()
    match, literal, before = [1024] * 4, [[1024] * 0x300 for _ in range(8)], 0

    def shift() -> None:
        nonlocal low, cache, held
        if low < 0xFF000000 or low > 0xFFFFFFFF:
            out.extend([(cache + (low >> 32)) & 0xFF] + [(0xFF + (low >> 32)) & 0xFF] * (held - 1))
            held, cache = 0, (low >> 24) & 0xFF
        held += 1
        low = (low & 0x00FFFFFF) << 8

    def encode(odds: list[int], index: int, bit: int) -> None:
        nonlocal low, width
        bound = (width >> 11) * odds[index]
        low, width = (low + bound, width - bound) if bit else (low, bound)
        odds[index] += -(odds[index] >> 5) if bit else (2048 - odds[index]) >> 5
        while width < 1 << 24:
            width = (width << 8) & 0xFFFFFFFF
            shift()

    for at, byte in enumerate(data):
        encode(match, at & 3, 0)
        symbol = 1
        for bit in range(7, -1, -1):
            encode(literal[before >> 5], symbol, byte >> bit & 1)
            symbol = symbol << 1 | (byte >> bit & 1)
        before = byte
    for _ in range(5):
        shift()
    return bytes(out)


@pytest.mark.parametrize(
    "head", [b"", b"\x09\x04\x05\x00\x5d", b"\x09\x04\x06\x00\x5d\0\0\x10\0", b"\x09\x04\x05\x00\xff\0\0\x10\0"]
)
def test_lzma_headers_that_are_none(head: bytes) -> None:
    assert both_ways(made_zip([Made(b"S/odd.dcm", IMAGE, 14, packed=head)])) <= {"damaged", "truncated"}


def test_zstd_windows_are_bounded() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    squeeze = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = squeeze.compress(IMAGE) + squeeze.flush()
    assert both_ways(made_zip([Made(b"S/odd.dcm", IMAGE, 93, packed=packed)])) == {"dictionary_too_large"}
    roomy = Limits(max_dictionary_bytes=1 << 27)
    assert both_ways(made_zip([Made(b"S/odd.dcm", IMAGE, 93, packed=packed)]), roomy) == set()


def test_a_stored_entry_can_be_read_where_it_lies() -> None:
    inner = made_zip([Made(b"deep.dcm", IMAGE)])
    source = MemorySource(made_zip([Made(b"bundle/inner.zip", inner, 0), Made(b"packed", b"x")], prefix=b"#!" * 9))
    stored, packed = read_directory(source, LIMITS).entries
    reader = ZipEntryReader(LIMITS)
    within = reader.stored(source, stored)
    assert within is not None
    assert within.size == len(inner)
    assert [entry.name for entry in read_directory(within, LIMITS).entries] == ["deep.dcm"]
    assert reader.stored(source, packed) is None


def test_a_file_that_shrank_is_a_fault(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "a.zip")
    with open(path, "wb") as file:
        file.write(made_zip([Made(b"a", IMAGE, 0), Made(b"b", IMAGE)]))
    with FileSource(path) as source:
        entries = list(read_directory(source, LIMITS).entries)
        os.truncate(path, 1000)
        for entry in entries:
            for way in (ZipEntryReader(LIMITS).whole, lambda *a: list(ZipEntryReader(LIMITS).stream(*a))):
                with pytest.raises(Fault) as caught:
                    way(source, entry)
                assert caught.value.code == "read_failed"


files = st.dictionaries(st.text(max_size=30).filter(lambda n: "\0" not in n), st.binary(max_size=5000), max_size=8)


@given(files, st.sampled_from([0, 8, 12, 14]), st.binary(max_size=300).filter(lambda c: b"PK" not in c), st.booleans())
def test_what_zipfile_writes_is_read(files: dict[str, bytes], method: int, comment: bytes, seekable: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    buffer = io.BytesIO() if seekable else Pipe()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
        archive.comment = comment
    source, reader = MemorySource(buffer.getvalue()), ZipEntryReader(LIMITS)
    found: list[bytes] = [bytes(reader.whole(source, e)) for e in read_directory(source, LIMITS).entries]
    assert found == list(files.values())


def entry_like(**changes: int) -> ZipEntry:
    fields = {"index": 0, "method": 0, "flags": 0, "crc": 0, "csize": 0, "usize": 0, "header_at": 0, "next_at": 10}
    return ZipEntry(name="S/odd.dcm", is_dir=False, special="", **(fields | changes))


def test_an_entry_at_the_very_end_of_the_source() -> None:
    with pytest.raises(BadInput) as caught:
        ZipEntryReader(LIMITS).whole(MemorySource(b"PK\3\4"), entry_like())
    assert caught.value.code == "truncated"

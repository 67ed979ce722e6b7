"""Compressed streams: proven to their end, flat in memory, whatever follows or is missing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from itertools import product

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.kinds import Kind, kind_of
from scandock.formats.source import MemorySource
from scandock.formats.stream import ByteStream, open_stream
from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits

pytestmark = pytest.mark.long

LIMITS = Limits()
DATA = random.Random(11).randbytes(20_000) * 30 + bytes(2_000_000)
PACK: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.GZIP: gzip.compress,
    Kind.BZIP2: bz2.compress,
    Kind.XZ: lzma.compress,
    Kind.ZSTD: zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKERS = {kind: lru_cache(16)(pack) for kind, pack in PACK.items()}
"""Most tests pack the same data."""


def opened(packed: bytes, kind: Kind | None = None, limits: Limits = LIMITS) -> ByteStream:
    source = MemorySource(packed)
    return open_stream(source, kind or kind_of(source), limits)


def unpacked(packed: bytes, kind: Kind | None = None, limits: Limits = LIMITS) -> bytes:
    stream = opened(packed, kind, limits)
    return b"".join(bytes(view) for view in iter(lambda: stream.take(1 << 20), b""))


def code_of(packed: bytes, kind: Kind, limits: Limits = LIMITS) -> str:
    try:
        unpacked(packed, kind, limits)
    except BadInput as bad:
        return bad.code
    return "read"


@pytest.mark.parametrize("kind", PACKERS)
class TestEveryKind:
    @pytest.mark.parametrize("data", [b"", b"x", DATA])
    def test_it_is_told_and_unpacked(self, kind: Kind, data: bytes) -> None:
        packed = PACKERS[kind](data)
        assert kind_of(MemorySource(packed)) is kind
        assert unpacked(packed) == data

    def test_members_follow_one_another(self, kind: Kind) -> None:
        parts = [DATA, b"", b"second", b"third" * 100_000]
        stream = opened(b"".join(map(PACKERS[kind], parts)))
        assert stream.read(1 << 30) == b"".join(parts)
        assert stream.notes == []

    def test_other_bytes_behind_the_end_are_noted(self, kind: Kind) -> None:
        stream = opened(PACKERS[kind](DATA) + b"garbage" * 50_000)
        assert stream.read(1 << 30) == DATA
        assert len(stream.notes) == 1

    @pytest.mark.parametrize("cut", [1, 4, 8, 9, 200])
    def test_a_cut_stream_is_noticed(self, kind: Kind, cut: int) -> None:
        packed = PACKERS[kind](DATA)
        assert code_of(packed[:-cut], kind) == "truncated"
        assert code_of(packed + packed[:-cut], kind) == "truncated"

    def test_a_flipped_bit_is_noticed(self, kind: Kind) -> None:
        packed = bytearray(PACKERS[kind](DATA))
        for at in range(40, len(packed), len(packed) // 30):
            broken = packed.copy()
            broken[at] ^= 4
            assert code_of(bytes(broken), kind) in {"damaged", "truncated", "dictionary_too_large"}

    def test_chunks_are_small_and_counted(self, kind: Kind) -> None:
        counts: list[int] = []
        stream = open_stream(MemorySource(PACKERS[kind](DATA)), kind, LIMITS, counts.append)
        stream.drain()
        assert sum(counts) == len(DATA)
        assert max(counts) <= 1 << 20

    def test_a_limit_ends_it(self, kind: Kind) -> None:
        def counted(_: int) -> None:
            raise LimitExceeded("too_many_bytes", "Too much.")

        with pytest.raises(LimitExceeded):
            open_stream(MemorySource(PACKERS[kind](DATA)), kind, LIMITS, counted).drain()


def test_gzip_trailers_are_checked() -> None:
    packed = gzip.compress(DATA)
    crc, size = struct.unpack("<II", packed[-8:])
    assert code_of(packed[:-8] + struct.pack("<II", crc ^ 1, size), Kind.GZIP) == "damaged"
    assert code_of(packed[:-8] + struct.pack("<II", crc, size + 1), Kind.GZIP) == "damaged"


def test_gzip_headers_with_everything_in_them() -> None:
    squeeze = zlib.compressobj(6, wbits=-15)
    body = squeeze.compress(DATA) + squeeze.flush()
    head = b"\x1f\x8b\x08\x1c\0\0\0\0\0\x03" + struct.pack("<H", 5000) + bytes(5000) + b"name" * 3000 + b"\0comment\0"
    assert unpacked(head + body + struct.pack("<II", zlib.crc32(DATA), len(DATA))) == DATA


def test_padding_of_zeros_is_no_garbage() -> None:
    stream = opened(gzip.compress(b"one") + bytes(1_000_000) + gzip.compress(b"two") + bytes(700))
    assert stream.read(100) == b"onetwo"
    assert stream.notes == []


def test_100_000_tiny_members_take_no_time() -> None:
    """Blocked gzip; the rest of the input is not copied at each member."""
    tiny = gzip.compress(b"x", mtime=0)
    assert unpacked(tiny * 100_000) == b"x" * 100_000


@pytest.mark.parametrize("kind", PACKERS)
def test_countless_empty_members_are_refused(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scandock.formats.codecs.MANY_MEMBERS", 1000)
    assert code_of(PACKERS[kind](b"") * 1000, kind) == "read"
    assert code_of(PACKERS[kind](b"") * 1001, kind) == "damaged"
    assert code_of(PACKERS[kind](b"y" * 64) * 1500, kind) == "read"


def test_dictionaries_are_bounded() -> None:
    small = Limits(max_dictionary_bytes=1 << 20)
    packed = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}])
    assert code_of(packed, Kind.XZ) == "dictionary_too_large"
    assert code_of(lzma.compress(DATA, preset=6), Kind.XZ, small) == "dictionary_too_large"
    assert code_of(lzma.compress(DATA, preset=0), Kind.XZ, Limits(max_dictionary_bytes=8 << 20)) == "read"
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    squeeze = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    assert code_of(squeeze.compress(b"x") + squeeze.flush(), Kind.ZSTD) == "dictionary_too_large"
    with pytest.raises(BadInput, match=r"134\.2 MB") as caught:
        unpacked(squeeze_with(wide, b"x"), Kind.ZSTD)
    assert "zstd without --long" in caught.value.remedy


def squeeze_with(parameters: zstandard.ZstdCompressionParameters, data: bytes) -> bytes:
    squeeze = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return squeeze.compress(data) + squeeze.flush()


class TestZstd:
    def test_skippable_frames_are_skipped(self) -> None:
        frame = PACKERS[Kind.ZSTD](DATA)
        skippable = b"\x50\x2a\x4d\x18" + struct.pack("<I", 90_000) + bytes(90_000)
        assert kind_of(MemorySource(b"\x5f\x2a\x4d\x18\4\0\0\0abcd" + frame)) is Kind.ZSTD
        assert unpacked(skippable + frame + skippable + frame + skippable, Kind.ZSTD) == DATA * 2
        assert code_of(frame + skippable[:-1], Kind.ZSTD) == "truncated"

    def test_every_form_of_header(self, subtests: pytest.Subtests) -> None:
        sizes = (0, 1, 255, 256, 65_791, 65_792, 1_000_000)
        for content_size, checksum, size in product((True, False), (True, False), sizes):
            with subtests.test(content_size=content_size, checksum=checksum, size=size):
                pack = zstandard.ZstdCompressor(write_content_size=content_size, write_checksum=checksum)
                packed = pack.compress(DATA[:size])
                assert unpacked(packed, Kind.ZSTD) == DATA[:size]
                for cut in range(1, min(12, len(packed) - 4)):
                    assert code_of(packed[:-cut], Kind.ZSTD) == "truncated"

    def test_blocks_that_repeat_a_byte_come_in_pieces(self) -> None:
        """The least bytes that make the most: 4 for 128 KiB."""
        block = struct.pack("<I", (128 * 1024) << 3 | 1 << 1)[:3] + b"A"
        last = struct.pack("<I", 1 << 3 | 1 << 1 | 1)[:3] + b"A"
        bomb = b"\x28\xb5\x2f\xfd\x00\x58" + block * 4000 + last
        counts: list[int] = []
        open_stream(MemorySource(bomb), Kind.ZSTD, LIMITS, counts.append).drain()
        assert sum(counts) == 4000 * 128 * 1024 + 1
        assert max(counts) <= 1 << 20

    @pytest.mark.parametrize(
        "broken",
        [
            b"\x28\xb5\x2f\xfd\x08\x58\0\0\0",  # the reserved bit
            b"\x28\xb5\x2f\xfd\x00\x58\x07\0\0",  # the reserved block type
            b"\x28\xb5\x2f\xfd\x00\x58\xff\xff\xff" + bytes(300_000),  # a block beyond its bound
            b"\x28\xb5\x2f\xfd\x03\x58\x01\x02\x03\x04\x01\0\0",  # a dictionary that nobody has
        ],
    )
    def test_frames_that_are_none(self, broken: bytes) -> None:
        assert code_of(broken, Kind.ZSTD) == "damaged"


class TestByteStream:
    def test_reading_in_every_way(self) -> None:
        stream = opened(gzip.compress(DATA))
        assert stream.peek(10) == DATA[:10]
        assert stream.peek(700_000) == DATA[:700_000]
        assert stream.position == 0
        assert stream.read(5) == DATA[:5]
        stream.skip(600_000)
        view = memoryview(bytearray(300_000))
        assert stream.readinto(view) == 300_000
        assert view == DATA[600_005:900_005]
        assert stream.position == 900_005
        assert bytes(stream.take(3)) == DATA[900_005:900_008]
        assert stream.read_exact(7) == DATA[900_008:900_015]
        stream.drain()
        assert stream.position == len(DATA)
        assert stream.read(1) == bytes(stream.take(1)) == stream.peek(1) == b""

    def test_asking_for_more_than_there_is(self) -> None:
        for ask in (lambda s: s.read_exact(9), lambda s: s.skip(9)):
            with pytest.raises(BadInput) as caught:
                ask(opened(gzip.compress(b"12345678")))
            assert caught.value.code == "truncated"
        assert opened(gzip.compress(b"12345678")).peek(99) == b"12345678"
        assert opened(gzip.compress(b"12345678")).readinto(memoryview(bytearray(99))) == 8

    def test_draining_tells_zeros_from_data(self) -> None:
        assert opened(gzip.compress(bytes(2_000_000))).drain() is False
        assert opened(gzip.compress(bytes(2_000_000) + b"x")).drain() is True

    def test_plain_bytes_are_a_stream_too(self) -> None:
        assert unpacked(DATA, Kind.TAR) == DATA

    @given(
        st.lists(st.binary(max_size=3000), min_size=1, max_size=5),
        st.lists(st.integers(1, 900), min_size=1, max_size=30),
        st.sampled_from([*PACKERS, Kind.TAR]),
    )
    def test_reads_of_any_size_give_the_same_bytes(self, parts: list[bytes], asks: list[int], kind: Kind) -> None:
        whole = b"".join(parts)
        stream = opened(b"".join(map(PACKERS.get(kind, bytes), parts)), kind)
        got = [stream.read(ask) for ask in asks]
        assert b"".join(got) + stream.read(1 << 20) == whole

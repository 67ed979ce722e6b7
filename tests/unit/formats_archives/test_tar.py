"""Tars: every dialect that scanners and archives write, and every field that can lie."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.kinds import Kind, kind_of
from scandock.formats.source import MemorySource
from scandock.formats.stream import ByteStream, open_stream
from scandock.formats.tar import TarKind, TarMember, read_members
from scandock.formats.tar_header import tar_name
from scandock.model.errors import BadInput
from scandock.model.limits import Limits

LIMITS = Limits()
END = bytes(1024)


def header(
    name: bytes = b"a.dcm",
    size: int | bytes = 0,
    flag: bytes = b"0",
    *,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    number = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124 : 124 + len(number)] = number
    block[136:148] = b"00000000000\0"
    block[156:157] = flag
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    return sealed(block)


def sealed(block: bytearray, *, signed: bool = False) -> bytes:
    block[148:156] = b" " * 8
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes, flag: bytes = b"0") -> bytes:
    return header(name, len(data), flag) + padded(data)


def pax(**records: bytes | str) -> bytes:
    data = b""
    for key, value in records.items():
        text = key.replace("__", ".").encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
        length = len(text) + 3
        while len(b"%d " % length) + len(text) != length:
            length = len(b"%d " % length) + len(text)
        data += b"%d " % length + text
    return member(b"PaxHeader/x", data, b"x")


def stream_of(data: bytes) -> ByteStream:
    return open_stream(MemorySource(data), Kind.TAR, LIMITS)


def walked(data: bytes, limits: Limits = LIMITS) -> list[tuple[str, bytes]]:
    return [(found.name, found.read(1 << 20)) for found in read_members(stream_of(data), limits)]


def refused(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(BadInput) as caught:
        walked(data, limits)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["S/1.dcm", "d" * 90 + "/" + "n" * 90, "é" * 60 + "/ü.dcm"])
def test_what_tarfile_writes_is_read(form: int, name: str) -> None:
    files = {name: b"data" * 999, "empty": b"", "S/z": b"z" * 512}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("S")
        folder.type, folder.mode = tarfile.DIRTYPE, 0
        archive.addfile(folder)
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found = list(read_members(stream_of(buffer.getvalue()), LIMITS))
    assert [(one.kind, one.name.rstrip("/"), one.size) for one in found] == [
        (TarKind.DIR, "S", 0),
        *((TarKind.FILE, path, len(data)) for path, data in files.items()),
    ]
    assert dict(walked(buffer.getvalue())[1:]) == files
    assert kind_of(MemorySource(buffer.getvalue())) is Kind.TAR


def test_what_is_not_read_is_passed_over() -> None:
    data = member(b"a", b"1" * 5000) + member(b"b", b"2" * 512) + member(b"c", b"3") + END
    stream = stream_of(data)
    walk = read_members(stream, LIMITS)
    assert next(walk).read(3) == b"111"
    second = next(walk)
    assert (second.name, second.index) == ("b", 1)
    view = memoryview(bytearray(1000))
    assert (second.readinto(view), bytes(view[:512])) == (512, b"2" * 512)
    assert [bytes(chunk) for chunk in next(walk).chunks()] == [b"3"]
    assert next(walk, None) is None
    assert stream.position == len(data)


@pytest.mark.parametrize(
    ("flag", "kind", "special"),
    [
        (b"1", TarKind.SPECIAL, "hardlink"),
        (b"2", TarKind.SPECIAL, "symlink"),
        (b"3", TarKind.SPECIAL, "device"),
        (b"4", TarKind.SPECIAL, "device"),
        (b"6", TarKind.SPECIAL, "fifo"),
        (b"V", TarKind.SPECIAL, "label"),
        (b"5", TarKind.DIR, ""),
    ],
)
def test_links_devices_and_folders_have_no_bytes(flag: bytes, kind: TarKind, special: str) -> None:
    first, last = read_members(stream_of(header(b"odd", 700, flag) + member(b"next", b"x") + END), LIMITS)
    assert (first.kind, first.special, first.size, first.read(9)) == (kind, special, 0, b"")
    assert last.name == "next"


def test_a_gnu_list_of_a_folder_is_passed_over() -> None:
    first, last = read_members(stream_of(member(b"d/", b"Yfile\0\0", b"D") + member(b"next", b"x") + END), LIMITS)
    assert (first.kind, last.name) == (TarKind.DIR, "next")


@pytest.mark.parametrize("flag", [b"0", b"\0", b"7", b"Z"])
def test_every_other_type_is_a_file(flag: bytes) -> None:
    assert walked(member(b"a", b"data", flag) + END) == [("a", b"data")]


def test_old_tars_know_folders_by_name() -> None:
    old = header(b"folder/", 0, b"\0", magic=b"") + header(b"folder/odd/", 4, b"\0", magic=b"") + padded(b"data") + END
    assert kind_of(old) is Kind.TAR
    found = [(one.name, one.kind) for one in read_members(stream_of(old), LIMITS)]
    assert found == [("folder/", TarKind.DIR), ("folder/odd/", TarKind.FILE)]


class TestNames:
    def test_the_prefix_goes_before(self) -> None:
        assert walked(header(b"n", prefix=b"deep/er") + END) == [("deep/er/n", b"")]
        assert walked(header(b"n", magic=b"ustar  \0", prefix=b"0000") + END) == [("n", b"")], "GNU keeps times there"

    def test_long_names(self) -> None:
        long = b"l" * 60_000
        gnu = member(b"././@LongLink", long + b"\0", b"L") + member(b"././@LongLink", b"target", b"K")
        assert walked(gnu + member(b"short", b"1") + member(b"b", b"2") + END) == [(long.decode(), b"1"), ("b", b"2")]
        assert walked(pax(path=long) + member(b"short", b"1") + member(b"b", b"2") + END)[0] == (long.decode(), b"1")

    def test_any_bytes_make_a_name(self) -> None:
        for raw in (b"M\xfcller", b"\xff\xfe\xed\xa0\x80", b"a\nb\x1b[31m", b"../../etc/passwd", b"/abs"):
            ((name, _),) = walked(member(raw, b"") + END)
            assert name == tar_name(raw)
            name.encode()
        assert walked(pax(path=b"nul\0inside") + member(b"x", b"") + END)[0][0] == "nul\0inside"

    def test_names_are_bounded(self) -> None:
        for flag in (b"L", b"K", b"x", b"g"):
            assert refused(header(b"long", 1 << 40, flag) + bytes(4096)) == "damaged"
        assert refused(member(b"@", b"n" * 100, b"L") + member(b"a", b"") + END, Limits(max_name_bytes=50)) == "damaged"
        assert walked(pax(path=b"n" * 100) + member(b"a", b"") + END, Limits(max_name_bytes=50))[0][0] == "n" * 50


class TestSizes:
    def test_base_256(self) -> None:
        big = b"\x80" + (3).to_bytes(11, "big")
        assert walked(header(b"a", big) + padded(b"abc") + END) == [("a", b"abc")]

    def test_a_pax_size_goes_before_the_headers(self) -> None:
        assert walked(pax(size="3") + header(b"a", 600) + padded(b"abc") + END) == [("a", b"abc")]

    def test_pax_has_the_last_word(self) -> None:
        assert walked(pax(size="3") + header(b"a", 0) + padded(b"abc") + END) == [("a", b"abc")]

    @pytest.mark.parametrize(
        "size",
        [
            b"\xff" * 12,
            b"\xff" + b"\0" * 11,
            b"\x80" + b"\x7f" * 11,
            b"-0000000001\0",
            b"0x000000010\0",
            b"1_0\0",
            b"9\0",
            b"+7\0",
        ],
    )
    def test_negative_and_absurd_ones_are_damage(self, size: bytes) -> None:
        assert refused(header(b"a", size) + END) == "damaged"

    @pytest.mark.parametrize("size", ["-1", "1.5", "0x10", "", str(1 << 63), "9" * 5000, "１"])
    def test_in_pax_as_well(self, size: str) -> None:
        assert refused(pax(size=size) + header(b"a", 0) + END) == "damaged"

    @pytest.mark.parametrize("size", [2000, 1 << 40, (1 << 62) - 1])
    def test_more_than_there_is_is_cut(self, size: int) -> None:
        field = b"\x80" + size.to_bytes(11, "big")
        for way in (lambda m: m.read(1 << 20), lambda m: m.skip(), lambda m: m.readinto(memoryview(bytearray(9000)))):
            with pytest.raises(BadInput, match="ends within 'a'") as caught:
                [way(one) for one in read_members(stream_of(header(b"a", field) + padded(b"abc")), LIMITS)]
            assert caught.value.code == "truncated"


class TestSparse:
    def test_every_dialect_is_named(self) -> None:
        for data in (
            header(b"hole.dcm", 1 << 30, b"S", magic=b"ustar  \0"),
            pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="hole.dcm") + member(b"x", b""),
            pax(GNU__sparse__size=str(1 << 40), GNU__sparse__numblocks="0") + member(b"hole.dcm", b""),
            pax(GNU__sparse__map="0,1") + member(b"hole.dcm", b"x"),
        ):
            with pytest.raises(BadInput, match=r"hole\.dcm") as caught:
                walked(data + END)
            assert caught.value.code == "sparse"


class TestPax:
    @pytest.mark.parametrize(
        "data",
        [
            b"x path=y\n",
            b"0 path=y\n",
            b"99999999999999 path=y\n",
            b"7 path\n",
            b"10 path=y\n\n",
            b"5 a=b",
            b" ",
        ],
    )
    def test_malformed_records_are_damage(self, data: bytes) -> None:
        assert refused(member(b"p", data, b"x") + member(b"a", b"") + END) == "damaged"

    def test_other_keys_change_nothing(self) -> None:
        data = pax(mtime="1.5", uid="-5", linkpath="/etc", comment=b"\xff") + member(b"g", b"8 path=q\n", b"g")
        assert walked(data + member(b"a", b"1") + END) == [("a", b"1")]


class TestEnds:
    def test_the_first_end_mark_ends_it(self) -> None:
        stream = stream_of(member(b"a", b"1") + END + member(b"b", b"2") + END)
        assert [one.name for one in read_members(stream, LIMITS)] == ["a"]
        assert len(stream.notes) == 1
        stream = stream_of(member(b"a", b"1") + END + bytes(8704))
        assert len(list(read_members(stream, LIMITS))) == 1
        assert stream.notes == []

    def test_a_tar_without_one_is_cut(self) -> None:
        assert refused(member(b"a", b"1")) == "truncated"
        assert refused(member(b"a", b"1") + bytes(100)) == "truncated"
        assert walked(member(b"a", b"1") + bytes(512)) == [("a", b"1")]

    @pytest.mark.parametrize("cut", [100, 512, 600, 1100, 1500])
    def test_a_cut_one_is_noticed(self, cut: int) -> None:
        assert refused((member(b"a", b"1" * 700) + END)[:cut]) == "truncated"

    def test_the_streams_trailer_is_checked_after_the_end_mark(self) -> None:
        packed = gzip.compress(member(b"a", b"1") + END)
        for broken in (packed[:-8], packed[:-1], packed[:-8] + b"\0\0\0\0" + packed[-4:]):
            with pytest.raises(BadInput):
                list(read_members(open_stream(MemorySource(broken), Kind.GZIP, LIMITS), LIMITS))

    def test_a_broken_header_is_damage(self) -> None:
        broken = bytearray(member(b"a", b"1") + member(b"b", b"2") + END)
        broken[1024 + 3] ^= 1
        assert refused(bytes(broken)) == "damaged"
        assert refused(member(b"a", b"1") + b"\1" * 512 + END) == "damaged"

    def test_a_volume_of_several_is_refused(self) -> None:
        assert refused(member(b"a", b"1", b"M") + END) == "split_archive"


def test_signed_checksums_of_old_writers() -> None:
    block = bytearray(header(b"M\xfcller\xff", 1))
    data = sealed(block, signed=True) + padded(b"1") + END
    assert kind_of(data) is Kind.TAR
    assert walked(data) == [(tar_name(b"M\xfcller\xff"), b"1")]


def test_zeros_and_noise_are_no_tar() -> None:
    assert kind_of(bytes(10240)) is Kind.OTHER
    assert kind_of(struct.pack("<512B", *[i % 256 for i in range(512)])) is Kind.OTHER


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=120)


@given(st.lists(st.tuples(names, st.binary(max_size=3000)), max_size=6), st.sampled_from([1, 2]))
def test_any_names_and_contents_come_back(files: list[tuple[str, bytes]], form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found: list[TarMember] = []
    contents = []
    for one in read_members(stream_of(buffer.getvalue()), LIMITS):
        found.append(one)
        contents.append(one.read(1 << 20))
    if all(not name.endswith("/") for name, _ in files):
        assert [one.name for one in found] == [name for name, _ in files]
    assert contents == [data for _, data in files]

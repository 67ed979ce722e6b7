"""Archives with bytes changed, cut, doubled or swapped anywhere: refused or read, never anything else.

What is read is proven by checksums: a zip entry that is given out is one that was packed, byte for byte.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scandock.formats.kinds import STREAMS, Kind, explain_foreign, kind_of
from scandock.formats.meter import Meter
from scandock.formats.source import MemorySource
from scandock.formats.stream import open_stream
from scandock.formats.tar import read_members
from scandock.formats.zip_directory import read_directory
from scandock.formats.zip_entry import WHOLE, ZipEntryReader
from scandock.model.errors import BadInput, ScandockError
from scandock.model.limits import MIB, Limits
from tests.unit.formats_archives.craft import Made, made_zip
from tests.unit.formats_archives.test_zip_entry import PACKERS

pytestmark = pytest.mark.long

LIMITS = Limits(
    max_entries=200,
    max_entry_bytes=4 * MIB,
    max_unpacked_bytes=8 * MIB,
    max_dictionary_bytes=2 * MIB,
    ratio_from_bytes=MIB,
)
RANDOM = random.Random(3)
PARTS = [b"", b"x", RANDOM.randbytes(700), bytes(3000), RANDOM.randbytes(50) * 60]


def zips() -> list[bytes]:
    entries = [
        Made(b"S/%d-%d.dcm" % (method, i), data, method, 2 if method == 14 else 0, packed=pack(data), wide=i == 2)
        for method, pack in PACKERS.items()
        for i, data in enumerate(PARTS)
    ]
    return [
        made_zip(entries),
        made_zip(entries, zip64=True, comment=b"c" * 50),
        made_zip(entries[:3], prefix=b"#!" * 50, adjusted=False),
    ]


def tars() -> list[bytes]:
    made = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for i, data in enumerate(PARTS):
                info = tarfile.TarInfo(("d" * 40 + "/") * 2 + f"{i}ü.dcm" + "n" * 20 * i)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        made.append(buffer.getvalue())
    return made


def packed_tars() -> list[bytes]:
    one = tars()[1]
    return [
        gzip.compress(one),
        bz2.compress(one),
        lzma.compress(one, preset=0),
        zstandard.ZstdCompressor(write_checksum=True).compress(one),
    ]


ARCHIVES = zips() + tars() + packed_tars()


def walked(data: bytes, unproven: list[bytes] | None = None) -> list[bytes] | ScandockError:
    """What `walk` gives, or the refusal."""
    try:
        return walk(data, [] if unproven is None else unproven)
    except ScandockError as error:
        return error


def walk(data: bytes, unproven: list[bytes]) -> list[bytes]:
    """Every proven entry of whatever this is, those of a tar apart; raises only ScandockError."""
    source, meter, found = MemorySource(data), Meter(LIMITS, len(data)), []
    kind = kind_of(source)
    explain_foreign(kind)
    if kind in (Kind.ZIP, Kind.DOCUMENT):
        reader = ZipEntryReader(LIMITS)
        for entry in read_directory(source, LIMITS).entries:
            meter.entry()
            meter.entry_bytes(entry.name, entry.usize)
            try:
                content = b"".join(bytes(piece) for piece in reader.stream(source, entry))
            except BadInput:
                content = None
            if entry.usize <= WHOLE:
                try:
                    whole = bytes(reader.whole(source, entry))
                except BadInput:
                    whole = None
                assert whole == content
            if content is not None:
                found.append(content)
    elif kind in STREAMS or kind is Kind.TAR:
        for member in read_members(open_stream(source, kind, LIMITS, meter.unpacked), LIMITS):
            meter.entry()
            meter.entry_bytes(member.name, member.size)
            unproven.append(b"".join(bytes(piece) for piece in member.chunks()))
    return found


mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "flip", "cut", "drop", "double", "swap", "zero"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
        st.integers(1, 64),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, steps: list[tuple[str, float, int, int]]) -> bytes:
    out = bytearray(data)
    for what, where, value, length in steps:
        at = int(where * len(out))
        part = out[at : at + length]
        if what == "set":
            out[at : at + 1] = bytes([value])
        elif what == "flip":
            out[at : at + 1] = bytes(byte ^ 1 << value % 8 for byte in out[at : at + 1])
        elif what == "cut":
            del out[at:]
        elif what == "drop":
            del out[at : at + length]
        elif what == "double":
            out[at:at] = part * (value % 5)
        elif what == "zero":
            out[at : at + length] = bytes(len(part))
        else:
            other = value * len(out) // 256
            out[other : other + length] = part
    return bytes(out)


def test_what_is_whole_is_read() -> None:
    """Else what follows would hold of a reader that refuses everything."""
    for archive in zips()[:2]:
        assert walked(archive) == PARTS * len(PACKERS)
    for archive in (*tars(), *packed_tars()):
        contents: list[bytes] = []
        assert walked(archive, contents) == []
        assert contents == PARTS


@settings(max_examples=max(400, settings.default.max_examples if settings.default else 0))
@given(st.sampled_from(ARCHIVES), mutations)
def test_mutated_archives_are_read_or_refused(archive: bytes, steps: list[tuple[str, float, int, int]]) -> None:
    found = walked(mutated(archive, steps))
    if isinstance(found, ScandockError):
        assert found.code
        assert found.message
    else:
        assert all(content in PARTS for content in found)


def test_every_byte_of_the_headers_and_directories() -> None:
    """Each byte of a small zip and a small tar, set to what hurts most."""
    archives = [
        made_zip([Made(b"a.dcm", b"hello", 8, wide=True), Made(b"b", b"x", 0)], zip64=True),
        tars()[2][:4096] + bytes(1024),
    ]
    for archive in archives:
        for at in range(len(archive)):
            for value in (0x00, 0x7F, 0x80, 0xFF):
                found = walked(archive[:at] + bytes([value]) + archive[at + 1 :])
                assert isinstance(found, ScandockError) or all(part in {b"hello", b"x", b""} for part in found)


def test_every_cut() -> None:
    """Of a tar all may be there already where only its end is missing."""
    for archive in (zips()[0], tars()[2], packed_tars()[0], packed_tars()[3]):
        for cut in range(0, len(archive) - 1, max(1, len(archive) // 300)):
            contents: list[bytes] = []
            if not isinstance(walked(archive[:cut], contents), ScandockError):
                assert kind_of(archive[:cut]) in (Kind.EMPTY, Kind.OTHER) or contents == PARTS, cut

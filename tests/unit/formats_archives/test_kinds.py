"""Kinds are told by content, foreign ones named with a remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard

from scandock.formats.kinds import ARCHIVES, HEAD_BYTES, STREAMS, Kind, explain_foreign, kind_of
from scandock.formats.source import MemorySource
from scandock.model.errors import BadInput
from tests.unit.formats_archives.craft import Made, made_zip


def plain_tar(name: str = "a.dcm", data: bytes = b"x" * 900) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ZIP = made_zip([Made(b"a.dcm", b"x")])
TAKEN = [
    (b"", Kind.EMPTY),
    (ZIP, Kind.ZIP),
    (made_zip([]), Kind.ZIP),
    (b"PK\7\x08" + ZIP, Kind.ZIP),
    (b"PK00" + ZIP, Kind.ZIP),
    (plain_tar(), Kind.TAR),
    (gzip.compress(b""), Kind.GZIP),
    (bz2.compress(b""), Kind.BZIP2),
    (bz2.compress(b"x"), Kind.BZIP2),
    (lzma.compress(b"x"), Kind.XZ),
    (zstandard.compress(b"x"), Kind.ZSTD),
    (bytes(128) + b"DICM" + bytes(10), Kind.DICOM),
    (ZIP[:100].ljust(128, b"\0") + b"DICM", Kind.DICOM),
    (b"MATRIX72v\0" + bytes(502), Kind.ECAT),
]
FOREIGN = [
    (b"7z\xbc\xaf\x27\x1c\0\4", Kind.SEVENZIP),
    (b"Rar!\x1a\x07\0", Kind.RAR),
    (b"Rar!\x1a\x07\1\0", Kind.RAR),
    (bytes(32769) + b"CD001" + bytes(2048), Kind.ISO),
    (bytes(32769) + b"BEA01" + bytes(2048), Kind.ISO),
    (b"MSCF\0\0\0\0", Kind.CAB),
    (b"LZIP\1", Kind.LZIP),
    (b"\x1f\x9d\x90", Kind.COMPRESS),
    (b"\x04\x22\x4d\x18", Kind.LZ4),
    (b"\x20\x30-lh5-", Kind.LZH),
    (b"\x60\xea\0", Kind.ARJ),
    (bytes(7) + b"**ACE**", Kind.ACE),
    (b"xar!\0\x1c", Kind.XAR),
    (b"!<arch>\n", Kind.AR),
    (b"070701", Kind.CPIO),
    (bytes(96) + b"SIEMENS" + bytes(6000), Kind.SIEMENS_IMA),
    (b"IMGF\0\0\x1e\xd4", Kind.GE_SIGNA),
    (b"# === DATA DESCRIPTION FILE ====", Kind.PARREC),
    (b"\xef\xbb\xbf\r\n <!DOCTYPE html><html>", Kind.HTML),
    (b"<html><head>", Kind.HTML),
]


def test_content_tells(subtests: pytest.Subtests) -> None:
    for data, kind in TAKEN + FOREIGN:
        with subtests.test(kind.name, data=data[:20]):
            assert kind_of(MemorySource(data)) is kind
            for head in (data[:HEAD_BYTES], bytearray(data[:HEAD_BYTES]), memoryview(data)[:HEAD_BYTES]):
                assert kind_of(head, len(data)) is kind


@pytest.mark.parametrize(("data", "kind"), FOREIGN)
def test_what_is_not_taken_is_named_with_a_remedy(data: bytes, kind: Kind) -> None:
    named = explain_foreign(kind)
    assert named is not None
    assert named[0].split()[0] in {"a", "an"}
    assert named[1].endswith((".", "again."))


def test_what_is_taken_is_not_foreign() -> None:
    for kind in ARCHIVES | STREAMS | {Kind.DICOM, Kind.ECAT, Kind.EMPTY, Kind.OTHER, Kind.DOCUMENT}:
        assert explain_foreign(kind) is None


@pytest.mark.parametrize(
    "data",
    [
        b"P",
        b"PK",
        b"PK\3",
        b"PK\x03\x05aaaa",
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\xe0" + bytes(20),
        b"BZh9 is how a text may begin",
        b"BZh0" + b"1AY&SY",
        bytes(600),
        b"\x50\x2a\x4d\x18",
        b"\x50\x2a\x4d\x18\xff\xff\xff\xff" + bytes(100),
        b"just text",
        bytes(range(256)) * 8,
        b"MATRIX6",
    ],
)
def test_a_resemblance_is_not_enough(data: bytes) -> None:
    assert kind_of(MemorySource(data)) is Kind.OTHER


def test_a_zip_behind_a_program_is_found_by_its_end() -> None:
    data = b"MZ program " * 99 + ZIP
    assert kind_of(MemorySource(data)) is Kind.ZIP
    assert kind_of(data) is Kind.OTHER, "a head alone cannot tell"


def test_the_beginning_goes_before_the_end() -> None:
    """A tar whose last member is a stored zip, an image with a zip in it."""
    assert kind_of(MemorySource(plain_tar("a.zip", ZIP))) is Kind.TAR
    assert kind_of(MemorySource(bytes(128) + b"DICM" + ZIP)) is Kind.DICOM


@pytest.mark.parametrize("first", [b"[Content_Types].xml", b"mimetype", b"META-INF/MANIFEST.MF", b"_rels/.rels"])
def test_office_documents_and_programs_are_no_bundles(first: bytes) -> None:
    assert kind_of(made_zip([Made(first, b"x"), Made(b"a", b"y")])) is Kind.DOCUMENT


def test_the_last_part_of_a_split_zip_is_named() -> None:
    with pytest.raises(BadInput) as caught:
        kind_of(MemorySource(b"\xaa" * 9000 + made_zip([Made(b"a", b"b")], disk=2)))
    assert caught.value.code == "split_archive"

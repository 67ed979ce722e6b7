"""What some bytes are, told by the bytes alone and never by a name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from scandock.formats.source import Source
from scandock.formats.tar_header import is_tar_header

HEAD_BYTES: Final = 64 * 1024
"""As much of the beginning as every test here can use (an ISO image says so at 32,769)."""

Head = bytes | bytearray | memoryview


class Kind(StrEnum):
    """Kinds that Scandock opens or reads, kinds it names with a remedy (`foreign`), and all else."""

    EMPTY = "empty"
    ZIP = "zip"
    TAR = "tar"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"
    DICOM = "dicom"
    ECAT = "ecat"
    DOCUMENT = "document"
    """An office document, e-book or Java program: a zip by its bytes, a file by its use."""
    SEVENZIP = "7z"
    RAR = "rar"
    ISO = "iso"
    CAB = "cab"
    LZIP = "lzip"
    COMPRESS = "compress"
    LZ4 = "lz4"
    LZH = "lzh"
    ARJ = "arj"
    ACE = "ace"
    XAR = "xar"
    AR = "ar"
    CPIO = "cpio"
    SIEMENS_IMA = "siemens-ima"
    GE_SIGNA = "ge-signa"
    PARREC = "parrec"
    HTML = "html"
    OTHER = "other"


ARCHIVES: Final = frozenset({Kind.ZIP, Kind.TAR})
STREAMS: Final = frozenset({Kind.GZIP, Kind.BZIP2, Kind.XZ, Kind.ZSTD})
"""One compressed stream each: a tar, or a single file, shows when it is unpacked."""

_MAGIC: Final[tuple[tuple[int, bytes, Kind], ...]] = (
    (0, b"7z\xbc\xaf\x27\x1c", Kind.SEVENZIP),
    (0, b"Rar!\x1a\x07", Kind.RAR),
    (0, b"RE\x7e\x5e", Kind.RAR),
    (0, b"MSCF\0\0\0\0", Kind.CAB),
    (0, b"LZIP", Kind.LZIP),
    (0, b"\x1f\x9d", Kind.COMPRESS),
    (0, b"\x04\x22\x4d\x18", Kind.LZ4),
    (0, b"\x60\xea", Kind.ARJ),
    (7, b"**ACE**", Kind.ACE),
    (0, b"xar!\0\x1c", Kind.XAR),
    (0, b"!<arch>\n", Kind.AR),
    (0, b"070701", Kind.CPIO),
    (0, b"070702", Kind.CPIO),
    (0, b"070707", Kind.CPIO),
    (32769, b"CD001", Kind.ISO),
    (32769, b"BEA01", Kind.ISO),  # UDF without ISO 9660
    (96, b"SIEMENS", Kind.SIEMENS_IMA),  # Magnetom Vision and before: the manufacturer in the binary header
    (0, b"IMGF", Kind.GE_SIGNA),
    (0, b"# === DATA DESCRIPTION FILE", Kind.PARREC),
    (0, b"# CLINICAL TRYOUT", Kind.PARREC),
)
_LZH: Final = tuple(b"-" + method + b"-" for method in (b"lh0", b"lh1", b"lh4", b"lh5", b"lh6", b"lh7", b"lzs"))
_BZIP2_BLOCKS: Final = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
_DOCUMENT_FIRST: Final = (b"[Content_Types].xml", b"_rels/", b"mimetype", b"META-INF/")

_TAKEN: Final = "Pack the session as a zip or a tar.gz and send that."
_FOREIGN: Final[dict[Kind, tuple[str, str]]] = {
    Kind.SEVENZIP: ("a 7z archive", _TAKEN),
    Kind.RAR: ("a RAR archive", _TAKEN),
    Kind.ISO: ("an image of a disc (ISO or UDF)", "Open the disc image, pack its files as a zip and send that."),
    Kind.CAB: ("a Windows cabinet", _TAKEN),
    Kind.LZIP: ("an lzip file", "Pack it with gzip or xz instead."),
    Kind.COMPRESS: ("a file of Unix compress (.Z)", "Unpack it with gunzip and pack it as a zip or a tar.gz."),
    Kind.LZ4: ("an LZ4 file", "Pack it with gzip, xz or zstd instead."),
    Kind.LZH: ("an LHA archive", _TAKEN),
    Kind.ARJ: ("an ARJ archive", _TAKEN),
    Kind.ACE: ("an ACE archive", _TAKEN),
    Kind.XAR: ("a XAR archive", _TAKEN),
    Kind.AR: ("a Unix ar archive or Debian package", _TAKEN),
    Kind.CPIO: ("a cpio archive", _TAKEN),
    Kind.SIEMENS_IMA: (
        "a Siemens image from before DICOM (.ima of a Magnetom Vision or older)",
        "Export it from the scanner or its archive as DICOM.",
    ),
    Kind.GE_SIGNA: ("a GE Signa image from before DICOM", "Export it from the scanner or its archive as DICOM."),
    Kind.PARREC: ("a Philips PAR/REC header", "Export the scan as DICOM."),
    Kind.HTML: (
        "a web page",
        "The download was probably answered by a page (a login, an error) instead of the archive: fetch it again.",
    ),
}


def kind_of(what: Source | Head, size: int | None = None) -> Kind:
    """The kind of a source, or of an entry by its head and (where known) its size.

    A head holds the first HEAD_BYTES or all there is. Only a source shows a zip that stands behind other bytes (a
    self-extracting program): its end is looked at, and only where the beginning is nothing else.
    """
    if isinstance(what, bytes | bytearray | memoryview):
        return _kind_of_head(what, len(what) if size is None else size)
    kind = _kind_of_head(what.read_at(0, HEAD_BYTES), what.size)
    if kind is Kind.OTHER:
        from scandock.formats.zip_end import find_end

        return Kind.ZIP if find_end(what) is not None else kind
    return kind


def explain_foreign(kind: Kind) -> tuple[str, str] | None:
    """For a kind that is known but not taken: what it is (to follow "is" in a sentence), and the remedy."""
    return _FOREIGN.get(kind)


def _kind_of_head(head: Head, size: int) -> Kind:
    if size == 0:
        return Kind.EMPTY
    if head[128:132] == b"DICM":
        return Kind.DICOM
    start = bytes(head[:8])
    if start[:7] == b"MATRIX7":
        return Kind.ECAT
    if start[:2] == b"PK":
        return _pk(head, start)
    if start[:3] == b"\x1f\x8b\x08" and len(head) >= 10 and not head[3] & 0xE0:
        return Kind.GZIP
    if start[:3] == b"BZh" and start[3:4].isdigit() and start[3:4] != b"0" and bytes(head[4:10]) in _BZIP2_BLOCKS:
        return Kind.BZIP2
    if start[:6] == b"\xfd7zXZ\0":
        return Kind.XZ
    if _is_zstd(head, start):
        return Kind.ZSTD
    if len(head) >= 512 and is_tar_header(bytes(head[:512])):
        return Kind.TAR
    return _other(head)


def _pk(head: Head, start: bytes) -> Kind:
    if start[2:4] == b"\x03\x04":
        return Kind.DOCUMENT if bytes(head[30:49]).startswith(_DOCUMENT_FIRST) else Kind.ZIP
    if start[2:4] in (b"\x05\x06", b"\x06\x06", b"\x01\x02"):
        return Kind.ZIP
    if start[2:4] in (b"\x07\x08", b"00") and start[4:8] == b"PK\x03\x04":
        return Kind.ZIP  # marked as (or as a part of) a split archive
    return Kind.OTHER


def _is_zstd(head: Head, start: bytes) -> bool:
    """A frame, or skippable frames (as pzstd writes) and then a frame."""
    at = 0
    while start[1:4] == b"\x2a\x4d\x18" and 0x50 <= start[0] <= 0x5F and len(start) == 8:
        at += 8 + int.from_bytes(start[4:8], "little")
        start = bytes(head[at : at + 8])
    return start[:4] == b"\x28\xb5\x2f\xfd"


def _other(head: Head) -> Kind:
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if bytes(head[2:7]) in _LZH:
        return Kind.LZH
    text = bytes(head[:256]).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return Kind.HTML
    return Kind.OTHER

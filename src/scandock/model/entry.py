"""One entry of an archive, as a reader process found it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Content(StrEnum):
    """What an entry is, by its bytes and, where those are no image, by its name."""

    DICOM = "dicom"
    ECAT = "ecat"
    LOOSE = "loose"
    """A file to keep as a resource, or to ignore."""
    FILTERED = "filtered"
    """A DICOM object that an import filter leaves out."""
    JUNK = "junk"
    UNPARSEABLE = "unparseable"
    SPECIAL = "special"
    """A link, device or pipe: never made."""
    BAD = "bad"
    """An entry that can't be unpacked: it costs the archive that it stands in."""
    INNER = "inner"
    """An inner archive that can't be opened: it costs itself."""


class Entry(NamedTuple):
    """One file entry at the innermost level; plain values only, since it crosses process boundaries by marshal."""

    ordinal: bytes
    """Four bytes, big endian, for each level of nesting: byte order is the order of the archive."""
    path: str
    """As the archive has it, through nested archives with `!` between levels."""
    size: int
    sha256: bytes
    content: str
    staged: str
    """Path of the bytes inside the stage; empty where nothing was kept."""
    code: str
    message: str
    folder: str = ""
    """The folder part of `path`."""
    session_folder: str = ""
    scan_folder: str = ""
    resource: str = ""
    """The `resources/{name}` folder it stands in, if any."""
    study: str = ""
    series: str = ""
    sop: str = ""
    sop_class: str = ""
    frames: int = 0
    """Images in it: 0 for what holds no pixels."""
    dataset_at: int = 0
    """Offset of the data set behind preamble and file meta."""
    transfer_syntax: str = ""
    facts: str = ""
    """ECAT facts, or the files that a DICOMDIR lists, as JSON; what left out a filtered object; of another object the
    sha256 of its data set, where a reader was asked for it; empty otherwise."""
    left_out_by: str = ""
    """Of an object whose project is not known yet: the projects whose import filters leave it out, as JSON."""


class Container(NamedTuple):
    """An archive, at any level, that lies in a file (or in a part of one) and can be read in any process."""

    ordinal: bytes
    prefix: str
    """What stands before its entries' own names in `Entry.path`: empty, or ends in `!`."""
    file: str
    offset: int
    size: int
    kind: str
    depth: int
    """1 for the upload itself."""
    name: str
    """Its own name, for messages."""
    session_folder: str = ""
    scan_folder: str = ""


def ordinal(parent: bytes, index: int) -> bytes:
    """The ordinal of entry `index` inside the container with ordinal `parent`."""
    return parent + index.to_bytes(4, "big")


def ordinal_after(prefix: bytes) -> bytes:
    """The smallest ordinal behind everything that begins with `prefix`; empty where there is none."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return b""
    return stripped[:-1] + bytes([stripped[-1] + 1])

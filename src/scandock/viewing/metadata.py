"""What DICOMweb tells of objects, many of which a pack keeps: metadata as JSON, and where their frames stand."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import BinaryIO, Final, TypedDict

from scandock.formats.dicom_text import decode_value
from scandock.rules.dicom_attributes import IN_HEADERS
from scandock.viewing.dicom_json import JsonEncoder, Node
from scandock.viewing.frame_places import FramesJson, find_frames
from scandock.viewing.object_reading import ReadObject, read_object

ENOUGH_BYTES: Final = 8 * 1024**2
"""Of JSON that is made at once."""
ENOUGH_NUMBERS: Final = 250_000
"""Of places of frames that are told at once."""
_LEVEL: Final = 6
_MEDIA_TYPE: Final = 0x00420012
_DOCUMENT: Final = 0x00420011
_STORED_CLASS: Final = 0x00020002
"""Of the file, where the object itself says no class."""
_LISTED: Final = tuple((int(attribute.tag, 16), attribute.vr) for attribute in IN_HEADERS)
_LONGEST: Final = 256
"""Bytes of a value that is listed."""


class ObjectJson(TypedDict):
    """What a decoder tells of an object."""

    length: int
    """Bytes of its JSON, behind that of the one before it; 0 where it can't be read."""
    frames: FramesJson | None
    syntax: str
    """The transfer syntax in which it is stored; "" where it can't be read."""
    document: str
    """The media type of its encapsulated document; "" where it has none."""
    listing: list[str]
    """What searches list of it, the values of `IN_HEADERS`; empty where it can't be read."""


def describe_objects(streams: Sequence[BinaryIO]) -> tuple[list[ObjectJson], bytes]:
    """What is told of the first of these files, at least of one, and the JSON of all, compressed (zlib)."""
    encoder, packer = JsonEncoder(), zlib.compressobj(_LEVEL)
    described: list[ObjectJson] = []
    packed: list[bytes] = []
    total = numbers = 0
    for stream in streams:
        text, told = _describe(encoder, stream)
        packed.append(packer.compress(text))
        described.append(told)
        total += len(text)
        frames = told["frames"]
        numbers += sum(map(len, frames["places"])) if frames is not None else 0
        if total >= ENOUGH_BYTES or numbers >= ENOUGH_NUMBERS:
            break
    packed.append(packer.flush())
    return described, b"".join(packed)


def _describe(encoder: JsonEncoder, stream: BinaryIO) -> tuple[bytes, ObjectJson]:
    try:
        read = read_object(stream)
        pixels = {} if read.pixels is None else {read.pixels.tag: _pixel_vr(read)}
        text = encoder.encode(read.node, syntax=read.syntax, pixels=pixels).encode("utf-8", "replace")
        document = _document_type(read.node)
        listing = _list_values(read)
    except MemoryError:  # it says nothing of the file: a fresh decoder reads it
        raise
    except Exception:  # noqa: BLE001  one file shall not hide the others, whatever is wrong with it
        return b"", {"length": 0, "frames": None, "syntax": "", "document": "", "listing": []}
    try:
        frames = find_frames(stream, read)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what is wrong with its pixel data is told when they are asked for
        frames = None
    told: ObjectJson = {
        "length": len(text), "frames": frames, "syntax": read.syntax, "document": document, "listing": listing,
    }  # fmt: skip
    return text, told


def _list_values(read: ReadObject) -> list[str]:
    node = read.node
    texts = [_decode(node, tag, vr) for tag, vr in _LISTED]
    if not texts[0] and read.meta is not None:
        texts[0] = _decode(read.meta, _STORED_CLASS, "UI")
    return texts


def _decode(node: Node, tag: int, vr: str) -> str:
    raw = node.value(tag)[:_LONGEST] if tag in node else b""
    return decode_value(raw, vr, None, node.big)


def _pixel_vr(read: ReadObject) -> str:
    if read.pixels is None or read.pixels.encapsulated:
        return "OB"
    vr = read.pixels.vr
    return vr if vr in ("OB", "OW", "OF", "OD") else "OW"


def _document_type(node: Node) -> str:
    if _DOCUMENT not in node:
        return ""
    written = node.value(_MEDIA_TYPE) if _MEDIA_TYPE in node else b""
    return written.rstrip(b"\0 ").decode("ascii", "replace").lower() or "application/octet-stream"

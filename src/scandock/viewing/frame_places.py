"""Where the frames of an object stand in its file, so that each is read without a look at the rest (PS3.5 A.4, 8.1).

Encapsulated frames are found by the extended offset table, else by the basic one, else one is taken for each fragment,
else by the mark with which a codec ends.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, BinaryIO, Final, NamedTuple, TypedDict

from scandock.formats.dicom_encoding import LITTLE, UNDEFINED
from scandock.viewing.dicom_json import Node, meant_vr
from scandock.viewing.frames import NotViewable
from scandock.viewing.object_reading import PixelPlace, ReadObject, read_object

MAX_FRAGMENTS: Final = 250_000
"""Of an object, whose places are told; where there are more a decoder joins those of a frame."""
MAX_JOINED: Final = 2_000_000
"""Of an object, that are looked at for that."""
MAX_FRAME_BYTES: Final = 480 * 1024**2
_CHUNK: Final = 65_536
_ITEM_BYTES: Final = 8
"""Of tag and length: a frame has at least one item."""
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES = 0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280008
_PHOTOMETRIC: Final = 0x00280004
_CODE_END: Final = b"\xff\xd9"
"""How JPEG, JPEG-LS, JPEG 2000 and its like end."""
_VIDEO: Final = "1.2.840.10008.1.2.4.10"


class FramesJson(TypedDict):
    """The frames of an object as a decoder tells of them."""

    syntax: str
    count: int
    """How many there are."""
    start: int
    """Of the pixel data in the file; -1 where they are in a deflated data set, of which a decoder alone has frames."""
    bits: int
    """Of each frame that is not compressed."""
    turn: int
    """Bytes of the units that are turned into little endian; 1: none are."""
    compressed: bool
    places: list[list[int]]
    """Of each compressed frame, offset and length of its pieces, one behind the other; [] where they can't be told."""
    length: int
    """Of all pixel data."""


class Fragment(NamedTuple):
    """A fragment's bytes: where its item, and its value, stand."""

    item: int
    start: int
    length: int


def find_frames(stream: BinaryIO, read: ReadObject) -> FramesJson | None:
    """The frames of an object; None where it has no pixel data."""
    pixels, node = read.pixels, read.node
    if pixels is None:
        return None
    count = max(1, _integer(node, _FRAMES) or 1)
    frames: FramesJson = {
        "syntax": read.syntax, "count": count, "start": pixels.start, "bits": 0, "turn": 1,
        "compressed": pixels.encapsulated, "places": [], "length": pixels.end - pixels.start,
    }  # fmt: skip
    if read.deflated:
        frames["start"] = -1
        return frames
    if pixels.encapsulated:
        frames["count"] = count = max(1, min(count, frames["length"] // _ITEM_BYTES, MAX_FRAGMENTS))
        frames["places"] = _encapsulated(stream.fileno(), pixels, node, read.syntax, count, MAX_FRAGMENTS)
        if read.syntax.startswith(_VIDEO):
            frames["count"] = 1
        return frames
    frames["bits"], frames["turn"] = _native(node, pixels)
    if frames["bits"]:  # a header may name any number: none is told of that has no bits
        frames["count"] = max(1, min(count, frames["length"] * 8 // frames["bits"]))
    return frames


def _native(node: Node, pixels: PixelPlace) -> tuple[int, int]:
    """Bits of a frame, and bytes of the units that big-endian data turn."""
    samples = _integer(node, _SAMPLES) or 1
    allocated = {0x7FE00008: 32, 0x7FE00009: 64}.get(pixels.tag) or _integer(node, _BITS) or 8
    bits = _integer(node, _ROWS) * _integer(node, _COLUMNS) * samples * allocated
    photometric = node.value(_PHOTOMETRIC) if _PHOTOMETRIC in node else b""
    if samples == 3 and photometric.strip(b"\0 ") in (b"YBR_FULL_422", b"YBR_PARTIAL_422"):
        bits = bits // 3 * 2
    return bits, unit_of(pixels.vr, allocated) if node.big else 1


def unit_of(vr: str, allocated: int) -> int:
    """Bytes of the units that are turned in big-endian pixel data (PS3.5 7.3): words, but of pixels that are longer."""
    return 1 if vr == "OB" else {32: 4, 64: 8}.get(allocated, 2)


def join_frame(stream: BinaryIO, number: int) -> bytes:
    """A compressed frame, from 0, whose fragments are too many to be told, joined. NotViewable."""
    read = read_object(stream)
    pixels, fd = read.pixels, stream.fileno()
    if pixels is None or not pixels.encapsulated or read.deflated:
        raise NotViewable("It has no compressed frames.")
    count = max(1, min(_integer(read.node, _FRAMES), (pixels.end - pixels.start) // _ITEM_BYTES))
    places = _encapsulated(fd, pixels, read.node, read.syntax, count, MAX_JOINED)
    if not number < len(places):
        raise NotViewable("It does not tell where its frames begin.")
    place = places[number]
    if sum(place[1::2]) > MAX_FRAME_BYTES:
        raise NotViewable("The frame is too large to be joined.")
    return b"".join(os.pread(fd, place[at + 1], place[at]) for at in range(0, len(place), 2))


def _encapsulated(fd: int, pixels: PixelPlace, node: Node, syntax: str, count: int, most: int) -> list[list[int]]:
    fragments = list_fragments(fd, pixels.start, pixels.end, most)
    if not fragments or len(fragments) > most:
        return []
    table, fragments = fragments[0], fragments[1:]
    if not fragments:
        return []
    if syntax.startswith(_VIDEO) or count == 1:
        return [_pieces(fd, fragments)]
    extended = _extended(node, fragments, count)
    if extended:
        return extended
    if table.length == 4 * count:
        offsets = struct.unpack(f"<{count}I", os.pread(fd, table.length, table.start))
        groups = _by_offsets(fragments, [fragments[0].item + offset for offset in offsets])
        if groups:
            return [_pieces(fd, group) for group in groups]
    if len(fragments) == count:
        return [_pieces(fd, [fragment]) for fragment in fragments]
    groups = _by_marks(fd, fragments)
    return [_pieces(fd, group) for group in groups] if len(groups) == count else []


def list_fragments(fd: int, start: int, end: int, most: int) -> list[Fragment]:
    """The items of encapsulated pixel data, the basic offset table first; those that are cut are left out.

    Where there are more than `most`, one more.
    """
    fragments: list[Fragment] = []
    pos, chunk, chunk_at = start, b"", start
    while pos + 8 <= end and len(fragments) <= most:
        if pos + 8 > chunk_at + len(chunk):
            chunk, chunk_at = os.pread(fd, min(_CHUNK, end - pos), pos), pos
            if len(chunk) < 8:
                break
        tag, length = LITTLE.pair(chunk, pos - chunk_at)
        if tag != LITTLE.item or length == UNDEFINED or pos + 8 + length > end:
            break
        fragments.append(Fragment(pos, pos + 8, length))
        pos += 8 + length
    return fragments


def _extended(node: Node, fragments: Sequence[Fragment], count: int) -> list[list[int]]:
    """By the extended offset table, which has the very length of each frame; [] where there is none that fits."""
    if _OFFSETS not in node or _LENGTHS not in node:
        return []
    raw_offsets, raw_lengths = node.value(_OFFSETS), node.value(_LENGTHS)
    if not len(raw_offsets) == len(raw_lengths) == 8 * count:
        return []
    items = {fragment.item: fragment for fragment in fragments}
    places = []
    for offset, length in zip(
        struct.unpack(f"<{count}Q", raw_offsets), struct.unpack(f"<{count}Q", raw_lengths), strict=True
    ):
        fragment = items.get(fragments[0].item + offset)
        if fragment is None or not 0 <= length <= fragment.length:
            return []
        places.append([fragment.start, length])
    return places


def _by_offsets(fragments: Sequence[Fragment], starts: Sequence[int]) -> list[list[Fragment]]:
    """The fragments of each frame whose first one's item stands at one of `starts`; [] where one does not."""
    index = {fragment.item: at for at, fragment in enumerate(fragments)}
    firsts = [index.get(start, -1) for start in starts]
    if firsts[0] != 0 or -1 in firsts or any(after <= before for before, after in pairwise(firsts)):
        return []
    return [list(fragments[first:last]) for first, last in pairwise([*firsts, len(fragments)])]


def _by_marks(fd: int, fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    groups: list[list[Fragment]] = [[]]
    for fragment in fragments:
        groups[-1].append(fragment)
        if _CODE_END in os.pread(fd, min(fragment.length, 3), fragment.start + max(0, fragment.length - 3)):
            groups.append([])
    return groups if groups[-1] else groups[:-1]


def _pieces(fd: int, fragments: Sequence[Fragment]) -> list[int]:
    """Offsets and lengths of a frame's fragments, without the byte that pads the last one."""
    pieces = [number for fragment in fragments if fragment.length for number in (fragment.start, fragment.length)]
    last = fragments[-1]
    if last.length > 2 and os.pread(fd, 3, last.start + last.length - 3) == _CODE_END + b"\0":
        pieces[-1] -= 1
    return pieces


def _integer(node: Node, tag: int) -> int:
    """A whole number of a binary or a decimal text; 0 where there is none."""
    if tag not in node:
        return 0
    raw: Any = node.value(tag)
    if meant_vr(node, tag) == "US":
        return int.from_bytes(raw[:2], "big" if node.big else "little")
    try:
        return int(raw.split(b"\\")[0].strip(b"\0 "))
    except ValueError:
        return 0

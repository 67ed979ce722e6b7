"""Frames and bulk data of an object: from where they stand in its file, else by a decoder."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from scandock.services.decoding import BUSY, NO_ROOM, DecoderResult
from scandock.services.dicomweb_errors import DecodersOccupied, FrameUnknown, NotConvertible, PartUnknown
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.services.dicomweb_packs import FramePlaces, PackedObject
from scandock.viewing.decoder_messages import DecoderRequest
from scandock.viewing.dicom_json import to_little_endian

EXPLICIT: Final = "1.2.840.10008.1.2.1"
OCTETS: Final = "application/octet-stream"
_FAMILY: Final = "1.2.840.10008.1.2.4."
_TYPES: Final = {
    **{f"{_FAMILY}{number}": "image/jpeg" for number in range(50, 71)},
    **dict.fromkeys((f"{_FAMILY}80", f"{_FAMILY}81"), "image/jls"),
    **dict.fromkeys((f"{_FAMILY}90", f"{_FAMILY}91"), "image/jp2"),
    **dict.fromkeys((f"{_FAMILY}92", f"{_FAMILY}93"), "image/jpx"),
    **dict.fromkeys((f"{_FAMILY}201", f"{_FAMILY}202", f"{_FAMILY}203"), "image/jphc"),
    **dict.fromkeys((f"{_FAMILY}110", f"{_FAMILY}111", f"{_FAMILY}112"), "image/jxl"),
    **dict.fromkeys((f"{_FAMILY}100", f"{_FAMILY}100.1", f"{_FAMILY}101", f"{_FAMILY}101.1"), "video/mpeg"),
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""Of compressed frames, by transfer syntax (PS3.18 8.7.3)."""
_VIDEO: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10\d(\.1)?")
_UNDECODED: Final = frozenset(f"{_FAMILY}{number}" for number in (92, 93, 94, 95, 110, 111, 112, 204, 205))
"""JPEG 2000 of several components, JPIP, JPEG XL."""
_UNITS: Final = {2: "OW", 4: "OL", 8: "OV"}
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
MAX_FRAMES: Final = 5_000
"""Frames of one request."""
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_PIXELS: Final = 0x7FE00010


def stored_type(syntax: str) -> str:
    """The media type of frames as they are stored in a transfer syntax that compresses."""
    return _TYPES.get(syntax) or ("video/mp4" if _VIDEO.fullmatch(syntax) else OCTETS)


def is_video(syntax: str) -> bool:
    """Whether a transfer syntax stores a film, which is not cut into frames."""
    return _VIDEO.fullmatch(syntax) is not None


def is_convertible(syntax: str) -> bool:
    """Whether there is a decoder for a transfer syntax: not for films, nor where pixels are elsewhere (JPIP)."""
    return not (is_video(syntax) or syntax in _UNDECODED)


def check_frames(text: str, frames: FramePlaces) -> list[int]:
    """The frames that an address names, `1,3,2`, from 0. FrameUnknown."""
    numbers: list[int] = []
    for piece in text.split(",")[: MAX_FRAMES + 1]:
        if not _NUMBER.fullmatch(piece.strip()) or not 1 <= int(piece) <= frames.total or len(numbers) == MAX_FRAMES:
            raise FrameUnknown(frames.total, piece[:16])
        numbers.append(int(piece) - 1)
    return numbers


def require_frames(packed: PackedObject | None) -> tuple[PackedObject, FramePlaces]:
    """The frames of an object. PartUnknown where it has no pixel data."""
    if packed is None or packed.frames is None:
        raise PartUnknown("The object has no pixel data.", "Ask for its metadata.")
    return packed, packed.frames


# -- by decoders -------------------------------------------------------------------------------------------------------


def ask_decoder(
    reader: ObjectReader,
    found: FoundObject,
    request: DecoderRequest,
    *about: object,
    others: Sequence[FoundObject] = (),
) -> DecoderResult:
    """What a decoder makes of an object, and of others by the same question; within `Pictures.work`.

    DecodersOccupied, NotConvertible, FileNotFoundError.
    """
    result = reader.pictures.ask(
        request,
        lambda: reader.descriptors([found, *others]),
        (request["verb"], found.version, *about),
        asker=reader.asker,
    )
    if result.file is not None:
        reader.hold(result.file)
    if result.reason in (BUSY, NO_ROOM):
        raise DecodersOccupied
    if result.reason:
        raise NotConvertible(result.reason, "Ask for it as it is stored, with transfer-syntax=*.")
    return result


def body_of(result: DecoderResult) -> Iterator[bytes]:
    """The bytes that a decoder made; its file is closed at the end."""
    if result.file is None:
        yield result.body
        return
    try:
        yield from result.file.pieces()
    finally:
        result.file.close()


def decoded_frames(reader: ObjectReader, found: FoundObject, numbers: Sequence[int]) -> Iterator[Iterator[bytes]]:
    """Frames as they would be stored in Explicit VR Little Endian.

    The first is decoded at once, within `Pictures.work`; each other one when its turn comes, outside of it.
    """
    return chain([body_of(_decode(reader, found, numbers[0]))], _decode_later(reader, found, numbers[1:]))


def _decode_later(reader: ObjectReader, found: FoundObject, numbers: Sequence[int]) -> Iterator[Iterator[bytes]]:
    for number in numbers:
        yield body_of(reader.pictures.work(lambda number=number: _decode(reader, found, number)))  # type: ignore[misc]


def _decode(reader: ObjectReader, found: FoundObject, number: int) -> DecoderResult:
    return ask_decoder(reader, found, {"verb": "native", "frame": number}, number)


# -- from the file -----------------------------------------------------------------------------------------------------


def has_native_places(frames: FramePlaces) -> bool:
    """Whether frames that are not compressed are read from the file."""
    return not frames.compressed and frames.start >= 0 and frames.bits > 0


def native_frames(
    reader: ObjectReader, found: FoundObject, frames: FramePlaces, numbers: Sequence[int]
) -> Iterator[Iterator[bytes]]:
    """Frames that are not compressed, in little endian; those of 1 bit a pixel begin with a byte each.

    What has to be turned or shifted is so piece by piece, which takes about as long as to read it.
    """
    for number in numbers:
        offset, shift = divmod(number * frames.bits, 8)
        size = -(-(shift + frames.bits) // 8)
        if offset + size > frames.length:
            raise PartUnknown("The pixel data of the object end before this frame does.", "Ask for an earlier one.")
        pieces = read_native(reader, found, frames, offset, size)
        yield _shifted(pieces, shift, frames.bits) if shift or frames.bits % 8 else pieces


def read_native(
    reader: ObjectReader, found: FoundObject, frames: FramePlaces, offset: int, length: int
) -> Iterator[bytes]:
    """Bytes of pixel data that are not compressed, counted from their beginning, in little endian."""
    unit = frames.turn
    if unit == 1:
        return reader.chunks(found, frames.start + offset, length)
    begin = offset - offset % unit
    end = min(-(-(offset + length) // unit) * unit, frames.length)
    pieces = reader.chunks(found, frames.start + begin, end - begin)
    return _cut(_turned(pieces, unit), offset - begin, length)


def _turned(pieces: Iterator[bytes], unit: int) -> Iterator[bytes]:
    """Big-endian pieces in little endian; units may begin in one piece and end in the next."""
    rest = b""
    for piece in pieces:
        raw = rest + piece if rest else piece
        whole = len(raw) // unit * unit
        yield to_little_endian(raw[:whole], _UNITS[unit], big=True)
        rest = raw[whole:]
    if rest:
        yield rest


def _cut(pieces: Iterator[bytes], skipped: int, length: int) -> Iterator[bytes]:
    """So many bytes, without the first ones."""
    for piece in pieces:
        part = piece[skipped : skipped + length]
        skipped = max(0, skipped - len(piece))
        length -= len(part)
        if part:
            yield part


def _shifted(pieces: Iterator[bytes], shift: int, bits: int) -> Iterator[bytes]:
    """So many bits from `shift` on, from the beginning of a byte on; the last byte is filled with zeros."""
    left, held = -(-bits // 8), b""
    for piece in chain(pieces, [b"\0"]):
        held += piece
        count = min(len(held) - 1, left)
        if count <= 0:
            continue
        mask = (1 << 8 * count) - 1 if count < left or not bits % 8 else (1 << 8 * (count - 1) + bits % 8) - 1
        yield (int.from_bytes(held, "little") >> shift & mask).to_bytes(count, "little")
        held, left = held[count:], left - count


def stored_frames(
    reader: ObjectReader, found: FoundObject, frames: FramePlaces, numbers: Sequence[int]
) -> Iterator[Iterator[bytes]]:
    """Compressed frames as they are stored, those whose places are not told by a decoder. NotConvertible where they
    can't be told apart.

    Such a one is joined within `Pictures.work` if it is the first one, each other one outside of it.
    """
    first, *others = numbers
    yield _stored_frame(reader, found, frames, first, lambda ask: ask())
    for number in others:
        yield _stored_frame(reader, found, frames, number, reader.pictures.work)


def _stored_frame(
    reader: ObjectReader,
    found: FoundObject,
    frames: FramePlaces,
    number: int,
    work: Callable[[Callable[[], DecoderResult]], DecoderResult],
) -> Iterator[bytes]:
    if number < len(frames.places):
        return _pieces(reader, found, frames.places[number])
    try:
        return body_of(work(lambda: ask_decoder(reader, found, {"verb": "stored", "frame": number}, number)))
    except NotConvertible as error:
        raise NotConvertible(error.message, "Ask for it decoded, or for the whole object.") from None


def _pieces(reader: ObjectReader, found: FoundObject, place: array[int]) -> Iterator[bytes]:
    return chain.from_iterable(
        reader.chunks(found, place[at], place[at + 1]) for at in range(0, len(place), 2) if place[at + 1]
    )


class ByteSource(NamedTuple):
    """Bytes that stand in a file in pieces, of which a range can be had."""

    places: list[tuple[int, int]]
    size: int

    def cut(self, offset: int, length: int) -> list[tuple[int, int]]:
        """Where the bytes of a range stand."""
        cut = []
        for start, size in self.places:
            skipped = min(offset, size)
            taken = min(size - skipped, length)
            if taken > 0:
                cut.append((start + skipped, taken))
            offset, length = offset - skipped, length - taken
        return cut


def source_of(places: Sequence[tuple[int, int]]) -> ByteSource:
    """Bytes from pieces of a file."""
    return ByteSource(list(places), sum(size for _, size in places))


def video_source(frames: FramePlaces) -> ByteSource:
    """A film, of which an object holds one. NotConvertible where its fragments are too many to be told."""
    if not frames.places:
        raise NotConvertible("The film is of too many fragments.", "Ask for its pixel data as they are stored.")
    place = frames.places[0]
    return source_of([(place[at], place[at + 1]) for at in range(0, len(place), 2)])


def read_source(reader: ObjectReader, found: FoundObject, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes of pieces of an object's file."""
    return chain.from_iterable(reader.chunks(found, start, size) for start, size in places)


# -- bulk data ---------------------------------------------------------------------------------------------------------


def parse_bulk_path(text: str) -> list[int]:
    """The numbers of an address of bulk data: tag, item (from 1), tag ... PartUnknown."""
    pieces = text.split("/")
    numbers: list[int] = []
    for at, piece in enumerate(pieces):
        if at % 2 == 0 and _TAG.fullmatch(piece):
            numbers.append(int(piece, 16))
        elif at % 2 and _NUMBER.fullmatch(piece):
            numbers.append(int(piece))
        else:
            break
    if len(numbers) != len(pieces) or len(numbers) % 2 == 0 or len(numbers) > 2 * 64:
        raise PartUnknown("That names no element of an object.", "Take the address from its metadata.")
    return numbers


def is_pixel_path(numbers: Sequence[int]) -> bool:
    """Whether an address of bulk data is that of the pixel data."""
    return len(numbers) == 1 and numbers[0] in (_PIXELS, 0x7FE00008, 0x7FE00009)


def read_bulk(reader: ObjectReader, found: FoundObject, numbers: Sequence[int]) -> DecoderResult:
    """The value of an element. PartUnknown, DecodersOccupied."""
    result = reader.pictures.ask(
        {"verb": "bulk", "path": [*numbers]}, lambda: reader.descriptors([found]), ("bulk", found.version, *numbers),
        asker=reader.asker,
    )  # fmt: skip
    if result.file is not None:
        reader.hold(result.file)
    if result.reason in (BUSY, NO_ROOM):
        raise DecodersOccupied
    if result.reason:
        raise PartUnknown(result.reason, "Take the address from its metadata.")
    return result

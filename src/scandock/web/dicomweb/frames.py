"""WADO-RS: frames of an object, and all of its pixel data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.services.dicomweb_frames import (
    EXPLICIT,
    OCTETS,
    check_frames,
    decoded_frames,
    has_native_places,
    is_video,
    native_frames,
    read_native,
    read_source,
    require_frames,
    stored_frames,
    stored_type,
    video_source,
)
from scandock.services.dicomweb_objects import FoundObject, ObjectReader, Selection
from scandock.services.dicomweb_packs import FramePlaces, PackedObject
from scandock.viewing.dicom_file import NATIVE
from scandock.web import urls
from scandock.web.dicomweb.accept import ANY, MediaRange, parse_accept
from scandock.web.dicomweb.answers import (
    bytes_response,
    multipart_bytes_response,
    multipart_response,
    ranged_response,
    single_response,
)
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routing import DicomwebContext, DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import (
    first_made,
    make_tag,
    only_object,
    open_in_thread,
    select_within,
    unchanged,
)

routes = DicomwebRoutes()

WHOLE_BYTES: Final = 1024 * 1024
"""Of frames that are read before they are sent: to send them piece by piece costs a small one more than to read it."""
WHOLE_PARTS: Final = 64
"""Frames that are read before they are sent, at most: of empty ones an object may have any number."""
_PART_BYTES: Final = 128
"""Of the head of a part."""
_INSTANCE: Final = "/studies/{study}/series/{series}/instances/{instance}"
_ALIASES: Final = {
    "image/dicom-rle": ("image/x-dicom-rle", "image/dicom+rle", "image/x-dicom+rle"),
    "image/jls": ("image/x-jls", "image/dicom+jpeg-ls"),
    "image/jp2": ("image/jpx", "image/j2k", "image/dicom+jp2"),
    "image/jpeg": ("image/dicom+jpeg",),
    "image/jphc": ("image/jhc", "image/jph"),
    "video/mpeg": ("video/mpeg2", "video/mp4"),
}
"""Names that clients have besides for a media type."""


@routes.get(f"{_INSTANCE}/frames/{{frames}}")
async def frames(reading: ReadRequest, study: str, series: str, instance: str, frames: str) -> Response:
    """Frames by their numbers from 1, in the order of the address."""
    return await _frames(reading, study, series, instance, frames)


@routes.get(f"{_INSTANCE}/pixeldata")
async def pixel_data(reading: ReadRequest, study: str, series: str, instance: str) -> Response:
    """All frames; a film, and what is not compressed, also as one thing."""
    return await _frames(reading, study, series, instance, None)


async def _frames(reading: ReadRequest, study: str, series: str, instance: str, names: str | None) -> Response:
    """All in one turn of a thread: viewers ask for a hundred frames at once."""

    def find(context: DicomwebContext, connection: Connection) -> Selection:
        return select_within(context, connection, study, series, instance)

    def make_response(context: DicomwebContext, selection: Selection) -> Response:
        ranges = parse_accept(context.request)
        tag = make_tag(selection, "frames", names, *ranges)
        if (answer := unchanged(context.request, tag)) is not None:
            return answer
        reader = open_in_thread(context, selection)
        try:
            return pixel_response(context, reader, ranges, names, {"ETag": tag})
        except BaseException:
            reader.close()
            raise

    return await reading.run_decoder(find, make_response)


def pixel_response(
    context: DicomwebContext,
    reader: ObjectReader,
    ranges: Sequence[MediaRange],
    names: str | None,
    headers: dict[str, str],
) -> Response:
    """Frames, or with no names all pixel data, in the first range that can be answered; closes the reader.

    In a thread, within `Pictures.work`.
    """
    found = only_object(reader)
    packed, places = require_frames(reader.packed(found))
    numbers: Sequence[int] = check_frames(names, places) if names is not None else range(places.total)
    chosen, content_type = _choose(ranges, packed.syntax, places)
    headers = {**headers, "Content-Location": urls.encoded_path(context.request.scope)}
    single = not chosen.multipart and chosen.media_type != ANY
    if single and names is None and (whole := _find_whole(reader, found, packed, places, content_type)) is not None:
        size, read = whole
        return ranged_response(context.request, size, read, content_type, headers, reader)
    parts = _make_parts(reader, found, places, numbers, content_type)
    if len(numbers) <= WHOLE_PARTS and _stored_bytes(places, numbers, content_type) <= WHOLE_BYTES:
        bodies = [list(part) for part in parts]
        reader.close()
        if single and len(numbers) == 1:
            return bytes_response(b"".join(bodies[0]), content_type, headers=headers)
        return multipart_bytes_response(bodies, content_type, headers=headers)
    parts = first_made(parts)
    if single and len(numbers) == 1:
        body = (piece for part in parts for piece in part)
        return single_response(context.request, body, content_type, headers=headers, reader=reader)
    return multipart_response(context.request, parts, content_type, headers=headers, reader=reader)


def _make_parts(
    reader: ObjectReader, found: FoundObject, places: FramePlaces, numbers: Sequence[int], content_type: str
) -> Iterator[Iterator[bytes]]:
    if places.compressed and not content_type.endswith(f"={EXPLICIT}"):
        return stored_frames(reader, found, places, numbers)
    if has_native_places(places):
        return native_frames(reader, found, places, numbers)
    return decoded_frames(reader, found, numbers)


def _stored_bytes(places: FramePlaces, numbers: Sequence[int], content_type: str) -> int:
    """How many bytes frames have that are read from their file; very many where a decoder makes them."""
    if places.compressed and not content_type.endswith(f"={EXPLICIT}"):
        if max(numbers) >= len(places.places):
            return WHOLE_BYTES + 1
        return sum(_PART_BYTES + sum(places.places[number][1::2]) for number in numbers)
    return len(numbers) * (-(-places.bits // 8) + _PART_BYTES) if has_native_places(places) else WHOLE_BYTES + 1


def _find_whole(
    reader: ObjectReader, found: FoundObject, packed: PackedObject, places: FramePlaces, content_type: str
) -> tuple[int, Callable[[int, int], Iterator[bytes]]] | None:
    """How large all pixel data are as one thing, and what reads a range of them; None where they are no one thing."""
    if is_video(packed.syntax) and places.places and not content_type.endswith(f"={EXPLICIT}"):
        source = video_source(places)
        return source.size, lambda offset, length: read_source(reader, found, source.cut(offset, length))
    if not has_native_places(places):
        return None
    return places.length, lambda offset, length: read_native(reader, found, places, offset, length)


def _choose(ranges: Sequence[MediaRange], syntax: str, places: FramePlaces) -> tuple[MediaRange, str]:
    """The first range that can be answered, and the content type of the answer. NotAcceptable.

    What is not compressed is told in little endian always: clients take big-endian pixels for noise.
    """
    if not places.compressed:
        is_known = syntax in NATIVE
        for one in ranges:
            named = one.transfer_syntaxes
            takes_plain = is_known and (not named or EXPLICIT in named)
            if one.takes(OCTETS) and (takes_plain or "*" in named or syntax in named):
                return one, f"{OCTETS}; transfer-syntax={EXPLICIT if is_known else syntax}"
        if not is_known:
            raise NotAcceptable(f"The pixels are stored in {syntax}, which is not known.", "Accept transfer-syntax=*.")
        raise NotAcceptable("The pixels are not compressed.", f"Accept {OCTETS}.")
    stored = stored_type(syntax)
    for one in ranges:
        named = one.transfer_syntaxes
        takes_stored = one.takes(stored) or one.media_type in _ALIASES.get(stored, ())
        if ("*" in named or syntax in named) and (takes_stored or one.takes(OCTETS)):
            return one, f"{stored}; transfer-syntax={syntax}"
        if not named and takes_stored and stored != OCTETS and one.media_type != ANY:
            return one, f"{stored}; transfer-syntax={syntax}"
        if (not named or EXPLICIT in named) and one.takes(OCTETS) and not is_video(syntax):
            return one, f"{OCTETS}; transfer-syntax={EXPLICIT}"
    raise NotAcceptable(
        f"The pixels are stored as {stored} ({syntax}).",
        f"Accept {stored}, or anything with transfer-syntax=*, as they are stored; or {OCTETS} for them decoded.",
    )

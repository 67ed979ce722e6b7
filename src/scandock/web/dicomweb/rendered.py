"""WADO-RS: pictures and thumbnails of a study, a series, an object or a frame; the document or film of one."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from scandock.model.request_errors import RequestInvalid
from scandock.services.decoding import DecoderResult
from scandock.services.dicomweb_frames import (
    body_of,
    check_frames,
    is_video,
    read_bulk,
    read_source,
    require_frames,
    stored_type,
    video_source,
)
from scandock.services.dicomweb_objects import ObjectReader
from scandock.services.dicomweb_rendering import (
    RenderingRequest,
    make_thumbnail_request,
    parse_rendering,
    render_frame,
    render_middle,
)
from scandock.web.dicomweb.accept import MediaRange, parse_accept
from scandock.web.dicomweb.answers import FRAMED, ranged_response, single_response
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routing import DicomwebContext, DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import make_tag, only_object, open_reader, select, unchanged

routes = DicomwebRoutes()

_SERIES: Final = "/studies/{study}/series/{series}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"
_JPEG: Final = "image/jpeg"
PICTURES: Final = (_JPEG, "image/png")
_PDF: Final = "application/pdf"
_DOCUMENT: Final = (0x00420011,)


@routes.get("/studies/{study}/rendered")
async def study_rendered(reading: ReadRequest, study: str) -> Response:
    """The image in the middle of the first series that has any."""
    return await _render(reading, study)


@routes.get(f"{_SERIES}/rendered")
async def series_rendered(reading: ReadRequest, study: str, series: str) -> Response:
    """The image in the middle of a series."""
    return await _render(reading, study, series)


@routes.get(f"{_INSTANCE}/rendered")
async def instance_rendered(reading: ReadRequest, study: str, series: str, instance: str) -> Response:
    """An object: its frame in the middle, its document or its film."""
    return await _render(reading, study, series, instance)


@routes.get(f"{_INSTANCE}/frames/{{frame}}/rendered")
async def frame_rendered(reading: ReadRequest, study: str, series: str, instance: str, frame: str) -> Response:
    """A frame by its number from 1."""
    return await _render(reading, study, series, instance, frame)


@routes.get("/studies/{study}/thumbnail")
async def study_thumbnail(reading: ReadRequest, study: str) -> Response:
    """A small JPEG of a study."""
    return await _render(reading, study, thumbnail=True)


@routes.get(f"{_SERIES}/thumbnail")
async def series_thumbnail(reading: ReadRequest, study: str, series: str) -> Response:
    """A small JPEG of a series."""
    return await _render(reading, study, series, thumbnail=True)


@routes.get(f"{_INSTANCE}/thumbnail")
async def instance_thumbnail(reading: ReadRequest, study: str, series: str, instance: str) -> Response:
    """A small JPEG of an object."""
    return await _render(reading, study, series, instance, thumbnail=True)


@routes.get(f"{_INSTANCE}/frames/{{frame}}/thumbnail")
async def frame_thumbnail(reading: ReadRequest, study: str, series: str, instance: str, frame: str) -> Response:
    """A small JPEG of a frame."""
    return await _render(reading, study, series, instance, frame, thumbnail=True)


async def _render(
    reading: ReadRequest,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    frame: str | None = None,
    *,
    thumbnail: bool = False,
) -> Response:
    context, selection = await select(reading, study, series, instance)
    query = context.request.query_params
    request = parse_rendering(query.get("viewport", ""), query.get("window", ""), query.get("quality", ""))
    if thumbnail:
        request = make_thumbnail_request(request)
    ranges = parse_accept(context.request)
    tag = make_tag(selection, "rendered", frame, thumbnail, request, *ranges)
    if (answer := unchanged(context.request, tag)) is not None:
        return answer
    reader = await open_reader(context, selection)
    try:
        if instance is not None and frame is None and not thumbnail:
            other = await _document_or_film(context, reader, ranges, tag)
            if other is not None:
                return other
        media_type = _choose_picture(ranges)
        result = await context.run_decoder(lambda: _picture(reader, frame, request, media_type))
    except BaseException:
        reader.close()
        raise
    return single_response(context.request, body_of(result), media_type, headers={"ETag": tag}, reader=reader)


def _choose_picture(ranges: list[MediaRange]) -> str:
    for one in ranges:
        for media_type in PICTURES:
            if one.takes(media_type):
                return media_type
    raise NotAcceptable("Pictures are answered as JPEG or PNG.", "Accept image/jpeg or image/png.")


def _picture(reader: ObjectReader, frame: str | None, request: RenderingRequest, media_type: str) -> DecoderResult:
    if frame is None:
        return render_middle(reader, request, media_type)
    found = only_object(reader)
    _, places = require_frames(reader.packed(found))
    number, *others = check_frames(frame, places)
    if others:
        raise RequestInvalid("A picture is of one frame.", "Ask for one frame after the other.")
    return render_frame(reader, found, number, request, media_type)


async def _document_or_film(
    context: DicomwebContext, reader: ObjectReader, ranges: list[MediaRange], tag: str
) -> Response | None:
    """The PDF, or the film, of an object that has one and not an image; closes the reader. NotAcceptable."""
    found = only_object(reader)
    packed = await context.run_decoder(lambda: reader.packed(found))
    if packed is None:
        return None
    if packed.document == _PDF:
        if not any(one.takes(_PDF) for one in ranges):
            raise NotAcceptable("The object is a document.", f"Accept {_PDF}.")
        result = await context.run_decoder(lambda: read_bulk(reader, found, _DOCUMENT))
        return single_response(context.request, body_of(result), _PDF, headers={**FRAMED, "ETag": tag}, reader=reader)
    if packed.frames is not None and is_video(packed.syntax):
        media_type = stored_type(packed.syntax)
        if not any(one.takes(media_type) for one in ranges):
            raise NotAcceptable("The object is a film.", f"Accept {media_type}.")
        source = video_source(packed.frames)
        return ranged_response(
            context.request,
            source.size,
            lambda offset, length: read_source(reader, found, source.cut(offset, length)),
            media_type,
            {"ETag": tag},
            reader,
        )
    return None

"""WADO-RS: objects of a study or a series, or one object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from starlette.responses import Response

from scandock.services.decoding import DecoderResult
from scandock.services.dicomweb_errors import NotConvertible
from scandock.services.dicomweb_frames import EXPLICIT, ask_decoder, body_of, is_convertible
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.web.dicomweb.accept import ANY, MediaRange, parse_accept
from scandock.web.dicomweb.answers import multipart_response, single_response
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routing import Context, DicomwebRoutes
from scandock.web.dicomweb.selecting import (
    closing,
    first_made,
    make_tag,
    open_reader,
    partial_headers,
    select,
    unchanged,
)

routes = DicomwebRoutes()

_DICOM: Final = "application/dicom"
_REMEDY: Final = "Accept them with transfer-syntax=*, as they are stored."


@routes.get("/studies/{study}")
async def study_objects(context: Context, study: str) -> Response:
    """All objects of a study."""
    return await _objects(context, study)


@routes.get("/studies/{study}/series/{series}")
async def series_objects(context: Context, study: str, series: str) -> Response:
    """All objects of a series."""
    return await _objects(context, study, series)


@routes.get("/studies/{study}/series/{series}/instances/{instance}")
async def instance_object(context: Context, study: str, series: str, instance: str) -> Response:
    """One object; also without multipart."""
    return await _objects(context, study, series, instance)


async def _objects(context: Context, study: str, series: str | None = None, instance: str | None = None) -> Response:
    ranges = [one for one in parse_accept(context.request) if one.takes(_DICOM)]
    if instance is None:
        ranges = [one for one in ranges if one.multipart or one.media_type == ANY]
    if not ranges:
        remedy = 'Accept multipart/related; type="application/dicom".'
        raise NotAcceptable("Objects are answered as application/dicom.", remedy)
    selection = await select(context, study, series, instance)
    tag = make_tag(selection, "objects", *ranges)
    if instance is not None and (answer := unchanged(context.request, tag)) is not None:
        return answer
    reader = await open_reader(context, selection, downloads=True)
    try:
        syntaxes = await context.run_decoder(lambda: _read_syntaxes(reader, ranges))
        chosen, as_stored = _choose(ranges, syntaxes)
        if not as_stored:
            syntaxes = _leave_out_films(reader, syntaxes)
        parts = _parts(reader, reader.objects, syntaxes, as_stored=as_stored)
        if not as_stored:
            parts = await context.run(lambda: first_made(parts))
    except BaseException:
        reader.close()
        raise
    status, headers = partial_headers(reader, context.base)
    content_type = _content_type(syntaxes, as_stored=as_stored)
    if instance is not None:
        headers["ETag"] = tag
        if not chosen.multipart and chosen.media_type != ANY:
            body = closing(reader, (piece for part in parts for piece in part))
            return single_response(body, content_type, status=status, headers=headers)
    return multipart_response(closing(reader, parts), content_type, status=status, headers=headers)


def _read_syntaxes(reader: ObjectReader, ranges: Sequence[MediaRange]) -> list[str]:
    """The transfer syntax of each object; nothing is read where all are taken as they are."""
    if "*" in ranges[0].transfer_syntaxes and len(reader.objects) > 1:
        return []
    found = []
    for each in reader.objects:
        packed = reader.packed(each)
        found.append(packed.syntax if packed is not None else "")
    return found


def _choose(ranges: Sequence[MediaRange], syntaxes: Sequence[str]) -> tuple[MediaRange, bool]:
    """The first range that can be answered, and whether with the objects as they are stored. NotAcceptable."""
    for one in ranges:
        named = one.transfer_syntaxes
        if "*" in named or (syntaxes and {*syntaxes} <= {*named}):
            return one, True
        if not named or EXPLICIT in named:
            return one, {*syntaxes} == {EXPLICIT}
    raise NotAcceptable("The objects can't be had in the transfer syntax that was asked for.", _REMEDY)


def _leave_out_films(reader: ObjectReader, syntaxes: Sequence[str]) -> list[str]:
    """Leave out what can never be converted; the syntaxes of what is left. NotConvertible where nothing is."""
    left = [(found, syntax) for found, syntax in zip(reader.objects, syntaxes, strict=True) if is_convertible(syntax)]
    if not left:
        raise NotConvertible("Films are not decoded.", _REMEDY)
    reader.objects = [found for found, _ in left]
    return [syntax for _, syntax in left]


def _content_type(syntaxes: Sequence[str], *, as_stored: bool) -> str:
    """The content type of all parts: they have one, so that it names a transfer syntax only where all share it."""
    if not as_stored:
        return f"{_DICOM}; transfer-syntax={EXPLICIT}"
    shared = {*syntaxes}
    syntax = shared.pop() if len(shared) == 1 else ""
    return f"{_DICOM}; transfer-syntax={syntax}" if syntax else _DICOM


def _parts(
    reader: ObjectReader, objects: Sequence[FoundObject], syntaxes: Sequence[str], *, as_stored: bool
) -> Iterator[Iterator[bytes]]:
    for at, found in enumerate(objects):
        if as_stored or syntaxes[at] == EXPLICIT:
            yield reader.chunks(found)
        else:
            yield reader.each(found, body_of(_convert(reader, found)))


def _convert(reader: ObjectReader, found: FoundObject) -> DecoderResult:
    return reader.pictures.work(lambda: ask_decoder(reader, found, {"verb": "explicit"}))

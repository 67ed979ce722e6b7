"""WADO-RS: objects of a study or a series, or one object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from starlette.responses import Response

from scandock.services.dicomweb_conversion import REMEDY, Conversion
from scandock.services.dicomweb_frames import EXPLICIT
from scandock.services.dicomweb_objects import ObjectReader
from scandock.web.dicomweb.accept import ANY, MediaRange, parse_accept
from scandock.web.dicomweb.answers import multipart_response, single_response
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routing import DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import (
    make_tag,
    note_download,
    open_reader,
    partial_headers,
    select,
    unchanged,
)

routes = DicomwebRoutes()

DICOM: Final = "application/dicom"


@routes.get("/studies/{study}")
async def study_objects(reading: ReadRequest, study: str) -> Response:
    """All objects of a study."""
    return await _objects(reading, study)


@routes.get("/studies/{study}/series/{series}")
async def series_objects(reading: ReadRequest, study: str, series: str) -> Response:
    """All objects of a series."""
    return await _objects(reading, study, series)


@routes.get("/studies/{study}/series/{series}/instances/{instance}")
async def instance_object(reading: ReadRequest, study: str, series: str, instance: str) -> Response:
    """One object; also without multipart."""
    return await _objects(reading, study, series, instance)


async def _objects(
    reading: ReadRequest, study: str, series: str | None = None, instance: str | None = None
) -> Response:
    context, selection = await select(reading, study, series, instance)
    ranges = [one for one in parse_accept(context.request) if one.takes(DICOM)]
    if instance is None:
        ranges = [one for one in ranges if one.multipart or one.media_type == ANY]
    if not ranges:
        remedy = 'Accept multipart/related; type="application/dicom".'
        raise NotAcceptable("Objects are answered as application/dicom.", remedy)
    tag = make_tag(selection, "objects", *ranges)
    if instance is not None and (answer := unchanged(context.request, tag)) is not None:
        return answer
    reader = await open_reader(context, selection, is_download=True)
    try:
        syntaxes = await context.run_decoder(lambda: _read_syntaxes(reader, ranges))
        chosen, as_stored = _choose(ranges, syntaxes)
        untried = 0
        parts: Iterator[Iterator[bytes]]
        if as_stored:
            parts = (reader.chunks(found) for found in reader.objects)
            content_type = _stored_content_type(syntaxes)
        else:
            conversion = await context.run_decoder(lambda: Conversion(reader, syntaxes))
            parts, untried = conversion.parts(), conversion.untried
            content_type = f"{DICOM}; transfer-syntax={EXPLICIT}"
        await note_download(context, reader)
    except BaseException:
        reader.close()
        raise
    status, headers = partial_headers(reader, context.base, tag if instance is not None else "", untried=untried)
    if instance is not None and not chosen.multipart and chosen.media_type != ANY:
        body = (piece for part in parts for piece in part)
        return single_response(context.request, body, content_type, status=status, headers=headers, reader=reader)
    return multipart_response(context.request, parts, content_type, status=status, headers=headers, reader=reader)


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
    raise NotAcceptable("The objects can't be had in the transfer syntax that was asked for.", REMEDY)


def _stored_content_type(syntaxes: Sequence[str]) -> str:
    """The content type of all parts: they have one, so that it names a transfer syntax only where all share it."""
    shared = {*syntaxes}
    syntax = shared.pop() if len(shared) == 1 else ""
    return f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM

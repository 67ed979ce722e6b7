"""WADO-RS: the value of an element that metadata name by an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from scandock.services.dicomweb_frames import OCTETS, body_of, is_pixel_path, parse_bulk_path, read_bulk
from scandock.services.dicomweb_packs import PackedObject
from scandock.web.dicomweb.accept import ANY, MediaRange, parse_accept
from scandock.web.dicomweb.answers import multipart_response, single_response
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.frames import pixel_response
from scandock.web.dicomweb.routing import DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import make_tag, only_object, open_reader, select, unchanged

routes = DicomwebRoutes()

_DOCUMENT: Final = (0x00420011,)
_SHOWN: Final = frozenset({"application/pdf", "model/stl", "model/obj", "model/mtl", "text/xml"})
"""Media types of documents that are told as they are; a client may not run any of them here (`answers.KEPT`)."""


@routes.get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{element:path}")
async def bulk_data(reading: ReadRequest, study: str, series: str, instance: str, element: str) -> Response:
    """The value of an element by its tag, or by sequence, item from 1, and tag."""
    context, selection = await select(reading, study, series, instance)
    numbers = parse_bulk_path(element)
    ranges = parse_accept(context.request)
    tag = make_tag(selection, "bulk", element.upper(), *ranges)
    if (answer := unchanged(context.request, tag)) is not None:
        return answer
    reader = await open_reader(context, selection)
    found = only_object(reader)
    try:
        if is_pixel_path(numbers):
            return await context.run_decoder(lambda: pixel_response(context, reader, ranges, None, {"ETag": tag}))
        packed = await context.run_decoder(lambda: reader.packed(found))
        chosen, media_type = _choose(ranges, document_type(packed, numbers))
        result = await context.run_decoder(lambda: read_bulk(reader, found, numbers))
    except BaseException:
        reader.close()
        raise
    body = reader.each(found, body_of(result))
    if chosen.multipart or chosen.media_type == ANY:
        return multipart_response(context.request, [body], media_type, headers={"ETag": tag}, reader=reader)
    return single_response(context.request, body, media_type, headers={"ETag": tag}, reader=reader)


def document_type(packed: PackedObject | None, numbers: Sequence[int]) -> str:
    """The media type of an element: of an encapsulated document its own, else octets."""
    if packed is not None and tuple(numbers) == _DOCUMENT and packed.document in _SHOWN:
        return packed.document
    return OCTETS


def _choose(ranges: Sequence[MediaRange], document: str) -> tuple[MediaRange, str]:
    for one in ranges:
        if one.media_type == document:
            return one, document
        if one.takes(OCTETS):
            return one, OCTETS
    raise NotAcceptable("Bulk data are answered as octets.", f"Accept {OCTETS}.")

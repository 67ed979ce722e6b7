"""WADO-RS: metadata of a study, a series or an object."""

from __future__ import annotations

from starlette.responses import Response

from scandock.services.dicomweb_metadata import count_unreadable, read_metadata
from scandock.services.dicomweb_packs import VERSION
from scandock.web.dicomweb.answers import json_response, require_json
from scandock.web.dicomweb.routing import DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import make_tag, open_reader, partial_headers, select, unchanged

routes = DicomwebRoutes()


@routes.get("/studies/{study}/metadata")
async def study_metadata(reading: ReadRequest, study: str) -> Response:
    """Of all objects of a study."""
    return await _metadata(reading, study)


@routes.get("/studies/{study}/series/{series}/metadata")
async def series_metadata(reading: ReadRequest, study: str, series: str) -> Response:
    """Of all objects of a series."""
    return await _metadata(reading, study, series)


@routes.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
async def instance_metadata(reading: ReadRequest, study: str, series: str, instance: str) -> Response:
    """Of one object."""
    return await _metadata(reading, study, series, instance)


async def _metadata(
    reading: ReadRequest, study: str, series: str | None = None, instance: str | None = None
) -> Response:
    context, selection = await select(reading, study, series, instance)
    require_json(context.request)
    base = context.base
    tag = make_tag(selection, "metadata", VERSION, base)
    if (answer := unchanged(context.request, tag)) is not None:
        return answer
    reader = await open_reader(context, selection)
    try:
        unreadable, unchecked = await context.run_decoder(lambda: count_unreadable(reader))
    except BaseException:
        reader.close()
        raise
    status, headers = partial_headers(reader, base, tag, unreadable=unreadable, unchecked=unchecked)
    return json_response(context.request, read_metadata(reader, base), status=status, headers=headers, reader=reader)

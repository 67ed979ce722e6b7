"""WADO-RS: objects of a study, a series, or one object."""

from __future__ import annotations

from starlette.responses import Response

from scandock.services.dicomweb_objects import ObjectReader, find_objects, read_parts
from scandock.web.dicomweb.accept import parse_accept
from scandock.web.dicomweb.answers import multipart_response
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.dicomweb.routing import Context, DicomwebRoutes

routes = DicomwebRoutes()

_DICOM = "application/dicom"


@routes.get("/studies/{study}")
async def study_objects(context: Context, study: str) -> Response:
    """All objects of a study."""
    return await _objects_response(context, study)


@routes.get("/studies/{study}/series/{series}")
async def series_objects(context: Context, study: str, series: str) -> Response:
    """All objects of a series."""
    return await _objects_response(context, study, series)


@routes.get("/studies/{study}/series/{series}/instances/{instance}")
async def instance_object(context: Context, study: str, series: str, instance: str) -> Response:
    """One object."""
    return await _objects_response(context, study, series, instance)


async def _objects_response(
    context: Context, study: str, series: str | None = None, instance: str | None = None
) -> Response:
    ranges = parse_accept(context.request)
    if not any(one.takes(_DICOM) and "*" in one.transfer_syntaxes for one in ranges):
        raise NotAcceptable("Objects are answered as they are stored.", "Accept them with transfer-syntax=*.")
    objects = await context.read(lambda c: find_objects(c, context.scope(c), study, series, instance))
    reader = await context.run(lambda: ObjectReader(context.service_context, objects))
    return multipart_response(read_parts(reader, objects), _DICOM)

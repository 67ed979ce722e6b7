"""QIDO-RS: searches for studies, series and instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.rules.dicom_attributes import SERIES_UID, SOP_UID, STUDY_UID, Level
from scandock.rules.dicom_query import DicomQuery, parse_query
from scandock.rules.dicom_results import Element, to_json
from scandock.services.dicom_instances import InstanceSearch, find_instances, finish_search
from scandock.services.dicom_search import SearchPage, Values, search_series, search_studies
from scandock.web import urls
from scandock.web.dicomweb.answers import json_list, json_response, require_json, warning_header
from scandock.web.dicomweb.routing import DicomwebContext, DicomwebRoutes, ReadRequest

routes = DicomwebRoutes()


@routes.get("/studies")
async def studies(reading: ReadRequest) -> Response:
    """Studies that the query asks for."""

    def search(context: DicomwebContext, connection: Connection) -> tuple[DicomQuery, SearchPage]:
        query = _parse(context, Level.STUDY)
        return query, search_studies(connection, context.scope(connection), query)

    context, (query, page) = await reading.read(search)
    return _response(context, query, page, ())


@routes.get("/series")
async def series(reading: ReadRequest) -> Response:
    """Series that the query names, with their studies."""
    return await _series_response(reading, None)


@routes.get("/studies/{study}/series")
async def study_series(reading: ReadRequest, study: str) -> Response:
    """Series of a study."""
    return await _series_response(reading, study)


async def _series_response(reading: ReadRequest, study: str | None) -> Response:
    def search(context: DicomwebContext, connection: Connection) -> tuple[DicomQuery, SearchPage]:
        query = _parse(context, Level.SERIES)
        return query, search_series(connection, context.scope(connection), query, study)

    context, (query, page) = await reading.read(search)
    return _response(context, query, page, (Level.STUDY,) if study is None else ())


@routes.get("/instances")
async def instances(reading: ReadRequest) -> Response:
    """Instances that the query names, with their studies and series."""
    return await _instances_response(reading, (Level.STUDY, Level.SERIES))


@routes.get("/studies/{study}/instances")
async def study_instances(reading: ReadRequest, study: str) -> Response:
    """Instances of a study, with their series."""
    return await _instances_response(reading, (Level.SERIES,), study)


@routes.get("/studies/{study}/series/{series}/instances")
async def series_instances(reading: ReadRequest, study: str, series: str) -> Response:
    """Instances of a series."""
    return await _instances_response(reading, (), study, series)


async def _instances_response(
    reading: ReadRequest, parents: Sequence[Level], study: str | None = None, series: str | None = None
) -> Response:
    def find(context: DicomwebContext, connection: Connection) -> tuple[DicomQuery, InstanceSearch]:
        query = _parse(context, Level.INSTANCE)
        return query, find_instances(connection, context.scope(connection), query, study, series)

    context, (query, search) = await reading.read(find)
    server = context.server
    page = await context.run(
        lambda: finish_search(context.service_context, server.instance_headers, server.dicomweb.packs, search)
    )
    return _response(context, query, page, parents)


def _parse(context: DicomwebContext, level: Level) -> DicomQuery:
    """RequestInvalid, NotAcceptable."""
    require_json(context.request)
    text = context.request.scope["query_string"].decode("latin-1")
    return parse_query(level, parse_qsl(text, keep_blank_values=True, errors="replace"))


def _response(context: DicomwebContext, query: DicomQuery, page: SearchPage, parents: Sequence[Level]) -> Response:
    texts = list(query.warnings)
    if page.remaining:
        texts.append(f"There are {page.remaining} additional results that can be requested.")
    base = context.base
    attributes = query.attributes(parents)

    def items() -> Iterator[dict[str, Element]]:
        for values in page.results:
            yield to_json(attributes, values, _retrieve_url(base, query.level, values))

    return json_response(context.request, json_list(items()), headers=warning_header(base, texts))


def _retrieve_url(base: str, level: Level, values: Values) -> str:
    study = values[STUDY_UID.tag]
    if level is Level.STUDY:
        return urls.dicomweb_study(base, study)
    if level is Level.SERIES:
        return urls.dicomweb_series(base, study, values[SERIES_UID.tag])
    return urls.dicomweb_instance(base, study, values[SERIES_UID.tag], values[SOP_UID.tag])

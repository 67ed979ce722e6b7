"""QIDO-RS: searches for studies, series and instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.rules.dicom_attributes import SERIES_UID, SOP_UID, STUDY_UID, Level
from scandock.rules.dicom_query import DicomQuery, parse_query
from scandock.rules.dicom_results import Element, to_json
from scandock.services.dicom_instances import InstanceSearch, find_instances, finish_search
from scandock.services.dicom_search import SearchPage, Values, search_series, search_studies
from scandock.services.gradual_uploads import find_own_uploads
from scandock.web import urls
from scandock.web.dicomweb.answers import json_list, json_response, require_json, warning_header
from scandock.web.dicomweb.routing import DicomwebContext, DicomwebRoutes, ReadRequest
from scandock.web.dicomweb.selecting import find_coming_studies
from scandock.web.session_building import try_to_build

BUILD_SECONDS: Final = 2.0
"""How long a search waits for what others sent to be built, and lists what there is then."""
T = TypeVar("T")

routes = DicomwebRoutes()


@routes.get("/studies")
async def studies(reading: ReadRequest) -> Response:
    """Studies that the query asks for."""

    def search(context: DicomwebContext, connection: Connection) -> tuple[DicomQuery, SearchPage]:
        query = _parse(context, Level.STUDY)
        return query, search_studies(connection, context.scope(connection), query)

    context, (query, page) = await _read(reading, search, None)
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

    context, (query, page) = await _read(reading, search, study)
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

    context, (query, search) = await _read(reading, find, study)
    server = context.server
    page = await context.run(
        lambda: finish_search(context.service_context, server.instance_headers, server.dicomweb.packs, search)
    )
    return _response(context, query, page, parents)


async def _read(
    reading: ReadRequest, find: Callable[[DicomwebContext, Connection], T], study: str | None
) -> tuple[DicomwebContext, T]:
    """What a search finds, in a study alone where one is named, once what still comes as single objects is built.

    What its own account sent, which was told that it is stored, and a study that it names are waited for as long as
    who stores waits for other imports.
    """

    def find_all(context: DicomwebContext, connection: Connection) -> tuple[T, list[int], list[int]]:
        coming = find_coming_studies(context, connection, study)
        needed = coming
        if coming and study is None:
            needed = find_own_uploads(connection, context.service_context.principal, coming)
        return find(context, connection), coming, needed

    context, (result, coming, needed) = await reading.read(find_all)
    if coming:
        await try_to_build(context, coming, BUILD_SECONDS)
        await try_to_build(context, needed, context.server.settings.stow_seconds)
        result = await context.read(lambda connection: find(context, connection))
    return context, result


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

"""What the routes of WADO-RS share: finding the objects that are asked for, and reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import TypeVar

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import AccessDenied
from scandock.services.dicomweb_objects import (
    FoundObject,
    ObjectReader,
    Selection,
    note_downloads,
    note_views,
    select_objects,
)
from scandock.services.gradual_uploads import find_promised_studies
from scandock.web.conditions import is_etag_known
from scandock.web.dicomweb.answers import KEPT, warning_header
from scandock.web.dicomweb.routing import DicomwebContext, ReadRequest
from scandock.web.security import identify
from scandock.web.session_building import build_study, build_uploads

T = TypeVar("T")


async def select(
    reading: ReadRequest, study: str, series: str | None = None, instance: str | None = None
) -> tuple[DicomwebContext, Selection]:
    """The objects that an address names, for who asks. AccessDenied where there are none that they may read.

    What still comes to a study as single objects is built first; for an object that is there, it is not.
    """

    def find(context: DicomwebContext, connection: Connection) -> tuple[Selection, list[int]]:
        selection = select_within(context, connection, study, series, instance)
        return selection, find_coming_studies(context, connection, study) if instance is None else []

    try:
        context, (selection, coming) = await reading.read(find)
        if not coming:
            return context, selection
        await build_uploads(context, coming)
    except AccessDenied:
        context = DicomwebContext(reading.request, await identify(reading.request))
        if context.project is not None or not await build_study(context, study):
            raise
    # for who asks as they are now
    return context, await context.read(lambda c: select_within(context, c, study, series, instance))


def find_coming_studies(context: DicomwebContext, connection: Connection, study: str | None) -> list[int]:
    """The uploads of single objects that are still to be built, of a study or (None) of any, as far as the base shows
    what they become: that of a project shows the archive alone.
    """
    if context.project is not None:
        return []
    return find_promised_studies(connection, context.service_context.principal, study)


def select_within(
    context: DicomwebContext,
    connection: Connection,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> Selection:
    """As `select`, within a transaction."""
    return select_objects(connection, context.server.dicomweb, context.scope(connection), study, series, instance)


async def open_reader(context: DicomwebContext, selection: Selection, *, is_download: bool = False) -> ObjectReader:
    """A reader of a selection, noted in the audit trail as a look an hour; of a download see `note_download`."""
    return await context.run(lambda: open_in_thread(context, selection, is_download=is_download))


def open_in_thread(context: DicomwebContext, selection: Selection, *, is_download: bool = False) -> ObjectReader:
    """As `open_reader`, for who is in a thread already."""
    service, server = context.service_context, context.server
    reader = ObjectReader(service, server.pictures, server.dicomweb, selection)
    try:
        if not is_download:
            note_views(service, server.pictures, reader.objects)
    except BaseException:
        reader.close()
        raise
    return reader


async def note_download(context: DicomwebContext, reader: ObjectReader) -> None:
    """Note in the audit trail that the objects of a reader are downloaded; not where only the headers are asked for."""
    if not context.is_head:
        await context.run(lambda: note_downloads(context.service_context, reader.objects))


def make_tag(selection: Selection, *about: object) -> str:
    """The entity tag of what is made of a selection; weak, as it may be compressed."""
    words = [*map(str, about), *(f"{found.version}{selection.damage_of(found)}" for found in selection.objects)]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """304 where the client has it already."""
    if is_etag_known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers={**KEPT, "ETag": tag})
    return None


def partial_headers(
    reader: ObjectReader, base: str, tag: str = "", *, untried: int = 0, unreadable: int = 0, unchecked: int = 0
) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer: 206 with a warning where objects are left out, or those that were `untried`
    may be, once their turn to be converted comes, or of `unreadable` ones next to nothing is told. A warning alone
    where some are `unchecked`: the answer has them all.

    The entity tag is that of the whole answer alone: what is left out now may be there when it is asked for again.
    """
    every = len(reader.selection.objects)
    texts = []
    if reader.left_out:
        texts.append(f"{reader.left_out} of {every} objects are left out: damaged, missing or not convertible")
    if untried:
        texts.append(f"{untried} of {every} objects were not tried: those that can't be converted are left out")
    if unreadable:
        texts.append(f"the headers of {unreadable} of {every} objects can't be read: of these only UIDs are told")
    status = 206 if texts else 200
    if unchecked:
        texts.append(f"{unchecked} of {every} objects were not checked: where headers can't be read only UIDs are told")
    if texts:
        return status, warning_header(base, texts)
    return status, {"ETag": tag} if tag else {}


def first_made(parts: Iterator[T]) -> Iterator[T]:
    """The same parts, the first of which is made at once: what is wrong is told before the answer begins."""
    return chain(list(islice(parts, 1)), parts)


def only_object(reader: ObjectReader) -> FoundObject:
    """The object of a selection of one."""
    return reader.objects[0]

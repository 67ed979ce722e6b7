"""/api/v1/imports/{id}/events: what is told of an import, as it happens (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from scandock.access.principal import AccessDenied, Principal
from scandock.access.reauthentication import SavedCredentials, reauthenticate
from scandock.model.request_errors import RequestInvalid
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.services.import_records import Import, Progress
from scandock.services.imports import find_import, read_import
from scandock.services.progress import UploadEvent, read_events_after, read_progress
from scandock.web import server_sent
from scandock.web.deps import ServerState, server_state
from scandock.web.security import Caller, proved_by

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])


@router.get(
    "/{id}/events",
    summary="What happens to an import, as it happens",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    id: str,  # noqa: A002  the route's own name
    principal: Caller,
    after: Annotated[int | None, Query(ge=0)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Goes on behind `Last-Event-ID` (or `?after=`); `progress` has no id, as only the newest counts.

    `outcome` is the last event; 204 to who has had it already, so that browsers stop asking. It ends before that where
    whoever asked may not see the import any more.
    """
    site = server_state(request)
    since = _since(after, last_event_id)
    upload_id, told, ended = await site.read(_begin, site, principal, id, since or 0)
    if since is not None and ended and not told:
        return Response(status_code=204)
    first = None if since is not None else await site.read(read_import, site.catalog, principal, id)
    stream = _stream(site, proved_by(request, principal), id, upload_id, told, since or 0, first)
    return server_sent.answer_with(stream)


def _since(after: int | None, last_event_id: str | None) -> int | None:
    """The header goes before the query: a browser that comes back still has the query of its first request."""
    if last_event_id is None or last_event_id == "":
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        raise RequestInvalid("Last-Event-ID is no number.", "Send the id of the last event, or none.")
    return int(last_event_id)


def _begin(site: ServerState, principal: Principal, uuid: str, after: int) -> tuple[int, list[UploadEvent], bool]:
    with site.catalog.read() as connection:
        found = find_import(connection, principal, uuid)
        return (
            found.upload_id,
            read_events_after(connection, after, upload_id=found.upload_id),
            found.state not in UNFINISHED,
        )


def _look(
    site: ServerState, proof: SavedCredentials, uuid: str, upload_id: int, after: int
) -> tuple[list[UploadEvent], bool, Progress | None]:
    """What is new, whether that is the end, and how far the import is. Denied once it may no longer be seen."""
    principal = reauthenticate(site.catalog, proof)
    with site.catalog.read() as connection:
        state = find_import(connection, principal, uuid).state
        told = read_events_after(connection, after, upload_id=upload_id)
        far = read_progress(connection, [upload_id]).get(upload_id) if state is ImportState.RUNNING else None
    if told:
        reauthenticate(
            site.catalog, proof
        )  # behind what has happened, so that nobody hears what came after their login
    return told, state not in UNFINISHED, far


async def _stream(
    site: ServerState,
    proof: SavedCredentials,
    uuid: str,
    upload_id: int,
    told: list[UploadEvent],
    last: int,
    first: Import | None,
) -> AsyncIterator[bytes]:
    yield server_sent.RETRY
    if first is not None:
        yield server_sent.event("import", first.to_json())
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    shown: Progress | None = None
    while True:
        for one in told:
            last = one.id
            yield server_sent.event(one.data.kind, {**one.data.to_json(), "at": one.at}, one.id)
            spoken = loop.time()
        try:
            told, ended, far = await site.read(_look, site, proof, uuid, upload_id, last)
        except AccessDenied:
            return
        if told:
            continue
        if ended:
            return
        if far is not None and far != shown:
            shown = far
            yield server_sent.event("progress", far.to_json())
            spoken = loop.time()
        if loop.time() - spoken >= server_sent.HEARTBEAT_SECONDS:
            yield server_sent.STILL_HERE
            spoken = loop.time()
        if await server_sent.stops(site.stopping):
            return

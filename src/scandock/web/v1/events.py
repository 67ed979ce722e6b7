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
from scandock.web import server_sent_events
from scandock.web.deps import ServerState, server_state
from scandock.web.security import Caller, request_credentials

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
    server = server_state(request)
    since = _since(after, last_event_id)
    upload_id, first_events, has_ended = await server.read(_begin, server, principal, id, since or 0)
    if since is not None and has_ended and not first_events:
        return Response(status_code=204)
    first = None if since is not None else await server.read(read_import, server.catalog, principal, id)
    stream = _stream(server, request_credentials(request, principal), id, upload_id, first_events, since or 0, first)
    return server_sent_events.event_response(stream)


def _since(after: int | None, last_event_id: str | None) -> int | None:
    """The header goes before the query: a browser that comes back still has the query of its first request."""
    if last_event_id is None or last_event_id == "":
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        raise RequestInvalid("Last-Event-ID is no number.", "Send the id of the last event, or none.")
    return int(last_event_id)


def _begin(server: ServerState, principal: Principal, uuid: str, after: int) -> tuple[int, list[UploadEvent], bool]:
    with server.catalog.read() as connection:
        import_record = find_import(connection, principal, uuid)
        return (
            import_record.upload_id,
            read_events_after(connection, after, upload_id=import_record.upload_id),
            import_record.state not in UNFINISHED,
        )


def _read_new_events(
    server: ServerState, proof: SavedCredentials, uuid: str, upload_id: int, after: int
) -> tuple[list[UploadEvent], bool, Progress | None]:
    """What is new, whether that is the end, and how far the import is. AccessDenied once it may no longer be seen."""
    principal = reauthenticate(server.catalog, proof)
    with server.catalog.read() as connection:
        state = find_import(connection, principal, uuid).state
        new_events = read_events_after(connection, after, upload_id=upload_id)
        progress = read_progress(connection, [upload_id]).get(upload_id) if state is ImportState.RUNNING else None
    if new_events:
        reauthenticate(
            server.catalog, proof
        )  # behind what has happened, so that nobody hears what came after their login
    return new_events, state not in UNFINISHED, progress


async def _stream(
    server: ServerState,
    proof: SavedCredentials,
    uuid: str,
    upload_id: int,
    events_to_send: list[UploadEvent],
    last: int,
    first: Import | None,
) -> AsyncIterator[bytes]:
    yield server_sent_events.RETRY
    if first is not None:
        yield server_sent_events.format_event("import", first.to_json())
    loop = asyncio.get_running_loop()
    last_sent_at = loop.time()
    sent_progress: Progress | None = None
    while True:
        for each_event in events_to_send:
            last = each_event.id
            yield server_sent_events.format_event(
                each_event.data.kind, {**each_event.data.to_json(), "at": each_event.at}, each_event.id
            )
            last_sent_at = loop.time()
        try:
            events_to_send, has_ended, progress = await server.read(
                _read_new_events, server, proof, uuid, upload_id, last
            )
        except AccessDenied:
            return
        if events_to_send:
            continue
        if has_ended:
            return
        if progress is not None and progress != sent_progress:
            sent_progress = progress
            yield server_sent_events.format_event("progress", progress.to_json())
            last_sent_at = loop.time()
        if loop.time() - last_sent_at >= server_sent_events.HEARTBEAT_SECONDS:
            yield server_sent_events.HEARTBEAT
            last_sent_at = loop.time()
        if await server_sent_events.wait_until_stopping(server.stopping):
            return

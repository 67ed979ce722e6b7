"""/api/v1/events: what happens to all imports that one may see, in one stream (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from scandock.access.principal import Principal
from scandock.model.dataclass import dataclass
from scandock.services.import_events import (
    ImportEvent,
    UnfinishedImport,
    list_unfinished_imports,
    read_missed_events,
    read_newest_mark,
)
from scandock.web import server_sent_events
from scandock.web.deps import ServerState, server_state
from scandock.web.hub import Hub, Listener, get_hub
from scandock.web.security import SignedIn, request_credentials

router = APIRouter(prefix="/api/v1", tags=["imports"])


@router.get(
    "/events",
    summary="What happens to the imports that you may see, as it happens",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def live(
    request: Request,
    principal: SignedIn,
    after: Annotated[str | None, Query(max_length=60)] = None,
    follow: Annotated[bool, Query(description="No: say what there is, and end")] = True,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Goes on behind `Last-Event-ID` (or `?after=`), an id that the stream gave. `begin` says whether it could.

    It ends with the login or the token that it was asked for by, and with the account.
    """
    hub = get_hub(request)
    listener = await hub.join(principal, request_credentials(request, principal))
    try:
        start = await server_state(request).read(_start, server_state(request), principal, last_event_id or after or "")
    except BaseException:
        hub.leave(listener)
        raise
    stream = _stream(request, hub, listener, start, follow=follow)
    return server_sent_events.event_response(stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What a listener hears first."""

    told: list[ImportEvent]
    resumed: bool
    mark: str
    imports: list[UnfinishedImport]


def _start(server: ServerState, principal: Principal, mark: str) -> _Start:
    with server.catalog.read() as connection:
        missed_events = read_missed_events(connection, principal, mark) if mark else None
        newest = read_newest_mark(connection)
    return _Start(
        told=missed_events or [],
        resumed=missed_events is not None,
        mark=newest,
        imports=list_unfinished_imports(server.catalog, principal),
    )


async def _stream(
    request: Request, hub: Hub, listener: Listener, start: _Start, *, follow: bool
) -> AsyncIterator[bytes]:
    server, loop = server_state(request), asyncio.get_running_loop()
    try:
        yield server_sent_events.RETRY
        for each_event in start.told:
            yield server_sent_events.format_event(
                each_event.kind, each_event.for_listener(listener.principal), each_event.mark
            )
        begin_data = {"user": listener.principal.name, "resumed": start.resumed, "imports": start.imports}
        yield server_sent_events.format_event("begin", begin_data, start.mark)
        sent_marks = {each_event.mark for each_event in start.told} | {start.mark}
        last_sent_at = loop.time()
        while follow and not server.stopping.is_set() and not listener.lost:
            for each_event in await listener.next(server_sent_events.HEARTBEAT_SECONDS):
                if each_event.number == 0:
                    yield server_sent_events.format_event(each_event.kind, each_event.for_listener(listener.principal))
                elif each_event.mark not in sent_marks:
                    yield server_sent_events.format_event(
                        each_event.kind, each_event.for_listener(listener.principal), each_event.mark
                    )
            if loop.time() - last_sent_at >= server_sent_events.HEARTBEAT_SECONDS and not listener.lost:
                last_sent_at = loop.time()
                yield server_sent_events.HEARTBEAT
    finally:
        hub.leave(listener)

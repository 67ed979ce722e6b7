"""The body of a request, piece by piece; a client that falls silent, or is asked to stop, ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.requests import ClientDisconnect

from scandock.services import upload_errors
from scandock.web.errors import ServerStopping
from scandock.web.tus.locks import Writer

if TYPE_CHECKING:
    from scandock.web.deps import ServerState


async def read_pieces(request: Request, idle: float, writer: Writer | None = None) -> AsyncGenerator[bytes, None]:
    """The body's pieces.

    Raises ClientDisconnect, BodyStalled after `idle` seconds without one, and whatever `writer` is to give
    way for.
    """
    loop = asyncio.get_running_loop()
    receive = request.receive
    stop = asyncio.ensure_future(writer.stop.wait()) if writer is not None else None
    try:
        async with asyncio.timeout(None) as limit:
            if stop is not None:
                stop.add_done_callback(lambda stop_task: None if stop_task.cancelled() else _expire_now(limit))
            while True:
                limit.reschedule(loop.time() + idle)
                message = await receive()
                limit.reschedule(None)
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body = message.get("body", b"")
                if writer is not None:
                    writer.arrived()
                    if writer.stop.is_set():
                        raise writer.why
                if body:
                    yield body
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        if writer is not None and writer.stop.is_set():
            raise writer.why from None
        raise upload_errors.BodyStalled(idle) from None
    finally:
        if stop is not None:
            stop.cancel()


def read_body(server: ServerState, request: Request) -> AsyncGenerator[bytes, None]:
    """The pieces of a body that is to come in this one request; the server's end ends it (`stop_bodies`)."""
    writer = Writer()
    server.bodies.add(writer)
    return read_pieces(request, server.receiving.limits.idle_seconds, writer)


def stop_bodies(server: ServerState) -> None:
    """Let what can't be gone on with later end, as the server does: each client is told so."""
    error = ServerStopping("The server is being stopped.", "Send it again in a moment.")
    for writer in list(server.bodies):
        writer.give_way(error)


def _expire_now(limit: asyncio.Timeout) -> None:
    deadline = limit.when()
    if deadline is not None:  # None: it is not waiting for the client, and looks by itself
        limit.reschedule(asyncio.get_running_loop().time())

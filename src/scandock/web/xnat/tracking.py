"""`/xapi/event_tracking/{key}`: how an import goes that was asked for with a listener's key (xnat-behaviour.md 6.1).

`/data/status/{key}` is the original's older way to ask for the same.
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services.archive_tracking import TrackedEntry
from scandock.web.xnat.services.tracking import TrackedImport, read_tracked

routes = make_router()
_STATUSES: Final = {"Warning": "WARNING", "Failed": "FAILED", "Completed": "COMPLETED"}
"""What the older way calls them; all others are PROCESSING."""


@routes.get("/xapi/event_tracking/{key:path}/payload")
async def payload(context: SignedInContext, key: str) -> Response:
    """The entries alone."""
    tracked = await context.server.read(read_tracked, context.server.catalog, context.service_context.principal, key)
    if tracked is None:
        return text_response(404, f"No event listener data with key {key[:255]} accessible to user")
    return PlainTextResponse(tracked.payload or "")


@routes.get("/data/status/{key:path}")
async def status(context: SignedInContext, key: str) -> Response:
    """The same as a list of messages, of which the last is terminal once it has ended; always JSON."""
    tracked = await context.server.read(read_tracked, context.server.catalog, context.service_context.principal, key)
    if tracked is None:
        return text_response(404, f"No event listener data with key {key[:255]} accessible to user")
    return JSONResponse({"msgs": [_make_messages(tracked)]})


class _Message(TypedDict):
    status: str
    msg: str
    terminal: bool


def _make_messages(tracked: TrackedImport) -> list[_Message]:
    entries: list[TrackedEntry] = json.loads(tracked.payload)["entryList"] if tracked.payload else []
    messages: list[_Message] = [
        {"status": _STATUSES.get(entry["status"], "PROCESSING"), "msg": entry["message"], "terminal": False}
        for entry in entries
    ]
    if tracked.succeeded is not None:
        status = "COMPLETED" if tracked.succeeded else "FAILED"
        messages.append({"status": status, "msg": tracked.final or "", "terminal": True})
    return messages


@routes.get("/xapi/event_tracking/{key:path}")
async def track(context: SignedInContext, key: str) -> Response:
    """What was told so far; `payload` is a text that holds JSON. 404 without a word for who may not know of it."""
    tracked = await context.server.read(read_tracked, context.server.catalog, context.service_context.principal, key)
    if tracked is None:
        return text_response(404, "")
    body = {"key": key, "payload": tracked.payload, "succeeded": tracked.succeeded, "finalMessage": tracked.final}
    return JSONResponse(body)

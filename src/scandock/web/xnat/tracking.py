"""`/xapi/event_tracking/{key}`: how an import goes that was asked for with a listener's key (xnat-behaviour.md 6.1).

`/data/status/{key}` is the original's older way to ask for the same.
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services.tracked_work import TrackedEntry
from scandock.web.xnat.services.tracking import Tracked, tell

routes = router()
_STATUSES: Final = {"Warning": "WARNING", "Failed": "FAILED", "Completed": "COMPLETED"}
"""What the older way calls them; all others are PROCESSING."""


@routes.get("/xapi/event_tracking/{key:path}/payload")
async def payload(work: Known, key: str) -> Response:
    """The entries alone."""
    found = await work.site.read(tell, work.site.catalog, work.context.principal, key)
    if found is None:
        return said(404, f"No event listener data with key {key[:255]} accessible to user")
    return PlainTextResponse(found.payload or "")


@routes.get("/data/status/{key:path}")
async def status(work: Known, key: str) -> Response:
    """The same as a list of messages, of which the last is terminal once it has ended; always JSON."""
    found = await work.site.read(tell, work.site.catalog, work.context.principal, key)
    if found is None:
        return said(404, f"No event listener data with key {key[:255]} accessible to user")
    return JSONResponse({"msgs": [_messages(found)]})


class _Message(TypedDict):
    status: str
    msg: str
    terminal: bool


def _messages(found: Tracked) -> list[_Message]:
    entries: list[TrackedEntry] = json.loads(found.payload)["entryList"] if found.payload else []
    messages: list[_Message] = [
        {"status": _STATUSES.get(one["status"], "PROCESSING"), "msg": one["message"], "terminal": False}
        for one in entries
    ]
    if found.succeeded is not None:
        status = "COMPLETED" if found.succeeded else "FAILED"
        messages.append({"status": status, "msg": found.final or "", "terminal": True})
    return messages


@routes.get("/xapi/event_tracking/{key:path}")
async def track(work: Known, key: str) -> Response:
    """What was told so far; `payload` is a text that holds JSON. 404 without a word for who may not know of it."""
    found = await work.site.read(tell, work.site.catalog, work.context.principal, key)
    if found is None:
        return said(404, "")
    told = {"key": key, "payload": found.payload, "succeeded": found.succeeded, "finalMessage": found.final}
    return JSONResponse(told)

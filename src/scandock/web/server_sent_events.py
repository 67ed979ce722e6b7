"""Server-sent events: how streams write them, and how they wait for what comes next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

LOOK_SECONDS: Final = 0.5
"""How often the catalog is looked at for those who listen."""
HEARTBEAT_SECONDS: Final = 15.0
"""A stream that has had nothing to say for so long says that it is still there."""
RETRY: Final = b"retry: 2000\n\n"
"""After how many milliseconds browsers come back; the first line of a stream."""
HEARTBEAT: Final = b": still here\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_response(stream: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that a stream is."""
    return StreamingResponse(stream, 200, _HEADERS, "text/event-stream")


def format_event(kind: str, data: Mapping[str, Any], mark: object = "") -> bytes:
    """One event; by its `mark` a listener goes on who comes back, so that what has none is not told of again."""
    head = f"id: {mark}\n" if mark != "" else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


async def wait_until_stopping(stopping: asyncio.Event) -> bool:
    """Wait until it is time to look again; True where the server ends meanwhile."""
    try:
        await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
    except TimeoutError:
        return False
    return True

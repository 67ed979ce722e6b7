"""The least that a receiver can do: what comes is written to a file as it comes, synced, and answered.

`uvicorn bench.bare:app`, with the folder for the files in BENCH_FOLDER. What the server is measured against.
"""

from __future__ import annotations

import os
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take one request's body."""
    if scope["type"] != "http":
        return
    name = os.path.join(os.environ["BENCH_FOLDER"], "body")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            view = memoryview(message.get("body", b""))
            while view:
                view = view[os.write(fd, view) :]
            more = message.get("more_body", False)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.unlink(name)
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b""})

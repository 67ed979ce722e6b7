"""Waiting for the end of an import: what XNAT's clients do of what they sent, and clients of STOW-RS."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.requests import ClientDisconnect

from scandock.access.principal import AccessDenied
from scandock.model.verdicts import UNFINISHED
from scandock.services import upload_errors
from scandock.services.import_records import Import
from scandock.services.imports import has_import_ended, read_import
from scandock.web.errors import ServerStopping
from scandock.web.request_context import RequestContext

POLL_SECONDS: Final = (0.02, 0.5)
"""How soon the outcome is looked for, and how seldom in the end."""
REFRESH_SECONDS: Final = 0.5
"""How often it is looked meanwhile whether who waits may still know: that costs several times a look at the state."""


async def wait_for_import(context: RequestContext, uuid: str, *, is_followed: bool = False) -> Import:
    """The import of an id, once it has ended. Fault `server_stopping` where the server ends first; ClientDisconnect,
    but not where its end is told elsewhere too (`is_followed`).

    AccessDenied (401) where the login or token that it was asked for by ends first: the import goes on, and is told no
    more.
    """
    seconds, refreshed = POLL_SECONDS[0], time.monotonic()
    while True:
        has_ended = await context.server.read(has_import_ended, context.server.catalog, uuid)
        if has_ended or time.monotonic() - refreshed >= REFRESH_SECONDS:
            await context.refresh_principal()
            try:
                current: Import = await context.server.read(
                    read_import, context.server.catalog, context.service_context.principal, uuid
                )
            except AccessDenied:
                raise upload_errors.DeletedMeanwhile(uuid) from None
            if current.state not in UNFINISHED:
                return current
            refreshed = time.monotonic()
        if not is_followed and await context.request.is_disconnected():
            raise ClientDisconnect
        try:
            await asyncio.wait_for(context.server.stopping.wait(), seconds)
        except TimeoutError:
            seconds = min(POLL_SECONDS[1], seconds * 1.5)
            continue
        raise ServerStopping(
            f"The server is being stopped; what was sent is kept, and the import {uuid} goes on when it is back.",
            "Look there for its sessions, and do not send it again.",
        )

"""Sessions of single objects that are still to be built: whoever asks for one has that done, and waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from starlette.requests import ClientDisconnect

from scandock.model.uris import PrearchiveSessionUri
from scandock.services.gradual_uploads import (
    ask_for_sessions,
    check_built,
    find_coming,
    find_promised,
    find_promised_studies,
    list_unfinished,
)
from scandock.services.session_errors import SessionLeft, SessionNotBuilt
from scandock.web.errors import ServerStopping
from scandock.web.import_waiting import POLL_SECONDS
from scandock.web.request_context import RequestContext

HAND_OVER_SECONDS: Final = 60.0
"""For whoever receives objects to hand them to their import."""


async def build_sessions(context: RequestContext, addresses: Sequence[PrearchiveSessionUri]) -> None:
    """Have what is still to be built at these addresses be built, as far as one may look at it, and wait for that.

    Raises SessionNotBuilt where the import has failed; SessionLeft where it does not begin; Fault `server_stopping`
    where the server ends first; ClientDisconnect, where it only reads; AccessDenied (401) where the login ends first.
    """
    principal = context.service_context.principal
    await build_uploads(context, await context.read(lambda c: find_promised(c, principal, addresses)))


async def build_study(context: RequestContext, study_uid: str) -> bool:
    """Have sessions of a study be built that are still to be; False where there is none. Raises as `build_sessions`."""
    principal = context.service_context.principal
    upload_ids = await context.read(lambda c: find_promised_studies(c, principal, study_uid))
    await build_uploads(context, upload_ids)
    return bool(upload_ids)


async def try_to_build(context: RequestContext, upload_ids: Sequence[int], seconds: float) -> None:
    """Have these uploads be imported, and wait so long for that, for who goes on whatever comes of it.

    Raises Fault `server_stopping`, ClientDisconnect and AccessDenied as `build_sessions`.
    """
    with contextlib.suppress(TimeoutError, SessionNotBuilt, SessionLeft):
        async with asyncio.timeout(seconds):
            await build_uploads(context, upload_ids)


async def complete_sessions(context: RequestContext, uuids: Sequence[str]) -> None:
    """Have single objects that still come for these sessions join them, before anything is done to them.

    Raises as `build_sessions`.
    """
    principal = context.service_context.principal
    await build_uploads(context, await context.read(lambda c: find_coming(c, principal, uuids)))


async def build_uploads(context: RequestContext, upload_ids: Sequence[int]) -> None:
    """Have these uploads be imported, and wait for that; from then on the context is that of who asks as they are then.

    What only reads is answered with what stands already, rather than refused for what a host has that is away. Raises
    as `build_sessions`.
    """
    server = context.server
    if not upload_ids:
        return
    server.gradual.close(upload_ids)
    await server.run(ask_for_sessions, server.catalog, upload_ids)  # of those that other hosts receive
    only_reads = context.request.method in ("GET", "HEAD")
    seconds, begun = POLL_SECONDS[0], time.monotonic()
    waited_for = list(upload_ids)
    while True:
        query = partial(
            list_unfinished, server.catalog, upload_ids=waited_for, shares_spools=server.store.shares_spools
        )
        unfinished = await context.read(query)
        await context.refresh_principal()
        is_late = time.monotonic() - begun >= HAND_OVER_SECONDS
        left = [one for one in unfinished if one.is_away or (one.is_receiving and is_late)]
        for one in left:
            if not one.stands or not only_reads:
                raise SessionLeft(one.uuid)
            waited_for.remove(one.upload_id)
        if len(left) == len(unfinished):
            break
        if (
            only_reads and await context.request.is_disconnected()
        ):  # which takes what comes next of a body, and drops it
            raise ClientDisconnect
        try:
            await asyncio.wait_for(server.stopping.wait(), seconds)
        except TimeoutError:
            seconds = min(POLL_SECONDS[1], seconds * 1.5)
            continue
        raise ServerStopping(
            "The server is being stopped before the session is built.",
            "What was sent is kept: ask again once the server is back.",
        )
    await context.read(lambda c: check_built(c, upload_ids))

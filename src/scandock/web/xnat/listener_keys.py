"""Doing what a client follows by the key of its listener (xnat-behaviour.md 5.6, 6.1): an end is always written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from scandock.model.errors import ScandockError
from scandock.model.uris import without_data
from scandock.web.request_context import RequestContext
from scandock.web.xnat.archive_errors import ARCHIVE_ERRORS, describe_refusal
from scandock.web.xnat.import_parameters import read_listener
from scandock.web.xnat.parameters import Parameters
from scandock.web.xnat.services.archive_tracking import (
    ALIVE_SECONDS,
    ActionOutcome,
    begin_tracking,
    end_tracking,
    extend_tracking,
)
from scandock.web.xnat.services.tracking import check_key

T = TypeVar("T")
_FAULT: Final = "The server failed; its log says why. The session waits where it was."


def read_listener_key(params: Parameters) -> str:
    """The listener's key, or nothing. Usage where it is named and empty (1.4), or can't be kept."""
    return check_key(read_listener(params))


async def run_tracked(
    context: RequestContext,
    key: str,
    uris: Sequence[str],
    do: Callable[[], T],
    summarize: Callable[[T], ActionOutcome],
    activity: str = "Archiving",
    *,
    finish: Callable[[T], Awaitable[T]],
) -> T:
    """Do something to the sessions at some addresses, and let the key tell how it goes; without one just do it.

    `finish` waits for what goes on beside. Raises what both raise, once that is written as the end.
    """
    if not key:
        return await finish(await context.run(do))
    catalog = context.server.catalog
    sentences = [f"{activity} {without_data(uri)}" for uri in uris]
    number = await context.server.run(begin_tracking, catalog, context.service_context.principal, key, sentences)
    keep_alive = asyncio.create_task(_keep_alive(context, number))
    outcome: ActionOutcome | None = ActionOutcome(succeeded=False, final=_FAULT)
    try:
        result = await finish(await context.run(do))
        outcome = summarize(result)
        return result
    except ScandockError as error:
        outcome = ActionOutcome(succeeded=False, final=describe_refusal(error, ARCHIVE_ERRORS)[1])
        raise
    except asyncio.CancelledError:  # the server is being stopped, and the work may yet be done: none knows its end
        outcome = None
        raise
    finally:
        keep_alive.cancel()
        if outcome is not None:
            await context.server.run(end_tracking, catalog, number, outcome)


async def _keep_alive(context: RequestContext, number: int) -> None:
    while True:
        await asyncio.sleep(ALIVE_SECONDS / 4)
        with suppress(ScandockError):
            await context.server.run(extend_tracking, context.server.catalog, number)

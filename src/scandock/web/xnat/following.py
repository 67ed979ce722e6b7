"""Doing what a client follows by the key of its listener (xnat-behaviour.md 5.6, 6.1): an end is always written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from scandock.model.errors import ScandockError
from scandock.model.uris import without_data
from scandock.web.request_context import RequestContext
from scandock.web.xnat.codes import ARCHIVING, refusal
from scandock.web.xnat.import_parameters import listener_of
from scandock.web.xnat.parameters import Parameters
from scandock.web.xnat.services.tracked_work import ALIVE_SECONDS, End, begin, end, still_at_it
from scandock.web.xnat.services.tracking import check_key

T = TypeVar("T")
_FAULT: Final = "The server failed; its log says why. The session waits where it was."


def key_of(asked: Parameters) -> str:
    """The listener's key, or nothing. Usage where it is named and empty (1.4), or can't be kept."""
    return check_key(listener_of(asked))


async def followed(
    work: RequestContext,
    key: str,
    about: Sequence[str],
    do: Callable[[], T],
    told: Callable[[T], End],
    doing: str = "Archiving",
) -> T:
    """Do something to the sessions at some addresses, and let the key tell how it goes; without one just do it.

    Raises what `do` raises, once that is written as the end.
    """
    if not key:
        return await work.do(do)
    catalog = work.site.catalog
    sentences = [f"{doing} {without_data(uri)}" for uri in about]
    number = await work.site.run(begin, catalog, work.context.principal, key, sentences)
    beat = asyncio.create_task(_beat(work, number))
    how: End | None = End(succeeded=False, final=_FAULT)
    try:
        result = await work.do(do)
        how = told(result)
        return result
    except ScandockError as error:
        how = End(succeeded=False, final=refusal(error, ARCHIVING)[1])
        raise
    except asyncio.CancelledError:  # the server is being stopped, and the work may yet be done: none knows its end
        how = None
        raise
    finally:
        beat.cancel()
        if how is not None:
            await work.site.run(end, catalog, number, how)


async def _beat(work: RequestContext, number: int) -> None:
    while True:
        await asyncio.sleep(ALIVE_SECONDS / 4)
        with suppress(ScandockError):
            await work.site.run(still_at_it, work.site.catalog, number)

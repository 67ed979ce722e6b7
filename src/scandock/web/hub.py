"""One look at the catalog for all who listen in this process: what it finds is handed to each who may hear it.

With each look it is asked who may still listen, and what they may hear now: for all of them at once, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from fastapi import Request

from scandock.access.principal import Principal
from scandock.access.reauthentication import SavedCredentials, reauthenticate_all
from scandock.model.errors import ScandockError
from scandock.services.import_events import EventWatcher, ImportEvent, can_see_event
from scandock.services.logs import error_cause, error_location, log
from scandock.web.deps import ServerState, server_state
from scandock.web.server_sent_events import wait_until_stopping

MAX_WAITING_EVENTS: Final = 2_000
"""Events that wait for a listener who does not take them; one who is further behind begins anew."""


class Listener:
    """Somebody who listens: what waits for them, of progress the newest of each import alone."""

    def __init__(self, principal: Principal, proof: SavedCredentials) -> None:
        self.principal = principal
        self.proof = proof
        self.lost = False
        """Too much has waited, so that what was told is not whole any more; or the login has ended."""
        self._told: deque[ImportEvent] = deque()
        self._far: dict[str, ImportEvent] = {}
        self._read_news = asyncio.Event()

    def add_event(self, event: ImportEvent) -> None:
        if not can_see_event(self.principal, event):
            return
        if event.number == 0:
            self._far[event.uuid] = event
        elif len(self._told) >= MAX_WAITING_EVENTS:
            self.lost = True
        else:
            self._far.pop(event.uuid, None)
            self._told.append(event)
        self._read_news.set()

    async def next(self, seconds: float) -> list[ImportEvent]:
        """What has come; nothing where nothing comes for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._read_news.wait(), seconds)
        self._read_news.clear()
        events = [*self._told, *self._far.values()]
        self._told.clear()
        self._far.clear()
        return events

    def wake(self) -> None:
        self._read_news.set()

    def end(self) -> None:
        """Let nothing more be heard: what waits was for somebody who may not any more."""
        self.lost = True
        self._told.clear()
        self._far.clear()
        self._read_news.set()


class Hub:
    """The listeners of one process. It looks while there is one, and not else."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._watch = EventWatcher(server.catalog)
        self._listeners: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def join(self, principal: Principal, proof: SavedCredentials) -> Listener:
        """Listen from now on, as long as the proof holds."""
        listener = Listener(principal, proof)
        async with self._beginning:
            if self._looking is None or self._looking.done():
                await self._server.read(self._watch.begin)
                self._looking = asyncio.ensure_future(self._look())
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    async def _look(self) -> None:
        events: list[ImportEvent] = []
        while self._listeners or self._beginning.locked():
            if await wait_until_stopping(self._server.stopping):
                break
            try:
                events += await self._server.read(self._watch.look)
                await self._recheck_listeners()
            except ScandockError as error:  # the catalog is away for a moment
                log().warning("listening", code=error.code, cause=error_cause(error), where=error_location(error))
                continue
            for event in events:
                for listener in self._listeners:
                    listener.add_event(event)
            events.clear()
        for listener in self._listeners:
            listener.wake()

    async def _recheck_listeners(self) -> None:
        """Ask who may still listen, and as whom; asked behind what has happened, so that nobody hears too much."""
        listeners = list(self._listeners)
        principals = await self._server.read(
            reauthenticate_all, self._server.catalog, {listener.proof for listener in listeners}
        )
        for listener in listeners:
            if listener.proof in principals:
                listener.principal = principals[listener.proof]
            else:
                listener.end()
                self.leave(listener)


def get_hub(request: Request) -> Hub:
    """The process's one, made when somebody listens for the first time."""
    state = request.app.state
    hub: Hub | None = getattr(state, "hub", None)
    if hub is None:
        hub = state.hub = Hub(server_state(request))
    return hub

"""Requests that read: who sends one is found out with what it asks for, by one transaction in one turn of a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.web.deps import server_state
from scandock.web.request_context import RequestContext, run_in_pictures
from scandock.web.security import identify, identify_within

C = TypeVar("C", bound=RequestContext)
R = TypeVar("R")
T = TypeVar("T")


class ReadRequest(Generic[C]):
    """A request that reads, of which nobody has asked yet who sends it.

    That is found out by the transaction and in the thread that find what it is for: viewers ask for a hundred frames
    at once, and each turn of a thread takes as long as a question.
    """

    def __init__(self, request: Request, make_context: Callable[[Request, Principal], C]) -> None:
        self.request = request
        self.server = server_state(request)
        self._make_context = make_context

    async def read(self, query: Callable[[C, Connection], T]) -> tuple[C, T]:
        """Ask the catalog for who sends it; their context, and what it answered. AccessDenied."""
        return await self._run(self.server.read, lambda: self._find(query))

    async def run(self, query: Callable[[C, Connection], T], work: Callable[[C, T], R]) -> R:
        """As `read`, then do what may take a while, in the same turn of a thread (`RequestContext.run`)."""

        def find_and_work() -> R | None:
            context_and_answer = self._find(query)
            return None if context_and_answer is None else work(*context_and_answer)

        return await self._run(self.server.spool, find_and_work)

    async def run_decoder(self, query: Callable[[C, Connection], T], work: Callable[[C, T], R]) -> R:
        """As `read`, then do what waits for a decoder, in the same turn of a thread (`RequestContext.run_decoder`)."""
        pictures = self.server.pictures

        def find_and_work() -> R | None:
            context_and_answer = pictures.find(lambda: self._find(query))
            return None if context_and_answer is None else pictures.work(lambda: work(*context_and_answer))

        return await self._run(partial(run_in_pictures, self.server), find_and_work)

    def _find(self, query: Callable[[C, Connection], T]) -> tuple[C, T] | None:
        """None where a password has to be checked first."""
        with self.server.catalog.read() as connection:
            principal = identify_within(self.request, connection)
            if principal is None:
                return None
            context = self._make_context(self.request, principal)
            return context, query(context, connection)

    async def _run(
        self, run: Callable[[Callable[[], R | None]], Awaitable[R | None]], call: Callable[[], R | None]
    ) -> R:
        """Call it in a thread; once more where a password has to be checked first."""
        answer = await run(call)
        if answer is None:
            await identify(self.request)
            answer = await run(call)
        assert answer is not None
        return answer


async def _make_read_request(request: Request) -> ReadRequest[RequestContext]:
    return ReadRequest(request, RequestContext)


Reading = Annotated[ReadRequest[RequestContext], Depends(_make_read_request)]
"""Of routes that nobody changes anything by: `SignedContext` looks for a CSRF token, too."""

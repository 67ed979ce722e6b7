"""What the routers of browsing and changing share: the context of a request, pages, items with ETags, and waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from scandock.access.principal import Principal
from scandock.access.reauthentication import reauthenticate
from scandock.model.json_records import JsonRecord
from scandock.services.accounts import Accounts
from scandock.services.context import ServiceContext
from scandock.services.editing import etag
from scandock.services.outcomes import Outcome
from scandock.services.pagination import LIMIT, MAX_LIMIT, Page, Sorting
from scandock.services.prearchive import MAX_SESSIONS, outcome_json, run_each
from scandock.services.response_buffers import client_key
from scandock.web import urls
from scandock.web.conditions import is_etag_known
from scandock.web.deps import ServerState, server_state
from scandock.web.security import Caller, request_credentials, request_info

T = TypeVar("T")


class Many(BaseModel):
    """The sessions that a verb is done to."""

    model_config = ConfigDict(extra="forbid")

    sessions: Annotated[list[str], Field(min_length=1, max_length=MAX_SESSIONS, description="Ids of sessions")]


class RequestContext:
    """What one request works with, and the threads that its work is done in."""

    def __init__(self, request: Request, principal: Principal) -> None:
        self.request = request
        self.server: ServerState = server_state(request)
        self.service_context = ServiceContext(
            self.server.catalog,
            self.server.store,
            self.server.settings,
            principal,
            request_info(request),
            ask_again=lambda: reauthenticate(self.server.catalog, request_credentials(request, principal)),
            trees=self.server.trees,
        )

    async def refresh_principal(self) -> Principal:
        """Who asks, after the request has taken long: from now on the context is theirs as it is.

        AccessDenied (401).
        """
        principal = await self.server.read(self.service_context.still)
        self.service_context = replace(self.service_context, principal=principal)
        return principal

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Ask the catalog, in one transaction."""

        def within() -> T:
            with self.server.catalog.read() as connection:
                return query(connection)

        return await self.run_read(within)

    async def run_read(self, call: Callable[[], T]) -> T:
        """Do what only reads the catalog, however many wait to write to it."""
        return await self.server.read(call)

    async def run(self, call: Callable[[], T]) -> T:
        """Do what may take a while, where nobody waits for the catalog's threads."""
        return await self.server.spool(call)

    async def run_zip(self, call: Callable[[], T]) -> T:
        """Make a zip ready, where neither listings nor uploads wait for it."""
        return await _run_in(self.server.zip_threads, call)

    async def run_password(self, call: Callable[[], T]) -> T:
        """Do what checks or hashes a password, when the address has its turn."""
        return await self.server.passwords.run(
            self.service_context.request.address if self.service_context.request else "", call
        )

    async def run_decoder(self, call: Callable[[], T]) -> T:
        """Do what waits for a decoder, where nobody waits to upload or to ask the catalog."""
        return await run_in_pictures(self.server, partial(self.server.pictures.work, call))

    @property
    def accounts(self) -> Accounts:
        """What the asker does to accounts."""
        return Accounts(self.server.catalog, self.service_context.principal, self.service_context.request)

    @property
    def client_key(self) -> Hashable:
        """Whose room the answer takes while it waits."""
        return client_key(self.service_context.principal.account_id, request_info(self.request).address)

    async def page_response(self, query: Callable[[Connection], Page[Any]]) -> Response:
        """A list as `{"items", "next"}`; the next page's address is in Link too."""
        result_page = await self.read(query)
        headers = {}
        if result_page.next is not None:
            address = self.request.url.include_query_params(cursor=result_page.next)
            headers["Link"] = f'<{urls.with_encoded(address.path, address.query)}>; rel="next"'
        return JSONResponse(
            {"items": [record.to_json() for record in result_page.items], "next": result_page.next}, headers=headers
        )

    async def item_response(self, query: Callable[[Connection], JsonRecord]) -> Response:
        """One thing with its ETag; 304 where the caller has it already."""
        return self.tagged_response(await self.read(query))

    def tagged_response(self, item: JsonRecord) -> Response:
        """An item that was just read or changed, with its ETag."""
        tag = etag(item)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if self.request.method in ("GET", "HEAD") and is_etag_known(self.request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        return JSONResponse(item.to_json(), headers=headers)

    @property
    def if_match(self) -> str | None:
        return self.request.headers.get("if-match")

    async def run_verb(self, verb: Callable[[], Outcome]) -> Response:
        """Do a verb to one session; what is refused is a problem. 202 where an import is to do it."""
        outcome = await self.run(verb)
        if not outcome.import_uuid:
            return JSONResponse(outcome_json(outcome))
        location = urls.root_of(self.request.scope) + urls.api_import(outcome.import_uuid)
        return JSONResponse(outcome_json(outcome), 202, {"Location": location})

    async def run_verb_each(self, uuids: list[str], verb: Callable[[str], Outcome], action: str) -> Response:
        """Do a verb to many sessions; each answer stands in its place."""
        return JSONResponse({"items": await self.run(lambda: run_each(uuids, verb, action))})


async def run_in_pictures(server: ServerState, call: Callable[[], T]) -> T:
    """Call what finds something for a decoder or works with one, where nobody waits to upload or to ask the catalog."""
    return await _run_in(server.pictures.threads, call)


async def _run_in(threads: Executor, call: Callable[[], T]) -> T:
    bound_call = partial(copy_context().run, call)
    return await asyncio.get_running_loop().run_in_executor(threads, bound_call)


def record_response(record: JsonRecord, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    """A record as it is answered."""
    return JSONResponse(record.to_json(), status, headers)


def list_response(records: Iterable[JsonRecord]) -> JSONResponse:
    """A list that has no pages."""
    return JSONResponse({"items": [record.to_json() for record in records]})


async def parse_sorting(
    sort: Annotated[str, Query(max_length=32, description="A column; - before it for the other direction")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = LIMIT,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Sorting:
    """Which page of a list."""
    return Sorting(sort=sort, limit=limit, cursor=cursor)


async def _make_context(request: Request, principal: Caller) -> RequestContext:
    return RequestContext(request, principal)


SignedContext = Annotated[RequestContext, Depends(_make_context)]
"""No class, nor a plain function: FastAPI would give each a turn of a thread, which takes longer than it does."""
Sorted = Annotated[Sorting, Depends(parse_sorting)]
Text = Annotated[str, Query(max_length=200)]
Search = Annotated[str, Query(max_length=200, description="In the label or the subject, anywhere and in any case")]
Maybe = Annotated[str | None, Query(max_length=200)]
DryRun = Annotated[bool, Query(description="Only say what would happen")]

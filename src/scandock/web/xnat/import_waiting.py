"""Waiting for the end of an import, as XNAT's clients do: of what they sent, and of a session that moves by one."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect

from scandock.access.principal import AccessDenied
from scandock.model.errors import Usage
from scandock.model.verdicts import UNFINISHED
from scandock.services import upload_errors
from scandock.services.committing import CommitResult
from scandock.services.import_records import Import
from scandock.services.imports import read_import
from scandock.services.outcomes import Outcome
from scandock.services.session_imports import read_ended_outcome
from scandock.web.errors import ServerStopping
from scandock.web.request_context import RequestContext

POLL_SECONDS: Final = (0.02, 0.5)
"""How soon the outcome is looked for, and how seldom in the end."""


async def wait_for_import(context: RequestContext, uuid: str, *, is_followed: bool = False) -> Import:
    """The import of an id, once it has ended. Fault `server_stopping` where the server ends first; ClientDisconnect,
    but not where its end is told elsewhere too (`is_followed`).

    AccessDenied (401) where the login or token that it was asked for by ends first: the import goes on, and is told no
    more.
    """
    seconds = POLL_SECONDS[0]
    while True:
        await context.refresh_principal()
        try:
            current: Import = await context.server.read(
                read_import, context.server.catalog, context.service_context.principal, uuid
            )
        except AccessDenied:
            raise upload_errors.DeletedMeanwhile(uuid) from None
        if current.state not in UNFINISHED:
            return current
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


async def complete_outcome(context: RequestContext, outcome: Outcome, *, is_followed: bool = False) -> Outcome:
    """What was done to a session, once the import has ended that does it, if one does.

    Usage where it has stayed, or waits for a decision instead of being archived; else as `wait_for_import`.
    """
    if not outcome.import_uuid:
        return outcome
    await wait_for_import(context, outcome.import_uuid, is_followed=is_followed)
    return await context.read(lambda c: read_ended_outcome(c, outcome))


async def complete_commit(context: RequestContext, committed: CommitResult, *, is_followed: bool) -> CommitResult:
    """What a commit came to, once the import has ended that archives the session, if one does."""
    if committed.archived is None:
        return committed
    try:
        return CommitResult(await complete_outcome(context, committed.archived, is_followed=is_followed))
    except Usage as error:
        return CommitResult(why=f"{error.message} {error.remedy}".strip())

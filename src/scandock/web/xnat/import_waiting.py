"""Waiting for the end of an import by which a session moves, as XNAT's clients do."""

from __future__ import annotations

from scandock.model.errors import Usage
from scandock.services.committing import CommitResult
from scandock.services.outcomes import Outcome
from scandock.services.session_imports import read_ended_outcome
from scandock.web.import_waiting import wait_for_import
from scandock.web.request_context import RequestContext


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

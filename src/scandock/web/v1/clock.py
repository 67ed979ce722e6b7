"""/api/v1/clock: whether the clock is trusted with what is deleted for its age, for the site's administrators."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from scandock.model.json_records import JsonRecord
from scandock.services.clock_check import confirm_clock_state, find_clock_state
from scandock.web.request_context import SignedContext, answer

router = APIRouter(prefix="/api/v1/clock", tags=["clock"])


@dataclass(frozen=True, kw_only=True)
class Clock(JsonRecord):
    """Whether the clock is trusted with what is deleted for its age; `confirmable`: an administrator may say so."""

    trusted: bool
    why: str
    confirmable: bool


@router.get("", summary="Whether deletions for age wait, as the clock can't be trusted", response_model=Clock)
async def read(work: SignedContext) -> Response:
    """`why` in words; `confirmable` where they go on once an administrator has said that the clock is right."""
    found = await work.look(lambda: find_clock_state(work.context.catalog, work.context.principal))
    return answer(Clock(trusted=not found.why, why=found.why, confirmable=found.confirmable))


@router.post("/confirm", status_code=204, summary="Say that the clock is right though it has jumped")
async def confirm_clock(work: SignedContext) -> Response:
    """What is too old by it is deleted from now on."""
    await work.do(lambda: confirm_clock_state(work.context.catalog, work.context.principal, work.context.request))
    return Response(status_code=204)

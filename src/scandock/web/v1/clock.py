"""/api/v1/clock: whether the clock is trusted with what is deleted for its age, for the site's administrators."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.services.clock_check import confirm_clock_state, find_clock_state
from scandock.web.request_context import SignedContext, record_response

router = APIRouter(prefix="/api/v1/clock", tags=["clock"])


@dataclass(frozen=True, kw_only=True)
class Clock(JsonRecord):
    """Whether the clock is trusted with what is deleted for its age; `confirmable`: an administrator may say so."""

    trusted: bool
    why: str
    confirmable: bool


@router.get("", summary="Whether deletions for age wait, as the clock can't be trusted", response_model=Clock)
async def read(context: SignedContext) -> Response:
    """`why` in words; `confirmable` where they go on once an administrator has said that the clock is right."""
    clock_state = await context.run_read(
        lambda: find_clock_state(context.service_context.catalog, context.service_context.principal)
    )
    return record_response(Clock(trusted=not clock_state.why, why=clock_state.why, confirmable=clock_state.confirmable))


@router.post("/confirm", status_code=204, summary="Say that the clock is right though it has jumped")
async def confirm_clock(context: SignedContext) -> Response:
    """What is too old by it is deleted from now on."""
    await context.run(
        lambda: confirm_clock_state(
            context.service_context.catalog, context.service_context.principal, context.service_context.request
        )
    )
    return Response(status_code=204)

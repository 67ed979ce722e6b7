"""/api/v1/clock: whether the clock is trusted with what is deleted for its age, for the site's administrators."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from scandock.services.clock_watch import confirm, find_clock
from scandock.web.request_context import Desked

router = APIRouter(prefix="/api/v1/clock", tags=["clock"])


@router.get("", summary="Whether deletions for age wait, as the clock can't be trusted")
async def read(work: Desked) -> Response:
    """`why` in words; `confirmable` where they go on once an administrator has said that the clock is right."""
    found = await work.look(lambda: find_clock(work.desk.catalog, work.desk.principal))
    answer = {"trusted": not found.why, "why": found.why, "confirmable": found.confirmable}
    return JSONResponse(answer)


@router.post("/confirm", status_code=204, summary="Say that the clock is right though it has jumped")
async def confirm_clock(work: Desked) -> Response:
    """What is too old by it is deleted from now on."""
    await work.do(lambda: confirm(work.desk.catalog, work.desk.principal, work.desk.request))
    return Response(status_code=204)

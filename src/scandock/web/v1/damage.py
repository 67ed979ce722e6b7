"""/api/v1/damage: stored files that are not what they were, and reading them again."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from scandock.services.damage import list_damage, verify_damaged_again, verify_session_again
from scandock.services.records import Damage, ReadAgain
from scandock.web.json_lists import PageOf
from scandock.web.request_context import Maybe, SignedContext, Sorted, record_response

router = APIRouter(prefix="/api/v1", tags=["damage"])


@router.get("/damage", summary="Damaged files", response_model=PageOf[Damage])
async def list_all(context: SignedContext, page: Sorted, project: Maybe = None) -> Response:
    """Of the projects that you own; sorted by found."""
    return await context.page_response(lambda c: list_damage(c, context.service_context, page, project_name=project))


@router.post("/damage/verify", summary="Have all that is damaged read again", response_model=ReadAgain)
async def verify_all(context: SignedContext, project: Maybe = None) -> Response:
    """Before all else, of the projects that you own, or of one; `sessions` is of how many sessions."""
    return record_response(
        ReadAgain(sessions=await context.run(lambda: verify_damaged_again(context.service_context, project)))
    )


@router.post("/sessions/{session}/verify", status_code=204, summary="Have a session's files read again")
async def verify(context: SignedContext, session: str) -> Response:
    """Before all others; what a project or a subject has of its own goes by the id that the list of damage has."""
    await context.run(lambda: verify_session_again(context.service_context, session))
    return Response(status_code=204)

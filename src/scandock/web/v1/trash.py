"""/api/v1/trash: what was deleted and can still come back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services.records import Trashed
from scandock.services.trash import list_trash, restore_session
from scandock.web.json_lists import PageOf
from scandock.web.request_context import DryRun, Maybe, SignedContext, Sorted

router = APIRouter(prefix="/api/v1/trash", tags=["trash"])


class Restored(BaseModel):
    """How a session comes back."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=64)] | None = None


@router.get("", summary="Deleted sessions", response_model=PageOf[Trashed])
async def list_all(context: SignedContext, page: Sorted, project: Maybe = None) -> Response:
    """Of the projects that you own; sorted by deleted."""
    return await context.page_response(lambda c: list_trash(c, context.service_context, page, project_name=project))


@router.post("/{session}/restore", summary="Bring a session back")
async def restore_one(
    context: SignedContext, session: str, body: Restored | None = None, dry_run: DryRun = False
) -> Response:
    """To where it stood, or under another label."""
    label = body.label if body is not None else None
    return await context.run_verb(
        lambda: restore_session(context.service_context, session, label=label, dry_run=dry_run)
    )

"""Scans of a session: listed, read, and what people say of them changed."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services import session_contents
from scandock.services.editing import edit_scan
from scandock.services.records import Scan
from scandock.web.json_lists import PageOf
from scandock.web.request_context import SignedContext, Sorted
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1", tags=["scans"])


class ScanChanges(BaseModel):
    """What people say of a scan; null takes it back, what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(max_length=4000)] | None = None
    quality: Literal["usable", "questionable", "unusable"] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None


@router.get("/scans", summary="The scans of a session", response_model=PageOf[Scan])
async def list_all(context: SignedContext, page: Sorted, session: Annotated[str, Query(max_length=64)]) -> Response:
    """Sorted by id (2, 4-MR1, 10, as people count), n (as they came), type, modality, files or bytes."""
    return await context.page_response(
        lambda c: session_contents.list_scans(c, context.service_context.principal, session, page)
    )


@router.get("/sessions/{session}/scans", summary="The scans of a session", response_model=PageOf[Scan])
async def list_of_session(context: SignedContext, page: Sorted, session: str) -> Response:
    """As `/scans?session=`."""
    return await context.page_response(
        lambda c: session_contents.list_scans(c, context.service_context.principal, session, page)
    )


@router.get(
    "/sessions/{session}/scans/{scan}", summary="One scan, with its resources", response_model=Scan, **etag_keywords()
)
async def read(context: SignedContext, session: str, scan: str) -> Response:
    """A scan by its id within the session."""
    return await context.item_response(
        lambda c: session_contents.find_scan(c, context.service_context.principal, session, scan)
    )


@router.patch(
    "/sessions/{session}/scans/{scan}",
    summary="Say a scan's type, quality or note",
    response_model=Scan,
    **etag_keywords(reads=False, matches=True),
)
async def change(context: SignedContext, session: str, scan: str, changes: ScanChanges) -> Response:
    """What is said stays when the session grows."""
    values = changes.model_dump(exclude_unset=True)
    return context.tagged_response(
        await context.run(lambda: edit_scan(context.service_context, session, scan, values, context.if_match))
    )

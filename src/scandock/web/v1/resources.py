"""Resources of a session and of its scans."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from scandock.services import session_contents
from scandock.services.records import Resource
from scandock.web.json_lists import PageOf
from scandock.web.request_context import Maybe, SignedContext, Sorted

router = APIRouter(prefix="/api/v1", tags=["resources"])


@router.get("/resources", summary="The resources of a session, or of one scan", response_model=PageOf[Resource])
async def list_all(
    context: SignedContext, page: Sorted, session: Annotated[str, Query(max_length=64)], scan: Maybe = None
) -> Response:
    """Sorted by n, label, files or bytes; without `scan` those of all scans, and the session's own."""
    return await context.page_response(
        lambda c: session_contents.list_resources(c, context.service_context.principal, session, page, scan_id=scan)
    )

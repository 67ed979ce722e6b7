"""A scan, session or project as a zip that is made while it is sent; it is a valid upload again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from scandock.services.damaged_files import Damaged
from scandock.services.downloads import zip_project, zip_session
from scandock.web.file_responses import zip_response
from scandock.web.openapi import binary_response
from scandock.web.request_context import SignedContext

router = APIRouter(prefix="/api/v1", tags=["downloads"])

WantDamaged = Annotated[
    Damaged, Query(description="What is to be done about files that are known to be damaged: they are refused (409)")
]
Compressed = Annotated[bool, Query(description="Deflate the files; else they are stored, which is faster")]


@router.get(
    "/sessions/{session}/download",
    summary="A session as a zip",
    response_class=StreamingResponse,
    responses=binary_response("application/zip"),
)
async def session_zip(
    context: SignedContext, session: str, compress: Compressed = False, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """In the layout {session}/scans/{scan}/resources/{resource}/files/{file}."""
    return zip_response(
        await context.run_zip(
            lambda: zip_session(context.service_context, session, deflate=compress, on_damage=damaged)
        )
    )


@router.get(
    "/sessions/{session}/scans/{scan}/download",
    summary="A scan as a zip",
    response_class=StreamingResponse,
    responses=binary_response("application/zip"),
)
async def scan_zip(
    context: SignedContext, session: str, scan: str, compress: Compressed = False, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """In the same layout, that scan alone."""
    return zip_response(
        await context.run_zip(
            lambda: zip_session(context.service_context, session, scan_id=scan, deflate=compress, on_damage=damaged)
        )
    )


@router.get(
    "/projects/{project}/download",
    summary="A project's archived sessions as a zip",
    response_class=StreamingResponse,
    responses=binary_response("application/zip"),
)
async def project_zip(
    context: SignedContext, project: str, compress: Compressed = False, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """One folder a session."""
    return zip_response(
        await context.run_zip(
            lambda: zip_project(context.service_context, project, deflate=compress, on_damage=damaged)
        )
    )

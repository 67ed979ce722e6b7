"""One import: how far it is, what came of it, and its sessions."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from scandock.services.activity import read_activity
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()


@router.get("/imports/{uuid}")
async def show_import(request: Request, context: PageContext, uuid: str) -> Response:
    """The import as it is now; the script of Activity keeps it up to date."""
    principal = context.service_context.principal
    one = await context.server.read(read_activity, context.server.catalog, principal, uuid)
    interrupted = one.interrupted(bringing=context.server.locks.find_receiving(uuid) is not None)
    return page(
        request, "import.html", principal, here="Activity", one=one, interrupted=interrupted, script="activity"
    )  # fmt: skip

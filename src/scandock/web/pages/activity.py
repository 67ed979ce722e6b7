"""Imports, running and ended: one's own or all that one may see, and what can be done to each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision
from scandock.services.activity import GROUPS, Activity, ActivityFilter, list_activity, read_activity
from scandock.services.imports import cancel_import, check_may_delete, delete_import, retry_import
from scandock.services.pagination import Sorting
from scandock.web import urls
from scandock.web.deps import ServerState
from scandock.web.pages.browse import query_of
from scandock.web.pages.rendering import fragment, page
from scandock.web.pages.routing import PageContext, SentForm, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.security import request_info

router = pages()
SHOWN: Final = 20
Text = Annotated[str, Query(max_length=200)]


@router.get("/activity")
async def activity(
    request: Request,
    context: PageContext,
    whose: Text = "mine",
    group: Text = "",
    project: Text = "",
    q: Text = "",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """Imports, the newest first."""
    principal = context.service_context.principal
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    group = group if group in GROUPS else ""
    filters = ActivityFilter(mine=whose != "all", group=group, project=project, search=q)
    sorting = Sorting(sort="-id", limit=SHOWN, cursor=cursor)
    page_of_items = await context.server.read(list_activity, context.server.catalog, principal, filters, sorting)
    return page(
        request, "activity.html", principal, here="Activity", page=page_of_items, sought=filters, script="activity",
        groups=tuple(GROUPS), first=cursor is None, query=query_of(request),
        interrupted=find_interrupted(context.server, page_of_items.items),
    )  # fmt: skip


@router.get("/activity/{uuid}")
async def item(request: Request, context: PageContext, uuid: str) -> Response:
    """One import as it stands in the list, for the page that shows it to take over."""
    principal = context.service_context.principal
    import_item = await context.server.read(read_activity, context.server.catalog, principal, uuid)
    interrupted = find_interrupted(context.server, [import_item])
    return fragment(request, "activity_item.html", principal, one=import_item, interrupted=interrupted)


def find_interrupted(server: ServerState, items: Iterable[Activity]) -> set[str]:
    """The ids of those whose uploads go on no more by themselves."""
    return {one.id for one in items if one.interrupted(bringing=server.locks.find_receiving(one.id) is not None)}


@router.post("/imports/{uuid}/cancel")
async def cancel(request: Request, form: SentForm, uuid: str) -> Response:
    """Cancel an import."""
    server, principal = form.server, form.service_context.principal
    await server.run(cancel_import, server.catalog, server.store, principal, uuid, request_info(request))
    return redirect_back(request, urls.import_page(uuid), "import-cancelled")


@router.post("/imports/{uuid}/retry")
async def retry(request: Request, form: SentForm, uuid: str) -> Response:
    """Try an import again."""
    server, principal = form.server, form.service_context.principal
    await server.run(retry_import, server.catalog, server.store, principal, uuid, request_info(request))
    return redirect_back(request, urls.import_page(uuid), "import-retried")


@router.get("/imports/{uuid}/forget")
async def ask_forget(request: Request, context: PageContext, uuid: str) -> Response:
    """What forgetting an import takes away, before it is done."""
    principal = context.service_context.principal
    await context.server.read(check_may_delete, context.server.catalog, principal, uuid)
    import_item = await context.server.read(read_activity, context.server.catalog, principal, uuid)
    return page(request, "forget.html", principal, here="Activity", one=import_item)


@router.post("/imports/{uuid}/forget")
async def forget(request: Request, form: SentForm, uuid: str) -> Response:
    """Forget an import: its receipt and kept bytes too; sessions that it stored stay."""
    server, principal = form.server, form.service_context.principal
    await server.read(check_may_delete, server.catalog, principal, uuid)
    async with server.locks.write(uuid, stop=True):
        await server.run(delete_import, server.catalog, server.store, principal, uuid, request_info(request))
    return redirect_back(request, urls.ACTIVITY, "import-forgotten")

"""Imports, running and ended: one's own or all that one may see, and what can be done to each."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision
from scandock.services.activity import GROUPS, ActivityFilter, list_activity, read_activity
from scandock.services.imports import cancel_import, check_may_delete, delete_import, retry_import
from scandock.services.pagination import Sorting
from scandock.web import urls
from scandock.web.pages.browse import query_of
from scandock.web.pages.rendering import fragment, page
from scandock.web.pages.routing import Seen, Sent, back
from scandock.web.pages.routing import router as pages
from scandock.web.security import info_of

router = pages()
SHOWN: Final = 20
Text = Annotated[str, Query(max_length=200)]


@router.get("/activity")
async def activity(
    request: Request,
    work: Seen,
    whose: Text = "mine",
    group: Text = "",
    project: Text = "",
    q: Text = "",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """Imports, the newest first."""
    me = work.context.principal
    if not me.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    group = group if group in GROUPS else ""
    sought = ActivityFilter(mine=whose != "all", group=group, project=project, search=q)
    sorting = Sorting(sort="-id", limit=SHOWN, cursor=cursor)
    found = await work.site.read(list_activity, work.site.catalog, me, sought, sorting)
    return page(
        request, "activity.html", me, here="Activity", page=found, sought=sought, script="activity",
        groups=tuple(GROUPS), first=cursor is None, query=query_of(request),
    )  # fmt: skip


@router.get("/activity/{uuid}")
async def item(request: Request, work: Seen, uuid: str) -> Response:
    """One import as it stands in the list, for the page that shows it to take over."""
    me = work.context.principal
    one = await work.site.read(read_activity, work.site.catalog, me, uuid)
    return fragment(request, "activity_item.html", me, one=one)


@router.post("/imports/{uuid}/cancel")
async def cancel(request: Request, form: Sent, uuid: str) -> Response:
    """Cancel an import."""
    site, me = form.site, form.context.principal
    await site.run(cancel_import, site.catalog, site.store, me, uuid, info_of(request))
    return back(request, urls.import_page(uuid), "import-cancelled")


@router.post("/imports/{uuid}/retry")
async def retry(request: Request, form: Sent, uuid: str) -> Response:
    """Try an import again."""
    site, me = form.site, form.context.principal
    await site.run(retry_import, site.catalog, site.store, me, uuid, info_of(request))
    return back(request, urls.import_page(uuid), "import-retried")


@router.get("/imports/{uuid}/forget")
async def ask_forget(request: Request, work: Seen, uuid: str) -> Response:
    """What forgetting an import takes away, before it is done."""
    me = work.context.principal
    await work.site.read(check_may_delete, work.site.catalog, me, uuid)
    one = await work.site.read(read_activity, work.site.catalog, me, uuid)
    return page(request, "forget.html", me, here="Activity", one=one)


@router.post("/imports/{uuid}/forget")
async def forget(request: Request, form: Sent, uuid: str) -> Response:
    """Forget an import: its receipt and kept bytes too; sessions that it stored stay."""
    site, me = form.site, form.context.principal
    await site.read(check_may_delete, site.catalog, me, uuid)
    async with site.locks.write(uuid, stop=True):
        await site.run(delete_import, site.catalog, site.store, me, uuid, info_of(request))
    return back(request, urls.ACTIVITY, "import-forgotten")

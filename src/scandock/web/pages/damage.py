"""Damaged files: of the site for its administrators, of a project for its owners; and reading them again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.services.damage import list_damage, verify_damaged_again, verify_session_again
from scandock.web import urls
from scandock.web.pages.lists import PagedList
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages

router = pages()
HOW: Final = {
    "changed": "Changed",
    "missing": "Missing",
    "unreadable": "Unreadable",
    "folder_missing": "Folder missing",
}
_LIST: Final = PagedList(
    template="damage.html",
    sort="-found",
    find=list_damage,
    more=lambda context: {"days": context.server.settings.verify_days, "how": HOW},
)


@router.get("/admin/damage")
async def of_site(request: Request, context: PageContext, cursor: str | None = None) -> Response:
    """Of all projects."""
    return await _LIST.of_site(request, context, cursor)


@router.get("/projects/{project}/damage")
async def of_project(request: Request, context: PageContext, project: str, cursor: str | None = None) -> Response:
    """Of a project."""
    return await _LIST.of_project(request, context, project, cursor)


@router.post("/damage/verify")
async def verify_all(request: Request, form: SentForm) -> Response:
    """Have all that is damaged read again, of a project or of the site."""
    project = form.text("project") or None
    return await _again(
        request,
        form,
        lambda: verify_damaged_again(form.service_context, project),
        urls.of_project_or_site(project, "damage"),
    )


@router.post("/damage/{session}/verify")
async def verify(request: Request, form: SentForm, session: str) -> Response:
    """Have the files of a session, or of a project's or subject's own, read again."""
    project, label, from_page = form.text("project") or None, form.text("label"), form.text("shown")
    path = urls.of_project_or_site(project, "damage")
    if from_page in ("archive", "prearchive"):
        path = urls.page_of_session(from_page, session, str(project), label)
    return await _again(request, form, lambda: verify_session_again(form.service_context, session), path)


async def _again(request: Request, form: Form, change: Callable[[], object], path: str) -> Response:
    show_list = partial(_LIST.show, request, form, form.text("project") or None)
    return await apply_change(form, change, show_list, path, "verifying")

"""The front page, logging in and logging out."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.oidc_flow import safe_path
from scandock.access.principal import AccessDenied, Door, Principal
from scandock.model.errors import Usage
from scandock.rules.choices import REASONS
from scandock.rules.permissions import Scope
from scandock.services.activity import TROUBLED, ActivityFilter, list_activity, list_own_uploads
from scandock.services.authentication import begin_login, begin_login_for, end_login
from scandock.services.browsing import ListFilter, count_waiting, has_public_project, list_projects
from scandock.services.open_decisions import OpenDecisions, read_open_decisions
from scandock.services.pagination import Page, Sorting
from scandock.services.project_creation import create_project
from scandock.services.records import Project
from scandock.services.upload_rights import can_upload_somewhere
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.dialect import get_dialect
from scandock.web.pages.activity import find_interrupted
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext, SentForm, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.security import (
    COOKIE,
    is_from_other_site,
    prove_password,
    refuse_other_site,
    request_info,
    set_cookie,
)

router = pages()
FEW = 8
TROUBLED_SHOWN = 3
"""One's own imports that failed, or brought not all, that the overview names; as many that were interrupted."""
RECEIVING_LOOKED_AT = 50
"""One's own uploads, the newest, of which the overview tells those that were interrupted."""


@router.get("/")
async def front(request: Request, context: PageContext) -> Response:
    """Answers itself: XNAT's clients take a redirect's target for the server's address.

    Those that send a name and password here, or an alias and secret, want the cookies of a login, and look for its
    token in the text (xnat-clients.md 1, rules 6 and 7; 5). A link of another site's page begins none.
    """
    principal = context.service_context.principal
    if not principal.signed_in:
        server = context.server
        return page(request, "home.html", principal, is_open=await server.read(has_public_project, server.catalog))
    dialect = get_dialect(request)
    by_password = (
        principal.scope is Scope.ALL and principal.door in (Door.BASIC, Door.TOKEN) and not is_from_other_site(request)
    )
    if dialect is None or not by_password:
        return await _home(request, context, principal)
    new_login = await context.server.run(begin_login_for, context.server.catalog, principal, request_info(request))
    return dialect.with_login(
        request, await _home(request, context, replace(principal, csrf=new_login.csrf)), new_login.secret
    )


async def _home(request: Request, context: PageContext, principal: Principal) -> Response:
    def ask(connection: Connection) -> tuple[Page[Project], dict[str, int], bool, OpenDecisions]:
        return (
            list_projects(connection, principal, ListFilter(), Sorting(sort="id", limit=FEW)),
            count_waiting(connection, principal),
            can_upload_somewhere(connection, principal),
            read_open_decisions(connection, principal),
        )

    projects, waiting_count, uploads, decisions = await context.read(ask)
    read, catalog = context.server.read, context.server.catalog
    imports = await read(list_activity, catalog, principal, ActivityFilter(mine=False), Sorting(sort="-id", limit=FEW))
    troubled = await read(
        list_activity, catalog, principal, ActivityFilter(group=TROUBLED), Sorting(sort="-id", limit=TROUBLED_SHOWN)
    )
    receiving = await read(list_own_uploads, catalog, principal, RECEIVING_LOOKED_AT)
    interrupted = find_interrupted(context.server, [*imports.items, *receiving])
    return page(
        request, "home.html", principal, projects=projects, imports=imports, waiting=waiting_count, uploads=uploads,
        decisions=decisions, troubled=troubled, troubled_group=TROUBLED, reasons=REASONS, script="overview",
        interrupted=interrupted, stalled=[one for one in receiving if one.id in interrupted], most=TROUBLED_SHOWN,
    )  # fmt: skip


@router.post("/projects")
async def new_project(request: Request, form: SentForm) -> Response:
    """Make a project, or show again what was typed, with what is wrong of it."""
    server, principal, name, title = form.server, form.service_context.principal, form.text("id"), form.text("name")
    try:
        await server.run(create_project, server.catalog, server.settings, principal, name, title, request_info(request))
    except Usage as error:
        typed = {"id": name, "name": title}
        return page(request, "new_project.html", principal, error.STATUS, here="Projects", problem=error, typed=typed)
    return redirect_back(request, urls.project_page(name), "project-made")


@router.get("/login")
async def login_page(request: Request, context: PageContext, then: str = urls.HOME) -> Response:
    """A plain form."""
    if context.service_context.principal.signed_in:
        return redirect_back(request, safe_path(then))
    return await _login_page(request, then)


@router.post("/login")
async def login(request: Request) -> Response:
    """Log in, and go on to where one came from."""
    server = server_state(request)
    if is_from_other_site(request):
        await refuse_other_site(request)
    form = await request.form(max_files=0, max_fields=10)
    name, then = str(form.get("name", "")), str(form.get("then", urls.HOME))
    try:
        account = await prove_password(request, name, str(form.get("password", "")))
    except AccessDenied as error:
        return await _login_page(request, then, typed=name, problem=error.message, status=401)
    new_login = await server.run(begin_login, server.catalog, account, request_info(request), method="password")
    answer = redirect_back(request, safe_path(then))
    set_cookie(request, answer, new_login.secret)
    return answer


@router.post("/logout")
async def logout(request: Request, form: SentForm) -> Response:
    """End the cookie's login."""
    secret = request.cookies.get(COOKIE)
    if secret:
        await form.server.run(
            end_login, form.server.catalog, form.service_context.principal, secret, request_info(request)
        )
    answer = redirect_back(request, urls.LOGIN, "logged-out")
    answer.delete_cookie(COOKIE, path=urls.cookie_path_of(request.scope), httponly=True, samesite="lax")
    return answer


async def _login_page(
    request: Request, then: str, *, typed: str = "", problem: str = "", status: int = 200
) -> Response:
    server = server_state(request)
    provider_name = "" if server.provider is None else "OpenID Connect"
    is_open = await server.read(has_public_project, server.catalog)
    return page(
        request, "login.html", status=status, here="Login", then=safe_path(then), typed=typed, problem=problem,
        provider=provider_name, is_open=is_open,
    )  # fmt: skip

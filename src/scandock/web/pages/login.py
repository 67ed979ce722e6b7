"""The front page, logging in and logging out."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.oidc_flow import safe_path
from scandock.access.principal import AccessDenied, Door, Principal
from scandock.model.errors import Usage
from scandock.rules.permissions import Scope
from scandock.services.activity import ActivityFilter, list_activity
from scandock.services.authentication import begin_login, begin_login_for, end_login
from scandock.services.browsing import ListFilter, count_waiting, list_projects
from scandock.services.pagination import Page, Sorting
from scandock.services.project_creation import create_project
from scandock.services.records import Project
from scandock.services.upload_rights import can_upload_somewhere
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.dialect import dialect_of
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Seen, Sent, back
from scandock.web.pages.routing import router as pages
from scandock.web.security import COOKIE, from_elsewhere, info_of, prove_password, refuse_elsewhere, set_cookie

router = pages()
FEW = 8


@router.get("/")
async def front(request: Request, work: Seen) -> Response:
    """Answers itself: XNAT's clients take a redirect's target for the server's address.

    Those that send a name and password here, or an alias and secret, want the cookies of a login, and look for its
    token in the text (xnat-clients.md 1, rules 6 and 7; 5). A link of another site's page begins none.
    """
    me = work.context.principal
    if not me.signed_in:
        return page(request, "home.html", me)
    dialect = dialect_of(request)
    proved = me.scope is Scope.ALL and me.door in (Door.BASIC, Door.TOKEN) and not from_elsewhere(request)
    if dialect is None or not proved:
        return await _home(request, work, me)
    made = await work.site.run(begin_login_for, work.site.catalog, me, info_of(request))
    return dialect.with_login(request, await _home(request, work, replace(me, csrf=made.csrf)), made.secret)


async def _home(request: Request, work: Seen, me: Principal) -> Response:
    def ask(connection: Connection) -> tuple[Page[Project], dict[str, int], bool]:
        found = list_projects(connection, me, ListFilter(), Sorting(sort="id", limit=FEW))
        return found, count_waiting(connection, me), can_upload_somewhere(connection, me)

    projects, waiting, uploads = await work.read(ask)
    latest = Sorting(sort="-id", limit=FEW)
    imports = await work.site.read(list_activity, work.site.catalog, me, ActivityFilter(mine=False), latest)
    return page(request, "home.html", me, projects=projects, imports=imports, waiting=waiting, uploads=uploads)


@router.post("/projects")
async def new_project(request: Request, form: Sent) -> Response:
    """Make a project, or show again what was typed, with what is wrong of it."""
    site, me, name, title = form.site, form.context.principal, form.text("id"), form.text("name")
    try:
        await site.run(create_project, site.catalog, site.settings, me, name, title, info_of(request))
    except Usage as error:
        typed = {"id": name, "name": title}
        return page(request, "new_project.html", me, error.STATUS, here="Projects", problem=error, typed=typed)
    return back(request, urls.project_page(name), "project-made")


@router.get("/login")
async def login_page(request: Request, work: Seen, then: str = urls.HOME) -> Response:
    """A plain form."""
    if work.context.principal.signed_in:
        return back(request, safe_path(then))
    return _login(request, then)


@router.post("/login")
async def login(request: Request) -> Response:
    """Log in, and go on to where one came from."""
    site = server_state(request)
    if from_elsewhere(request):
        await refuse_elsewhere(request)
    form = await request.form(max_files=0, max_fields=10)
    name, then = str(form.get("name", "")), str(form.get("then", urls.HOME))
    try:
        one = await prove_password(request, name, str(form.get("password", "")))
    except AccessDenied as denied:
        return _login(request, then, typed=name, problem=denied.message, status=401)
    made = await site.run(begin_login, site.catalog, one, info_of(request), method="password")
    answer = back(request, safe_path(then))
    set_cookie(request, answer, made.secret)
    return answer


@router.post("/logout")
async def logout(request: Request, form: Sent) -> Response:
    """End the cookie's login."""
    secret = request.cookies.get(COOKIE)
    if secret:
        await form.site.run(end_login, form.site.catalog, form.context.principal, secret, info_of(request))
    answer = back(request, urls.LOGIN, "logged-out")
    answer.delete_cookie(COOKIE, path=urls.cookie_path_of(request.scope), httponly=True, samesite="lax")
    return answer


def _login(request: Request, then: str, *, typed: str = "", problem: str = "", status: int = 200) -> Response:
    provider = server_state(request).provider
    shown = "" if provider is None else "OpenID Connect"
    return page(
        request, "login.html", status=status, here="Login", then=safe_path(then), typed=typed, problem=problem,
        provider=shown,
    )  # fmt: skip

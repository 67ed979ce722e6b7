"""Routes of pages: who is not signed in is asked to, and what went wrong is told as a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from scandock.access.logins import check_csrf
from scandock.access.principal import Denied, Principal
from scandock.http.pages.rendering import page, root_of
from scandock.http.problems import status_of
from scandock.http.security import from_elsewhere, identify
from scandock.model.errors import ScandockError
from scandock.rules.permissions import Answer


class PageRoute(APIRoute):
    """A page's route: an error is a page too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Denied as denied:
                if denied.answer is Answer.SIGN_IN and request.method in ("GET", "HEAD"):
                    return to_login(request)
                return await _told(request, denied)
            except ScandockError as error:
                return await _told(request, error)

        return answer


def router() -> APIRouter:
    """A router of pages; none of them is part of the API's description."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def to_login(request: Request) -> Response:
    """To the login and back."""
    then = request.url.path.removeprefix(root_of(request)) + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{root_of(request)}/login?then={quote(then, safe='')}", 303)


def back(request: Request, path: str, said: str = "") -> Response:
    """After a change: to the page that shows it, with a sentence of what was done."""
    more = f"{'&' if '?' in path else '?'}said={quote(said, safe='')}" if said else ""
    return RedirectResponse(f"{root_of(request)}{path}{more}", 303)


async def posted(request: Request) -> tuple[Principal, FormData]:
    """Who sent a form, and its fields; Denied where its CSRF token is not the login's."""
    principal = await identify(request)
    form = await request.form(max_files=0, max_fields=2_000)
    check_csrf(principal, str(form.get("csrf", "")), cross_site=from_elsewhere(request))
    return principal, form


async def _told(request: Request, error: ScandockError) -> Response:
    try:
        principal: Any = await identify(request)
    except ScandockError:
        principal = None
    more = {} if principal is None else {"principal": principal}
    return page(request, "error.html", status=status_of(error), error=error, **more)

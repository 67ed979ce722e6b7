"""Routes of pages: who is not signed in is asked to, and what went wrong is told as a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from scandock.access.logins import check_csrf
from scandock.access.principal import Denied, Principal
from scandock.http.pages.rendering import page, root_of
from scandock.http.problems import status_of
from scandock.http.security import from_elsewhere, identify
from scandock.http.v1.desks import Work
from scandock.model.errors import ScandockError
from scandock.rules.permissions import Answer

MANY_FIELDS = 2_000


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
    """After a change: to the page that shows it, which says what was done (a word of `words.SAID`)."""
    more = f"{'&' if '?' in path else '?'}said={said}" if said else ""
    return RedirectResponse(f"{root_of(request)}{path}{more}", 303)


class Form(Work):
    """The desk of a form that was sent, and its fields."""

    def __init__(self, request: Request, principal: Principal, fields: FormData) -> None:
        super().__init__(request, principal)
        self.fields = fields

    def text(self, name: str) -> str:
        """A field, without the blanks around it; empty where it is not there."""
        return str(self.fields.get(name, "")).strip()

    def texts(self, name: str) -> list[str]:
        """A field that may be there several times."""
        return [str(one) for one in self.fields.getlist(name)]


async def _seen(request: Request) -> Work:
    return Work(request, await identify(request))


async def _sent(request: Request) -> Form:
    """Denied where the form's CSRF token is not the login's, or another site sent it."""
    principal = await identify(request)
    fields = await request.form(max_files=0, max_fields=MANY_FIELDS)
    check_csrf(principal, str(fields.get("csrf", "")), cross_site=from_elsewhere(request))
    return Form(request, principal, fields)


Seen = Annotated[Work, Depends(_seen)]
"""The desk of a page that is looked at."""
Sent = Annotated[Form, Depends(_sent)]
"""The desk of a form: every POST of a page but the login has it."""


async def _told(request: Request, error: ScandockError) -> Response:
    try:
        principal: Any = await identify(request)
    except ScandockError:
        principal = None
    more = {} if principal is None else {"principal": principal}
    return page(request, "error.html", status=status_of(error), error=error, **more)

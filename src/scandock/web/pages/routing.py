"""Routes of pages: who is not signed in is asked to, and what went wrong is told as a page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from scandock.access.logins import check_csrf
from scandock.access.principal import AccessDenied, Principal
from scandock.model.errors import ScandockError, Usage
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.machine_errors import InternalFault
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision
from scandock.web import urls
from scandock.web.errors import MethodNotAllowed, NotFound
from scandock.web.pages.rendering import page
from scandock.web.problems import (
    handle_http_error,
    handle_scandock_error,
    internal_error_response,
    request_id_of,
    retry_after,
)
from scandock.web.receiving.limits import MAX_FIELDS
from scandock.web.receiving.sample_form import read_sample_form
from scandock.web.redirects import redirect_to, to_login
from scandock.web.request_context import RequestContext
from scandock.web.security import identify, is_from_other_site

T = TypeVar("T")


class PageRoute(APIRoute):
    """A page's route: an error is a page too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except AccessDenied as denied:
                if denied.answer is AccessDecision.SIGN_IN and request.method in ("GET", "HEAD"):
                    return to_login(request)
                return await _error_page(request, denied)
            except ScandockError as error:
                return await _error_page(request, error)
            except RequestValidationError as error:
                names = ", ".join(str(each_error["loc"][-1]) for each_error in error.errors())
                return await _error_page(request, RequestInvalid(f"The address is off: {names}.", "Start again."))
            except HTTPException as error:
                return await _error_page(request, _form_error(error))
            except ClientDisconnect:  # there is nobody to answer
                raise
            except Exception as error:  # noqa: BLE001  a page that fails is told as a page, and logged
                internal_error_response(request, error)
                message = f"A fault in the program ended the request {request_id_of(request.scope)}."
                return await _error_page(request, InternalFault(message, "Report it with that number."), 500)

        return answer


def _form_error(error: HTTPException) -> Usage:
    """What Starlette says of a form that it can't read, or that has too many fields."""
    return RequestInvalid(f"The form can't be read: {error.detail}", "Load the page again.")


def router() -> APIRouter:
    """A router of pages; none of them is part of the API's description."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def redirect_back(request: Request, path: str, notice: str = "") -> Response:
    """After a change: to the page that shows it, which says what was done (a key of `text_format.NOTICES`)."""
    return redirect_to(request, urls.with_query(path, {"said": notice}))


async def apply_change(
    form: Form, change: Callable[[], T], show_form: Callable[[ScandockError], Coroutine[Any, Any, Response]],
    path: str, notice: str | Callable[[T], str], *, hashes: bool = False,
) -> Response:  # fmt: skip
    """Do what a form asks and go to `path`, which says so; or show the form again with what was wrong.

    `notice` may depend on what came of it.

    `hashes`: it makes a password's hash, in its turn.
    """
    try:
        result = await (form.run_password(change) if hashes else form.run(change))
    except ScandockError as error:
        answer = await show_form(error)
        answer.status_code = error.STATUS
        answer.headers.update(retry_after(error))
        return answer
    return redirect_back(form.request, path, notice if isinstance(notice, str) else notice(result))


class Form(RequestContext):
    """The context of a form that was sent, and its fields."""

    def __init__(self, request: Request, principal: Principal, fields: FormData) -> None:
        super().__init__(request, principal)
        self.fields = fields

    def text(self, name: str) -> str:
        """A field, without the blanks around it; empty where it is not there."""
        return str(self.fields.get(name, "")).strip()

    def texts(self, name: str) -> list[str]:
        """A field that may be there several times."""
        return [str(value) for value in self.fields.getlist(name)]


class TesterForm(Form):
    """The same of a form with a file on which something is tried."""

    def __init__(self, request: Request, principal: Principal, fields: FormData, file: bytes) -> None:
        super().__init__(request, principal, fields)
        self.file = file

    def lines(self, name: str) -> str:
        """A field of many lines, with plain line ends."""
        return str(self.fields.get(name, "")).replace("\r\n", "\n")


async def read_tester_form(context: RequestContext, names: Collection[str]) -> TesterForm:
    """The form of a tester; the route bounds its body. AccessDenied where its CSRF token is not the login's."""
    request, principal = context.request, context.service_context.principal

    def check(fields: Mapping[str, str]) -> None:
        check_csrf(principal, fields.get("csrf", ""), cross_site=is_from_other_site(request))

    sample = await read_sample_form(request, {*names, "csrf"}, check)
    return TesterForm(request, principal, FormData(sample.fields), bytes(sample.file))


async def _make_context(request: Request) -> RequestContext:
    return RequestContext(request, await identify(request))


async def _make_form(request: Request) -> Form:
    """AccessDenied where the form's CSRF token is not the login's, or another site sent it."""
    principal = await identify(request)
    try:
        fields = await request.form(max_files=0, max_fields=MAX_FIELDS)
    except HTTPException as error:
        if error.detail.startswith("Too many fields"):
            count_exceeded(RequestLimit.FIELDS, error)
        raise
    check_csrf(principal, str(fields.get("csrf", "")), cross_site=is_from_other_site(request))
    return Form(request, principal, fields)


PageContext = Annotated[RequestContext, Depends(_make_context)]
"""The context of a page that is read."""
SentForm = Annotated[Form, Depends(_make_form)]
"""The context of a form: every POST of a page but the login has it."""


def wants_page(request: Request) -> bool:
    """Whether a person at a browser asks for what no route answers, rather than a program."""
    program = urls.is_for_programs(urls.below_root(request.scope, request.url.path))
    return request.method in ("GET", "HEAD") and not program and "text/html" in request.headers.get("accept", "")


async def handle_not_found(request: Request, error: Exception) -> Response:
    """An address that is none, or that takes forms alone: a page for people, a problem for programs."""
    status = error.status_code if isinstance(error, HTTPException) and wants_page(request) else 0
    if status == HTTPStatus.NOT_FOUND:
        not_found = NotFound("There is nothing of that name, or you may not know of it.", "Check the address.")
        return await _error_page(request, not_found)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return await _answer_form_address(request)
    return await handle_http_error(request, error)


async def _answer_form_address(request: Request) -> Response:
    """Somebody loaded what a form had sent: to the form again, or to words."""
    form_page = urls.page_of_form(urls.below_root(request.scope, str(request.scope["path"])))
    if form_page:
        return redirect_to(request, urls.path_segments(form_page))
    message = "This address does what a button of a page asks, and shows nothing by itself."
    answer = await _error_page(request, MethodNotAllowed(message, "Go to the page with the button."))
    answer.headers["Allow"] = ", ".join(request.app.state.methods.allowed(request.scope))
    return answer


async def handle_page_error(request: Request, error: Exception) -> Response:
    """One of the project's own errors: where a person's browser stands, as at the provider's way back, a page."""
    browsed = urls.is_oidc(request.url.path) and "text/html" in request.headers.get("accept", "")
    if (browsed or wants_page(request)) and isinstance(error, ScandockError):
        return await _error_page(request, error)
    return await handle_scandock_error(request, error)


async def _error_page(request: Request, error: ScandockError, status: int = 0) -> Response:
    try:
        principal: Any = await identify(request)
    except ScandockError:
        principal = None
    options = {} if principal is None else {"principal": principal}
    answer = page(request, "error.html", status=status or error.STATUS, error=error, **options)
    answer.headers.update(retry_after(error))
    return answer

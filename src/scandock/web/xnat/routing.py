"""Routes of the dialect: who asks, by any of its ways in, and errors as plain text with its status codes.

Never HTML, never a redirect to a login (xnat-clients.md 1, rules 5 and 8; xnat-behaviour.md 1.8).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from scandock.access.logins import check_csrf
from scandock.access.principal import Door, raise_denied
from scandock.model.errors import ScandockError
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision
from scandock.services.session_parts import split_names
from scandock.services.xnat_lookup import resolve_project
from scandock.web.deps import server_state
from scandock.web.problems import note, request_id_of, retry_after, unexpected
from scandock.web.request_context import RequestContext
from scandock.web.security import COOKIE, from_elsewhere, identify

JSESSION: Final = "JSESSIONID"
"""The cookie of a login: the same secrets as the pages' under the name that these clients know."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _Whole(PathConvertor):
    """`{path:whole}` takes what is left of an address, line breaks too: else a name could lose one at its end."""

    regex = "(?s:.*)"


register_url_convertor("whole", _Whole())


class XnatRoute(APIRoute):
    """A route whose errors are plain text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ScandockError as error:
                return told(error)
            except RequestValidationError as error:
                names = ", ".join(str(one["loc"][-1]) for one in error.errors())
                return said(400, f"The request is off: {names}.")
            except HTTPException as error:
                return said(error.status_code, str(error.detail), error.headers)
            except ClientDisconnect:  # there is nobody to answer
                raise
            except Exception as error:  # noqa: BLE001  answered as this dialect does, and logged
                unexpected(request, error)
                return said(500, f"A fault in the program ended the request {request_id_of(request.scope)}.")

        return answer


def router(prefix: str = "") -> APIRouter:
    """A router of the dialect; none is part of the JSON API's description."""
    return APIRouter(prefix=prefix, route_class=XnatRoute, include_in_schema=False)


def said(status: int, text: str, headers: Any = None) -> Response:  # noqa: ANN401  a mapping or nothing
    """An answer that is a sentence."""
    return PlainTextResponse(text, status, dict(headers or {}))


def told(error: ScandockError) -> Response:
    """One of the project's own errors as the dialect tells it: the message and what helps, in a line."""
    status = error.STATUS
    headers = retry_after(error)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="XNAT Protected Area"'
    note(error)
    return said(status, in_a_line(*error.public), headers)


def in_a_line(*sentences: str) -> str:
    """Sentences one after the other; the original's have no full stop at their ends."""
    *others, last = [one for one in sentences if one] or [""]
    return " ".join([*(one if one.endswith((".", "!", "?", ")")) else f"{one}." for one in others), last])


async def no_route(request: Request, error: Exception) -> Response:
    """What no route answers: 404, or 405 with the methods that there are."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = ", ".join(request.app.state.methods.of(request.scope))
        return said(error.status_code, f"{request.method} is not possible here, but {methods}.", {"Allow": methods})
    return said(error.status_code, "There is nothing at this address.")


async def _asking(request: Request) -> RequestContext:
    """The desk of a request. Denied where what it brings proves nothing, or another site's page sent a change.

    These clients have no CSRF token of ours: a login of theirs (JSESSIONID) is no cookie of the pages, and counts for
    a change unless a browser says that it comes from elsewhere. The pages' own cookie needs its token here too.
    """
    _check_address(request)
    _check_names(request)
    principal = await identify(request)
    if request.method not in _SAFE and principal.signed_in:
        elsewhere = from_elsewhere(request)
        if elsewhere or (principal.door is Door.COOKIE and request.cookies.get(COOKIE)):
            check_csrf(principal, request.headers.get("x-csrf-token"), cross_site=elsewhere)
    work = RequestContext(request, principal)
    named = request.path_params.get("project")
    if named is not None and named not in principal.roles:
        meant = await work.read(lambda c: resolve_project(c, principal, named))
        if meant != named:
            request.path_params["project"], request.state.project_alias = meant, named
    return work


def _check_address(request: Request) -> None:
    """Usage for what is no UTF-8: read as something else, one file would be taken for another.

    Clients that don't write `%` as `%25` (xnatpy) send such addresses.
    """
    raw = request.scope.get("raw_path", b"")
    if b"%" in raw:
        try:
            unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise RequestInvalid(
                "The address is no UTF-8.", "Write a % in a name as %25, and other signs in UTF-8."
            ) from None


_SEVERAL: Final = ("experiment", "scans", "resources", "projects")
"""Pieces of an address that may be several names with commas between."""


def _check_names(request: Request) -> None:
    """Usage for an address that names more different things than are looked up for one request.

    A piece with one name counts for nothing: an experiment's 2,000 scans are 2,000 names.
    """
    pieces = [split_names(request.path_params.get(piece, "")) for piece in _SEVERAL]
    few_names(request, sum(len(names) for names in pieces if len(names) > 1))


def few_names(request: Request, count: int) -> None:
    """Usage for a request that has more different names than are looked up for one."""
    site = server_state(request)
    if count > site.settings.max_names:
        site.metrics.names.inc()
        raise RequestInvalid(
            f"The request has {count} different names of sessions, scans and resources.",
            f"At most {site.settings.max_names} are looked up at once: ask in parts, or for ALL.",
        )


async def _looking(work: Annotated[RequestContext, Depends(_asking)]) -> RequestContext:
    """Denied (401) where a login is brought that has ended: an empty list would be taken for an answer."""
    if not work.context.principal.signed_in and work.request.cookies.get(JSESSION):
        raise_denied(AccessDecision.SIGN_IN)
    return work


async def _signed_in(work: Annotated[RequestContext, Depends(_asking)]) -> RequestContext:
    if not work.context.principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    return work


Asking = Annotated[RequestContext, Depends(_looking)]
"""The desk of whoever asks, nobody in particular too: what is public may be read."""
Anybody = Annotated[RequestContext, Depends(_asking)]
"""The same of who begins or ends a login, and may bring one that has ended."""
Known = Annotated[RequestContext, Depends(_signed_in)]
"""The desk of somebody who is signed in."""

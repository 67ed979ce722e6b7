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
from scandock.model.uris import PrearchiveSessionUri
from scandock.rules.permissions import AccessDecision
from scandock.services.session_parts import split_names
from scandock.services.xnat_lookup import resolve_project
from scandock.web.deps import server_state
from scandock.web.problems import internal_error_response, log_error, request_id_of, retry_after
from scandock.web.request_context import RequestContext
from scandock.web.security import COOKIE, identify, is_from_other_site
from scandock.web.session_building import build_sessions

JSESSION: Final = "JSESSIONID"
"""The cookie of a login: the same secrets as the pages' under the name that these clients know."""
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _WholePathConvertor(PathConvertor):
    """`{path:whole}` takes what is left of an address, line breaks too: else a name could lose one at its end."""

    regex = "(?s:.*)"


register_url_convertor("whole", _WholePathConvertor())


class XnatRoute(APIRoute):
    """A route whose errors are plain text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ScandockError as error:
                return error_response(error)
            except RequestValidationError as error:
                names = ", ".join(str(detail["loc"][-1]) for detail in error.errors())
                return text_response(400, f"The request is off: {names}.")
            except HTTPException as error:
                return text_response(error.status_code, str(error.detail), error.headers)
            except ClientDisconnect:  # there is nobody to answer
                raise
            except Exception as error:  # noqa: BLE001  answered as this dialect does, and logged
                internal_error_response(request, error)
                return text_response(500, f"A fault in the program ended the request {request_id_of(request.scope)}.")

        return answer


def make_router(prefix: str = "") -> APIRouter:
    """A router of the dialect; none is part of the JSON API's description."""
    return APIRouter(prefix=prefix, route_class=XnatRoute, include_in_schema=False)


def text_response(status: int, text: str, headers: Any = None) -> Response:  # noqa: ANN401  a mapping or nothing
    """An answer that is a sentence."""
    return PlainTextResponse(text, status, dict(headers or {}))


def error_response(error: ScandockError) -> Response:
    """One of the project's own errors as the dialect tells it: the message and what helps, in a line."""
    status = error.STATUS
    headers = retry_after(error)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="XNAT Protected Area"'
    log_error(error)
    return text_response(status, join_sentences(*error.public), headers)


def join_sentences(*sentences: str) -> str:
    """Sentences one after the other; the original's have no full stop at their ends."""
    *others, last_sentence = [sentence for sentence in sentences if sentence] or [""]
    return " ".join(
        [
            *(sentence if sentence.endswith((".", "!", "?", ")")) else f"{sentence}." for sentence in others),
            last_sentence,
        ]
    )


async def no_route_response(request: Request, error: Exception) -> Response:
    """What no route answers: 404, or 405 with the methods that there are."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = ", ".join(request.app.state.methods.allowed(request.scope))
        return text_response(
            error.status_code, f"{request.method} is not possible here, but {methods}.", {"Allow": methods}
        )
    return text_response(error.status_code, "There is nothing at this address.")


async def _make_context(request: Request) -> RequestContext:
    """The context of a request. AccessDenied where what it brings proves nothing, or another site's page sent a change.

    These clients have no CSRF token of ours: a login of theirs (JSESSIONID) is no cookie of the pages, and counts for
    a change unless a browser says that it comes from elsewhere. The pages' own cookie needs its token here too.
    """
    _check_address(request)
    _check_names(request)
    principal = await identify(request)
    if request.method not in _SAFE_METHODS and principal.signed_in:
        elsewhere = is_from_other_site(request)
        if elsewhere or (principal.door is Door.COOKIE and request.cookies.get(COOKIE)):
            check_csrf(principal, request.headers.get("x-csrf-token"), cross_site=elsewhere)
    context = RequestContext(request, principal)
    project_name = request.path_params.get("project")
    if project_name is not None and project_name not in principal.roles:
        resolved_name = await context.read(lambda c: resolve_project(c, principal, project_name))
        if resolved_name != project_name:
            request.path_params["project"], request.state.project_alias = resolved_name, project_name
    if "timestamp" in request.path_params:
        parts = request.path_params
        await build_sessions(context, [PrearchiveSessionUri(parts["project"], parts["timestamp"], parts["label"])])
    return context


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


_LIST_PARAMETERS: Final = ("experiment", "scans", "resources", "projects")
"""Pieces of an address that may be several names with commas between."""


def _check_names(request: Request) -> None:
    """Usage for an address that names more different things than are looked up for one request.

    A piece with one name counts for nothing: an experiment's 2,000 scans are 2,000 names.
    """
    pieces = [split_names(request.path_params.get(piece, "")) for piece in _LIST_PARAMETERS]
    check_name_count(request, sum(len(names) for names in pieces if len(names) > 1))


def check_name_count(request: Request, count: int) -> None:
    """Usage for a request that has more different names than are looked up for one."""
    server = server_state(request)
    if count > server.settings.max_names:
        server.metrics.names.inc()
        raise RequestInvalid(
            f"The request has {count} different names of sessions, scans and resources.",
            f"At most {server.settings.max_names} are looked up at once: ask in parts, or for ALL.",
        )


async def _make_public_context(context: Annotated[RequestContext, Depends(_make_context)]) -> RequestContext:
    """AccessDenied (401) where a login is brought that has ended: an empty list would be taken for an answer."""
    if not context.service_context.principal.signed_in and context.request.cookies.get(JSESSION):
        raise_denied(AccessDecision.SIGN_IN)
    return context


async def _make_signed_in_context(context: Annotated[RequestContext, Depends(_make_context)]) -> RequestContext:
    if not context.service_context.principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    return context


PublicContext = Annotated[RequestContext, Depends(_make_public_context)]
"""The context of whoever asks, nobody in particular too: what is public may be read."""
LoginContext = Annotated[RequestContext, Depends(_make_context)]
"""The same of who begins or ends a login, and may bring one that has ended."""
SignedInContext = Annotated[RequestContext, Depends(_make_signed_in_context)]
"""The context of somebody who is signed in."""

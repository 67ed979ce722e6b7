"""To another page of the site, and to the login and back."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from scandock.web import urls


def to_login(request: Request) -> Response:
    """To the login and back."""
    return_path = urls.with_encoded(urls.below_root(request.scope, request.url.path), request.url.query)
    return redirect_to(request, urls.login_page(return_path))


def redirect_to(request: Request, path: str) -> Response:
    """To another page of the site."""
    return RedirectResponse(urls.root_of(request.scope) + path, 303)

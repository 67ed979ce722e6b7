"""Templates, and what every page has: who is signed in, where the server's root is, the policy for the browser."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

import scandock
from scandock.access.principal import ANONYMOUS, Principal
from scandock.rules.labels import UNASSIGNED
from scandock.web import urls
from scandock.web.dialect import get_dialect
from scandock.web.pages import text_format
from scandock.web.pages.assets import SHEET, preloads, stamp
from scandock.web.pages.reader_zone import in_reader_zone

POLICY: Final = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "private, no-store"}
"""A page shows what its reader may see: after logging out the browser has none to go back to."""
_HERE: Final = Path(__file__).parent


@cache
def templates() -> Environment:
    """The templates; every value is escaped, and a name that is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(text_format.FILTERS)
    environment.globals["states"] = text_format.STATES
    environment.globals["urls"] = urls
    environment.globals["preloads"] = preloads
    environment.globals["unassigned"] = UNASSIGNED
    return environment


def warm_up() -> None:
    """Make ready what the first readers would wait for: half a second of packing and of reading templates."""
    stamp()
    for name in templates().list_templates():
        templates().get_template(name)


def page(
    request: Request,
    name: str,
    principal: Principal = ANONYMOUS,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,  # noqa: ANN401  a template's own
) -> HTMLResponse:
    """One page. `here` among the context is the place in the navigation that is shown as the current one."""
    variables = {
        "here": "",
        "has_clients": get_dialect(request) is not None,
        "said": text_format.NOTICES.get(request.query_params.get("said", ""), ""),
        **context,
    }
    root = urls.root_of(request.scope)
    with in_reader_zone(request) as zone:
        text = (
            templates()
            .get_template(name)
            .render(
                root=root,
                static=root + urls.static(stamp()),
                sheet=SHEET,
                me=principal,
                version=scandock.__version__,
                zone=zone,
                **variables,
            )
        )
    return HTMLResponse(text, status, headers={**HEADERS, **(headers or {})})


def fragment(request: Request, name: str, principal: Principal, **context: Any) -> HTMLResponse:  # noqa: ANN401
    """A piece of a page, which the page that shows it takes over."""
    with in_reader_zone(request):
        text = templates().get_template(name).render(root=urls.root_of(request.scope), me=principal, **context)
    return HTMLResponse(text, headers=HEADERS)

"""What clients ask a server before all else: its version, its schema, whom it knows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.web.errors import NotFound
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import listing
from scandock.web.xnat.routing import Asking, Known, router
from scandock.web.xnat.schema import schemas_with
from scandock.web.xnat.services import projects
from scandock.web.xnat.services.assessors import types_in_use
from scandock.web.xnat.services.columns import Rows

routes = router()
VERSION: Final = "1.8.10"
"""Of the XNAT whose dialect this is: clients switch what they send by it (xnat-clients.md 2.1)."""


@routes.get("/data/version")
async def version() -> Response:
    return PlainTextResponse(VERSION)


def _build() -> dict[str, str]:
    """What is said of the program, by the original's names."""
    import scandock

    return {
        "version": VERSION,
        "buildNumber": "1",
        "buildDate": "",
        "isDirty": "false",
        "commit": "",
        "server": f"Scandock {scandock.__version__}",
        "shortInfo": f"{VERSION} (Scandock {scandock.__version__})",
    }


@routes.get("/xapi/siteConfig/buildInfo")
async def build_info() -> Response:
    return JSONResponse(_build())


@routes.get("/xapi/siteConfig/buildInfo/attributes")
async def build_attributes() -> Response:
    """There are none."""
    return JSONResponse({})


@routes.get("/xapi/siteConfig/buildInfo/{key}")
async def build_property(key: str) -> Response:
    """One of them as it is, without quotes: clients take the text."""
    build = _build()
    if key not in build:
        raise NotFound(f"There is no build property {key[:40]!r}.", f"There are {', '.join(build)}.")
    return PlainTextResponse(build[key])


async def _schemas(work: RequestContext) -> dict[str, str]:
    """Those of our own types, and of the types of the assessors that one may read."""
    return schemas_with(await work.read(lambda c: types_in_use(c, work.context.principal)))


@routes.get("/xapi/schemas")
async def schemas(work: Asking) -> Response:
    return JSONResponse(list(await _schemas(work)))


@routes.get("/xapi/schemas/{name}")
@routes.get("/xapi/schemas/{_namespace}/{name}")
@routes.get("/schemas/{_namespace}/{name}")
async def schema(work: Asking, name: str) -> Response:
    made = (await _schemas(work)).get(name.removesuffix(".xsd"))
    if made is None:
        raise_denied(AccessDecision.HIDDEN)
    return Response(made, media_type="text/xml; charset=utf-8")


@routes.get("/xapi/plugins")
async def plugins() -> Response:
    """There are none."""
    return JSONResponse({})


@routes.get("/xapi/access/projects")
async def access(work: Known) -> Response:
    return JSONResponse(await work.read(lambda c: projects.access_of(c, work.context.principal)))


@routes.delete("/xapi/access/cache/flush")
async def flush(_work: Known) -> Response:
    """There is nothing to forget: rights and lists are read anew for each request."""
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/users")
async def users(work: Known, project: str) -> Response:
    def ask(connection: Connection) -> Rows:
        rights.check(connection, work.context.principal, Action.MEMBERS_READ, project)
        return projects.users_of(connection, work.context.principal, project)

    return listing(work.request, await work.read(ask))

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
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router
from scandock.web.xnat.schema import schemas_with
from scandock.web.xnat.services import projects
from scandock.web.xnat.services.assessors import types_in_use
from scandock.web.xnat.services.columns import Rows

routes = make_router()
VERSION: Final = "1.8.10"
"""Of the XNAT whose dialect this is: clients switch what they send by it (xnat-clients.md 2.1)."""


@routes.get("/data/version")
async def version() -> Response:
    return PlainTextResponse(VERSION)


def _make_build_info() -> dict[str, str]:
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
    return JSONResponse(_make_build_info())


@routes.get("/xapi/siteConfig/buildInfo/attributes")
async def build_attributes() -> Response:
    """There are none."""
    return JSONResponse({})


@routes.get("/xapi/siteConfig/buildInfo/{key}")
async def build_property(key: str) -> Response:
    """One of them as it is, without quotes: clients take the text."""
    build = _make_build_info()
    if key not in build:
        raise NotFound(f"There is no build property {key[:40]!r}.", f"There are {', '.join(build)}.")
    return PlainTextResponse(build[key])


async def _schemas(context: RequestContext) -> dict[str, str]:
    """Those of our own types, and of the types of the assessors that one may read."""
    return schemas_with(await context.read(lambda c: types_in_use(c, context.service_context.principal)))


@routes.get("/xapi/schemas")
async def schemas(context: PublicContext) -> Response:
    return JSONResponse(list(await _schemas(context)))


@routes.get("/xapi/schemas/{name}")
@routes.get("/xapi/schemas/{_namespace}/{name}")
@routes.get("/schemas/{_namespace}/{name}")
async def schema(context: PublicContext, name: str) -> Response:
    build_schema = (await _schemas(context)).get(name.removesuffix(".xsd"))
    if build_schema is None:
        raise_denied(AccessDecision.HIDDEN)
    return Response(build_schema, media_type="text/xml; charset=utf-8")


@routes.get("/xapi/plugins")
async def plugins() -> Response:
    """There are none."""
    return JSONResponse({})


@routes.get("/xapi/access/projects")
async def access(context: SignedInContext) -> Response:
    return JSONResponse(await context.read(lambda c: projects.list_access(c, context.service_context.principal)))


@routes.delete("/xapi/access/cache/flush")
async def flush_access_cache(_work: SignedInContext) -> Response:
    """There is nothing to forget: rights and lists are read anew for each request."""
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/users")
async def users(context: SignedInContext, project: str) -> Response:
    def ask(connection: Connection) -> Rows:
        rights.check(connection, context.service_context.principal, Action.MEMBERS_READ, project)
        return projects.list_members(connection, context.service_context.principal, project)

    return list_response(context.request, await context.read(ask))

"""Accounts as `/xapi/users` tells of them: one's own, and those whom one sees as members of a project.

Who may see an account, and its e-mail address, is what lists of members say (`web.xnat.services.people`).
"""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.web.xnat.routing import SignedInContext, make_router
from scandock.web.xnat.services import people

routes = make_router()


@routes.get("/xapi/users/username")
async def username(context: SignedInContext) -> Response:
    """One's own, as text."""
    return PlainTextResponse(context.service_context.principal.name)


@routes.get("/xapi/users")
async def usernames(context: SignedInContext) -> Response:
    visible_accounts = await context.read(lambda c: people.list_visible_people(c, context.service_context.principal))
    return JSONResponse([person.name for person in visible_accounts])


@routes.get("/xapi/users/profiles")
async def profiles(context: SignedInContext) -> Response:
    visible_accounts = await context.read(lambda c: people.list_visible_people(c, context.service_context.principal))
    return JSONResponse([people.make_profile(person) for person in visible_accounts])


@routes.get("/xapi/users/profile")
async def own_profile(context: SignedInContext) -> Response:
    return await _profile_response(context, context.service_context.principal.name)


@routes.get("/xapi/users/profile/{login}")
@routes.get("/xapi/users/{login}")
async def profile(context: SignedInContext, login: str) -> Response:
    return await _profile_response(context, login)


async def _profile_response(context: SignedInContext, login: str) -> Response:
    person = await context.read(lambda c: people.find_person(c, context.service_context.principal, login))
    return JSONResponse(people.make_profile(person))

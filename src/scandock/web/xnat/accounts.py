"""Accounts as `/xapi/users` tells of them: one's own, and those whom one sees as members of a project.

Who may see an account, and its e-mail address, is what lists of members say (`web.xnat.services.people`).
"""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.services import people

routes = router()


@routes.get("/xapi/users/username")
async def username(work: Known) -> Response:
    """One's own, as text."""
    return PlainTextResponse(work.context.principal.name)


@routes.get("/xapi/users")
async def usernames(work: Known) -> Response:
    found = await work.read(lambda c: people.seen_by(c, work.context.principal))
    return JSONResponse([one.name for one in found])


@routes.get("/xapi/users/profiles")
async def profiles(work: Known) -> Response:
    found = await work.read(lambda c: people.seen_by(c, work.context.principal))
    return JSONResponse([people.profile_of(one) for one in found])


@routes.get("/xapi/users/profile")
async def own_profile(work: Known) -> Response:
    return await _profile(work, work.context.principal.name)


@routes.get("/xapi/users/profile/{login}")
@routes.get("/xapi/users/{login}")
async def profile(work: Known, login: str) -> Response:
    return await _profile(work, login)


async def _profile(work: Known, login: str) -> Response:
    found = await work.read(lambda c: people.find_person(c, work.context.principal, login))
    return JSONResponse(people.profile_of(found))

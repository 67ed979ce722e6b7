"""A project's settings and members, for those who own it; whoever has a role in it may look at the members."""

from __future__ import annotations

from functools import partial
from typing import Final, TypedDict

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action, Role
from scandock.services import rights
from scandock.services.browsing import find_project
from scandock.services.editing import edit_project
from scandock.services.members import list_members, set_member
from scandock.services.records import Project
from scandock.services.subscriptions import Subscription, list_subscriptions
from scandock.web import urls
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, Seen, Sent, back, changed
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()

CODES: Final = {
    4: "Archive at once, unless a session needs a decision",
    0: "Wait in the prearchive to be reviewed",
    5: "Archive at once, and let new files take the place of old ones of the same name",
}
"""prearchive_code -> what it means (rules.md)."""


@router.get("/projects/{project}/settings")
async def settings(request: Request, work: Seen, project: str) -> Response:
    """What there is to set."""
    return await _shown(request, work, project)


class _SettingsData(TypedDict):
    """What the page shows of a project."""

    project: Project
    subscriptions: list[Subscription]


async def _shown(
    request: Request, work: RequestContext, project: str, problem: ScandockError | None = None
) -> Response:
    me = work.context.principal

    def ask(connection: Connection) -> _SettingsData:
        rights.check(connection, me, Action.SETTINGS_EDIT, project)
        return {
            "project": find_project(connection, me, project),
            "subscriptions": list_subscriptions(connection, work.context, project),
        }

    found = await work.read(ask)
    members = await work.look(lambda: list_members(work.site.catalog, me, project))
    return page(
        request, "project_settings.html", me, here="Projects", **found, members=members, codes=CODES,
        roles=[role.value for role in Role], problem=problem, site_identified=work.site.settings.identified,
    )  # fmt: skip


@router.post("/projects/{project}/settings")
async def change(request: Request, form: Sent, project: str) -> Response:
    """Change them all."""
    again = partial(_shown, request, form, project)
    values = _values(form)
    return await changed(
        form, lambda: edit_project(form.context, project, values), again, urls.project_page(project), "project-changed"
    )


def _values(form: Form) -> dict[str, str | int | bool]:
    code = form.text("prearchive_code")
    if not code.isdecimal():
        raise ValueInvalid("The destination of uploads was not said.", "Choose one.")
    return {
        "name": form.text("name"),
        "accessibility": form.text("accessibility"),
        "prearchive_code": int(code),
        "identified": form.text("identified"),
        "petmr": form.text("petmr"),
        "separate_secondary": bool(form.text("separate_secondary")),
        "quarantine": bool(form.text("quarantine")),
    }


@router.post("/projects/{project}/members")
async def member(request: Request, form: Sent, project: str) -> Response:
    """Give an account a role, or take it."""
    name, role = form.text("account"), form.text("role")
    if role not in ("", *Role):
        raise ValueInvalid(f"There is no role {role[:40]!r}.", "Right are owner, member and collaborator.")
    wanted = Role(role) if role else None
    try:
        await form.do(
            lambda: set_member(form.site.catalog, form.context.principal, project, name, wanted, form.context.request)
        )
    except ScandockError as error:
        answer = await _shown(request, form, project, error)
        answer.status_code = error.STATUS
        return answer
    me = form.context.principal
    left = not me.admin and wanted is not Role.OWNER and name.lower() == me.name.lower()
    return back(request, urls.project_page(project, "" if left else "settings"), "member-set")

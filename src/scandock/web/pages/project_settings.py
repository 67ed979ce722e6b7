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
from scandock.rules.petmr import PetMr
from scandock.services import rights
from scandock.services.browsing import find_project
from scandock.services.editing import edit_project
from scandock.services.members import list_members, set_member
from scandock.services.records import Project
from scandock.services.subscriptions import Subscription, list_subscriptions
from scandock.web import urls
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()

CODES: Final = {
    4: "Archive at once, unless a session needs a decision",
    0: "Wait in the prearchive to be reviewed",
    5: "Archive at once, and let new files take the place of old ones of the same name",
}
"""prearchive_code -> what it means (rules.md)."""

PETMR_WORDS: Final[dict[PetMr, str]] = {
    "petmr": "one PET/MR session",
    "pet": "one PET session",
    "separate": "two sessions",
}


@router.get("/projects/{project}/settings")
async def settings(request: Request, context: PageContext, project: str) -> Response:
    """What there is to set."""
    return await _settings_page(request, context, project)


class _SettingsData(TypedDict):
    """What the page shows of a project."""

    project: Project
    subscriptions: list[Subscription]


async def _settings_page(
    request: Request, context: RequestContext, project: str, problem: ScandockError | None = None
) -> Response:
    principal = context.service_context.principal

    def ask(connection: Connection) -> _SettingsData:
        rights.check(connection, principal, Action.SETTINGS_EDIT, project)
        return {
            "project": find_project(connection, principal, project),
            "subscriptions": list_subscriptions(connection, context.service_context, project),
        }

    values = await context.read(ask)
    members = await context.run_read(lambda: list_members(context.server.catalog, principal, project))
    return page(
        request, "project_settings.html", principal, here="Projects", **values, members=members, codes=CODES,
        roles=[role.value for role in Role], problem=problem, site_identified=context.server.settings.identified,
        petmr_words=PETMR_WORDS, site_petmr=context.server.settings.petmr,
    )  # fmt: skip


@router.post("/projects/{project}/settings")
async def change(request: Request, form: SentForm, project: str) -> Response:
    """Change them all."""
    show_form = partial(_settings_page, request, form, project)
    values = _form_values(form)
    return await apply_change(
        form,
        lambda: edit_project(form.service_context, project, values),
        show_form,
        urls.project_page(project),
        "project-changed",
    )


def _form_values(form: Form) -> dict[str, str | int | bool]:
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
async def member(request: Request, form: SentForm, project: str) -> Response:
    """Give an account a role, or take it."""
    name, role = form.text("account"), form.text("role")
    if role not in ("", *Role):
        raise ValueInvalid(f"There is no role {role[:40]!r}.", "Right are owner, member and collaborator.")
    new_role = Role(role) if role else None
    try:
        await form.run(
            lambda: set_member(
                form.server.catalog,
                form.service_context.principal,
                project,
                name,
                new_role,
                form.service_context.request,
            )
        )
    except ScandockError as error:
        answer = await _settings_page(request, form, project, error)
        answer.status_code = error.STATUS
        return answer
    principal = form.service_context.principal
    leaves_project = not principal.admin and new_role is not Role.OWNER and name.lower() == principal.name.lower()
    return redirect_back(request, urls.project_page(project, "" if leaves_project else "settings"), "member-set")

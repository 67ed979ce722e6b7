"""The upload page: a form that works by itself, and what its script needs to do better."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.logins import check_csrf
from scandock.rules.petmr import effective_pet_mr
from scandock.services.byte_sizes import format_bytes
from scandock.services.upload_privacy import SiteRemovals, find_upload_privacy
from scandock.services.upload_rights import MAX_PROJECTS, has_own_rules, list_upload_projects
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.deps import server_state
from scandock.web.pages.errors import UploadProjectMissing
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.receiving.multipart import PageFields, receive_multipart
from scandock.web.security import identify, is_from_other_site

router = pages()

ACCEPTED: Final = ".zip,.tar,.tgz,.tar.gz,.tar.bz2,.tar.xz,.tar.zst,.gz,.bz2,.xz,.zst,.dcm,.ima,.v"
OWN: Final = frozenset({"csrf", "where", "ignore", "keep"})
"""Fields of the form that are none of the API's."""


@router.get("/upload")
async def upload(request: Request, context: PageContext, project: str = "") -> Response:
    """What may be uploaded to, and how."""
    principal = context.service_context.principal

    def ask(connection: Connection) -> tuple[list[Any], bool, SiteRemovals | None]:
        projects = list_upload_projects(connection, principal)
        privacy = find_upload_privacy(connection, [each_project.name for each_project in projects])
        return projects, has_own_rules(connection), privacy

    projects, rules, privacy = await context.read(ask)
    settings = context.server.settings
    page_settings = {
        "codes": {each_project.name: each_project.prearchive_code for each_project in projects},
        "petmr": {each_project.name: effective_pet_mr(each_project.petmr, settings.petmr) for each_project in projects},
        "mapWords": settings.petmr_maps,
        "placeholders": list(settings.placeholder_names),
        "zone": settings.timezone,
        "rules": rules,
        "privacy": None
        if privacy is None
        else {
            **privacy.to_json(),
            "projects": {name: one.to_json() for name, one in privacy.projects.items()},
        },
        "most": settings.max_upload_bytes,
        "more": len(projects) >= MAX_PROJECTS,
    }
    return page(
        request,
        "upload.html",
        principal,
        here="Upload",
        projects=projects,
        project=project,
        removed=_words_of_removal(privacy, projects, project),
        accepted=ACCEPTED,
        told=json.dumps(page_settings),
        script="upload",
        most=format_bytes(settings.max_upload_bytes),
        more=page_settings["more"],
    )


def _words_of_removal(privacy: SiteRemovals | None, projects: list[Any], project: str) -> str:
    """What is removed from uploads as the form is at first; "" where nothing is."""
    if privacy is None:
        return ""
    only = projects[0].name if len(projects) == 1 else ""
    return privacy.of(project or only).words


@router.post("/upload")
@receives_upload
async def send(request: Request) -> Response:
    """One archive by the plain form; it goes the way of every upload."""
    principal = await identify(request)

    def check(fields: Mapping[str, str]) -> None:
        check_csrf(principal, fields.get("csrf", ""), cross_site=is_from_other_site(request))

    own = PageFields(names=OWN, check=check, translate=meant)
    uuid = await receive_multipart(server_state(request), request, principal, own)
    return redirect_back(request, urls.import_page(uuid), "uploaded")


def meant(fields: Mapping[str, str], api_fields: Mapping[str, str]) -> dict[str, str]:
    """What the page's own fields say in the API's words: a box that is not ticked is not sent.

    Raises UploadProjectMissing: to the API an empty project is none, which the form has a choice of its own for.
    """
    if fields.get("where") == "project" and not api_fields.get("project", "-").strip():
        raise UploadProjectMissing
    parameters = {
        "ignore_unparsable": "true" if fields.get("ignore") else "false",
        "resources": "keep" if fields.get("keep") else "ignore",
    }
    if fields.get("where") == "headers":
        parameters["project"] = ""
    return parameters

"""POST /api/v1/projects: make a project; who makes it owns it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.petmr import PetMrChoice
from scandock.services.project_creation import create_project
from scandock.services.records import MadeProject
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.request_context import record_response
from scandock.web.security import SignedIn, request_info
from scandock.web.v1.openapi_keywords import location_keywords

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])


class NewProject(BaseModel):
    """What is known of a project when it is made."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=64, description="Letters, digits, _ and -")]
    name: Annotated[str, Field(max_length=1000)] = ""
    prearchive_code: Literal[0, 4, 5] = 4
    petmr: PetMrChoice = "default"
    identified: Literal["accept", "warn", "hold"] | None = None
    separate_secondary: bool | None = None


@router.post("", summary="Make a project", response_model=MadeProject, **location_keywords())
async def create(request: Request, body: NewProject, principal: SignedIn) -> Response:
    """201 with the project; 409 where the id is taken."""
    server = server_state(request)
    await server.run(
        create_project,
        server.catalog,
        server.settings,
        principal,
        body.id,
        body.name,
        request_info(request),
        prearchive_code=body.prearchive_code,
        petmr=body.petmr,
        identified=body.identified,
        separate_secondary=body.separate_secondary,
    )
    project = MadeProject(
        id=body.id, name=body.name or body.id, prearchive_code=body.prearchive_code, accessibility="private"
    )
    location = urls.root_of(request.scope) + urls.api_project(project.id)
    return record_response(project, 201, {"Location": location})

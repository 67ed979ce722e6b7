"""Projects as administrators make and see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog import projects as rows
from scandock.model.dataclass import dataclass
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.editing import edit_project
from scandock.services.project_creation import create_project

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """A project with its settings (xnat-behaviour.md 5.5, 4.7)."""

    id: str
    name: str
    prearchive_code: int
    petmr: str
    identified: str


def add_project(
    data: str,
    settings: Settings,
    project_id: str,
    *,
    name: str = "",
    prearchive_code: int = 4,
    petmr: str = "default",
    identified: str | None = None,
    request: RequestInfo | None = None,
) -> None:
    """Make a project, as the server's own machine. Raises Usage as `create_project` does."""
    with open_data(data, settings) as (catalog, _):
        create_project(
            catalog,
            settings,
            SYSTEM,
            project_id,
            name,
            request,
            prearchive_code=prearchive_code,
            petmr=petmr,
            identified=identified,
        )


def set_pet_mr(data: str, settings: Settings, project_id: str, petmr: str, request: RequestInfo | None = None) -> str:
    """Say what studies with PET and MR become in a project, as the server's own machine. Raises as `edit_project`.

    Gives the project's id as it is written.
    """
    with open_data(data, settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM, request)
        return edit_project(context, project_id, {"petmr": petmr}).id


def list_projects(data: str, settings: Settings) -> list[ProjectSettings]:
    """Every project, by id."""
    with open_data(data, settings) as (catalog, _), catalog.read() as connection:
        return [
            ProjectSettings(
                id=row.name,
                name=row.title,
                prearchive_code=row.prearchive_code,
                petmr=row.petmr,
                identified=row.identified,
            )
            for row in rows.list_projects(connection)
        ]

"""Projects as administrators make and see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scandock.catalog import projects as rows
from scandock.model.errors import Usage
from scandock.rules.labels import is_project_id
from scandock.services.opening import opened

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
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
    petmr: str = "petmr",
    identified: str | None = None,
) -> None:
    """Make a project. Raises Usage `project_id_invalid` for what can't be an id, `project_exists` where it is taken."""
    if not is_project_id(project_id):
        raise Usage(
            "project_id_invalid", f"{project_id!r} can't be a project id.", "An id is 1 to 64 letters, digits, _ and -."
        )
    wanted = rows.ProjectRow(
        name=project_id,
        title=name or project_id,
        prearchive_code=prearchive_code,
        identified=identified or settings.identified,
        petmr=petmr,
        separate_secondary=settings.separate_secondary,
    )
    with opened(data, settings) as (catalog, _):
        if not rows.add_project(catalog, wanted):
            raise Usage("project_exists", f"There is a project {project_id} already.", "Choose another id, or use it.")


def list_projects(data: str, settings: Settings) -> list[Project]:
    """Every project, by id."""
    with opened(data, settings) as (catalog, _), catalog.read() as connection:
        return [
            Project(
                id=row.name,
                name=row.title,
                prearchive_code=row.prearchive_code,
                petmr=row.petmr,
                identified=row.identified,
            )
            for row in rows.list_projects(connection)
        ]

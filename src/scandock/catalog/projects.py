"""Projects in the catalog: found, made, listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, insert, select

from scandock.catalog.engine import Catalog
from scandock.catalog.errors import ProjectDeleting
from scandock.catalog.tables import project, project_deletion
from scandock.model.errors import Usage
from scandock.rules.labels import UNASSIGNED, append_suffix
from scandock.rules.project_fields import name_key

SET_ASIDE: Final = "~"
"""In the name of a deleted project's row, before its number: no id that people give can have it (`rules.labels`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project and its settings (xnat-behaviour.md 5.5, 4.7; rules.md, "Which session" 9)."""

    name: str
    title: str = ""
    prearchive_code: int = 4
    identified: str = "accept"
    petmr: str = "petmr"
    separate_secondary: bool = True
    quarantine: bool = False


def find_project(connection: Connection, name: str) -> ProjectRow | None:
    """The project of an id, in any case; None where there is none."""
    row = connection.execute(select(project).where(project.c.key == name.casefold())).first()
    return _row(row) if row is not None else None


def list_projects(connection: Connection) -> list[ProjectRow]:
    """Every project by its id; `Unassigned` is none of them."""
    rows = connection.execute(select(project).where(project.c.name != UNASSIGNED).order_by(project.c.name))
    return [_row(row) for row in rows]


def add_project(catalog: Catalog, wanted: ProjectRow) -> bool:
    """Make a project; False where it exists already, which changes nothing."""
    with catalog.write() as connection:
        if find_project(connection, wanted.name) is not None:
            return False
        connection.execute(
            insert(project).values(
                name=wanted.name,
                key=wanted.name.casefold(),
                **titled(wanted.title),
                prearchive_code=wanted.prearchive_code,
                identified=wanted.identified,
                petmr=wanted.petmr,
                separate_secondary=wanted.separate_secondary,
                quarantine=wanted.quarantine,
                created=catalog.now(),
            )
        )
        return True


def titled(title: str) -> dict[str, str]:
    """The columns of a project's row that its title fills."""
    return {"title": title, "title_key": name_key(title)}


def make_unassigned(catalog: Catalog) -> None:
    """The reserved project that keeps what no project was found for (rules.md, "Which session" 8)."""
    add_project(catalog, ProjectRow(name=UNASSIGNED, title="Sessions without a project", prearchive_code=0))


def _row(row: object) -> ProjectRow:
    return ProjectRow(
        name=row.name,  # type: ignore[attr-defined]
        title=row.title,  # type: ignore[attr-defined]
        prearchive_code=row.prearchive_code,  # type: ignore[attr-defined]
        identified=row.identified,  # type: ignore[attr-defined]
        petmr=row.petmr,  # type: ignore[attr-defined]
        separate_secondary=row.separate_secondary,  # type: ignore[attr-defined]
        quarantine=row.quarantine,  # type: ignore[attr-defined]
    )


def set_aside() -> ColumnElement[bool]:
    """Whether a project's row is kept for its sessions in the trash alone: it was deleted, and its id is free again."""
    return project.c.name.contains(SET_ASIDE)


def aside_name(name: str, number: int) -> str:
    """The name under which a deleted project's row is kept: no other row can have it, and nobody can ask for it."""
    return append_suffix(name, f"{SET_ASIDE}{number}")


def begun_deletions() -> Select[Any]:
    """The numbers of projects that are being deleted, as a query within another one."""
    return select(project_deletion.c.project_id)


def are_begun(catalog: Catalog) -> bool:
    """Whether any project is being deleted, or its deletion was interrupted."""
    with catalog.read() as connection:
        return connection.execute(begun_deletions().limit(1)).first() is not None


def check_not_deleting(connection: Connection, names: Iterable[str]) -> None:
    """Raise Usage `project_deleting` where one of these projects, named in any case, is being deleted."""
    keys = sorted({name.casefold() for name in names})
    found = connection.execute(
        select(project.c.name)
        .join(project_deletion, project_deletion.c.project_id == project.c.id)
        .where(project.c.key.in_(keys))
        .limit(1)
    ).scalar()
    if found is not None:
        raise being_deleted(f"The project {found}")


def being_deleted(which: str) -> Usage:
    """Why a project takes nothing any more."""
    return ProjectDeleting(which)

"""Projects in the catalog: found, made, listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Text, cast, insert, literal, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import project
from scandock.rules.labels import UNASSIGNED

SET_ASIDE: Final = "_deleted_"
"""In the id of a deleted project's row, before its number."""


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
                title=wanted.title,
                prearchive_code=wanted.prearchive_code,
                identified=wanted.identified,
                petmr=wanted.petmr,
                separate_secondary=wanted.separate_secondary,
                quarantine=wanted.quarantine,
                created=catalog.now(),
            )
        )
        return True


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
    return project.c.name.endswith(literal(SET_ASIDE) + cast(project.c.id, Text))


def is_set_aside(connection: Connection, name: str) -> bool:
    """Whether the project of an id is such a row."""
    found = connection.execute(select(project.c.id).where(project.c.key == name.casefold(), set_aside())).first()
    return found is not None

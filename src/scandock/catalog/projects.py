"""Projects in the catalog: found, made, listed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, insert, select

from scandock.catalog.engine import Catalog
from scandock.catalog.errors import ProjectDeleting
from scandock.catalog.tables import project, project_deletion
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.rules.labels import UNASSIGNED, append_suffix
from scandock.rules.project_fields import name_key

DELETED_SEPARATOR: Final = "~"
"""In the name of a deleted project's row, before its number: no id that people give can have it (`rules.labels`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project and its settings (xnat-behaviour.md 5.5, 4.7; rules.md, "Which session" 9)."""

    name: str
    title: str = ""
    prearchive_code: int = 4
    identified: str = "accept"
    petmr: str = "default"
    separate_secondary: bool = True
    quarantine: bool = False


def find_project(connection: Connection, name: str) -> ProjectRow | None:
    """The project of an id, in any case; None where there is none."""
    row = connection.execute(_PROJECT, {"wanted": name.casefold()}).first()
    return _row(row) if row is not None else None


_PROJECT: Final = select(project).where(project.c.key == bindparam("wanted"))


def list_projects(connection: Connection) -> list[ProjectRow]:
    """Every project by its id; `Unassigned` is none of them."""
    rows = connection.execute(select(project).where(project.c.name != UNASSIGNED).order_by(project.c.name))
    return [_row(row) for row in rows]


def add_project(catalog: Catalog, new_project: ProjectRow) -> bool:
    """Make a project; False where it exists already, which changes nothing."""
    with catalog.write() as connection:
        if find_project(connection, new_project.name) is not None:
            return False
        connection.execute(
            insert(project).values(
                name=new_project.name,
                key=new_project.name.casefold(),
                **title_columns(new_project.title),
                prearchive_code=new_project.prearchive_code,
                identified=new_project.identified,
                petmr=new_project.petmr,
                separate_secondary=new_project.separate_secondary,
                quarantine=new_project.quarantine,
                created=catalog.now(),
            )
        )
        return True


def title_columns(title: str) -> dict[str, str]:
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


def is_deleted() -> ColumnElement[bool]:
    """Whether a project's row is kept for its sessions in the trash alone: it was deleted, and its id is free again."""
    return project.c.name.contains(DELETED_SEPARATOR)


def deleted_name(name: str, number: int) -> str:
    """The name under which a deleted project's row is kept: no other row can have it, and nobody can ask for it."""
    return append_suffix(name, f"{DELETED_SEPARATOR}{number}")


def unfinished_deletions() -> Select[Any]:
    """The numbers of projects that are being deleted, as a query within another one."""
    return select(project_deletion.c.project_id)


def has_unfinished_deletions(catalog: Catalog) -> bool:
    """Whether any project is being deleted, or its deletion was interrupted."""
    with catalog.read() as connection:
        return connection.execute(unfinished_deletions().limit(1)).first() is not None


def is_usable(connection: Connection, name: str) -> bool:
    """Whether a project is there, and is not being deleted."""
    row = connection.execute(
        select(project.c.id).where(project.c.key == name.casefold(), project.c.id.not_in(unfinished_deletions()))
    ).first()
    return row is not None


def check_not_deleting(connection: Connection, names: Iterable[str]) -> None:
    """Raise Usage `project_deleting` where one of these projects, named in any case, is being deleted."""
    keys = sorted({name.casefold() for name in names})
    project_name = connection.execute(_DELETING, {"keys": keys}).scalar()
    if project_name is not None:
        raise project_deleting(f"The project {project_name}")


_DELETING: Final = (
    select(project.c.name)
    .join(project_deletion, project_deletion.c.project_id == project.c.id)
    .where(project.c.key.in_(bindparam("keys", expanding=True)))
    .limit(1)
)


def project_deleting(which: str) -> Usage:
    """Why a project takes nothing any more."""
    return ProjectDeleting(which)

"""What people say of a project in XNAT's dialect: kept with it, its other names told apart from all others.

(docs/xnat-compatibility.md, "Made by hand".) A request is done whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from scandock.access import members
from scandock.catalog.aliases import add_aliases, aliases_of, drop_aliases, new_aliases
from scandock.catalog.project_names import lock_project_names
from scandock.catalog.projects import title_columns
from scandock.catalog.tables import project
from scandock.rules.errors import ProjectIdReserved
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Accessibility, Action
from scandock.rules.project_fields import PI_NAMES, PUBLIC_FIELDS, ProjectChanges, name_key
from scandock.services import rights
from scandock.services.moving import Desk
from scandock.services.project_making import make_project
from scandock.services.project_names import NameKind, check_free


@dataclass(frozen=True, slots=True)
class Described:
    """What people said of a project, and the names that it answers to besides its id."""

    attributes: Mapping[str, str]
    aliases: list[str]

    def in_words(self) -> list[tuple[str, str]]:
        """What is said as people read it on the project's page."""
        said = self.attributes
        investigator = " ".join(said[f"PI/{name}"] for name in PI_NAMES if said.get(f"PI/{name}"))
        every = (
            ("Description", said.get("description", "")),
            ("Keywords", said.get("keywords", "")),
            ("Secondary ID", said.get("secondary_ID", "")),
            ("Principal investigator", investigator),
            ("Aliases", ", ".join(self.aliases)),
        )
        return [(name, text) for name, text in every if text]


def described(connection: Connection, name: str, *, whole: bool) -> Described:
    """What is said of the project with this id, which one may see; who may was asked.

    `whole`: how its investigator is reached too, which is for those who may read the project.
    """
    text = connection.execute(select(project.c.attributes).where(project.c.key == name.casefold())).scalar_one()
    said: dict[str, str] = json.loads(text)
    shown = {field: value for field, value in said.items() if whole or field in PUBLIC_FIELDS}
    return Described(shown, aliases_of(connection, name))


def make_described(desk: Desk, project_id: str, said: ProjectChanges) -> str:
    """Make a project with all that is said of it; its id. Denied; Usage as `make_project` and `_write`."""

    def describe(connection: Connection, number: int) -> None:
        _write(connection, number, "{}", said)
        if said.accessibility is not None:
            _open(desk, connection, project_id, said.accessibility)

    made = make_project(
        desk.catalog, desk.settings, desk.principal, project_id, said.title, desk.request, describe=describe
    )
    return made.id


def describe_project(desk: Desk, name: str, said: ProjectChanges) -> str:
    """Say more of a project that is there; its id.

    Denied; Usage `alias_taken`, `title_taken`, `project_id_reserved`.
    """
    with desk.catalog.write() as connection:
        rights.check(connection, desk.principal, Action.PROJECT_EDIT, name)
        if said.accessibility is not None:
            rights.check(connection, desk.principal, Action.SETTINGS_EDIT, name)
        lock_project_names(desk.catalog, connection)
        row = connection.execute(
            select(project.c.id, project.c.name, project.c.title, project.c.attributes).where(
                project.c.key == name.casefold()
            )
        ).one()
        if row.name == UNASSIGNED:
            raise ProjectIdReserved(f"{UNASSIGNED} has no settings.", "Choose another project.")
        changed = _write(connection, row.id, row.attributes, said)
        values: dict[str, Any] = {"revision": project.c.revision + 1}
        if said.title and said.title != row.title:
            if name_key(said.title) != name_key(row.title):
                check_free(connection, NameKind.TITLE, said.title, project_id=row.id)
            values |= title_columns(said.title)
            changed = sorted({*changed, "name"})
        if changed:
            connection.execute(update(project).where(project.c.id == row.id).values(**values))
            desk.note(connection, "project_edit", row.name, row.name, {"fields": changed}, kind="project")
        if said.accessibility is not None:
            _open(desk, connection, row.name, said.accessibility)
        return str(row.name)


def _write(connection: Connection, number: int, before: str, said: ProjectChanges) -> list[str]:
    """Write what is said into a project's row, and give it its aliases; the names of the fields that changed.

    Usage `alias_taken`, `title_taken`.
    """
    for alias in new_aliases(connection, number, said.aliases):
        check_free(connection, NameKind.ALIAS, alias, project_id=number)
    known: Mapping[str, str] = json.loads(before)
    now = {name: text for name, text in {**known, **said.fields}.items() if text}
    secondary = now.get("secondary_ID", "")
    if name_key(secondary) != name_key(known.get("secondary_ID", "")):
        check_free(connection, NameKind.SECONDARY_ID, secondary, project_id=number)
    changed = [name for name in said.fields if now.get(name, "") != known.get(name, "")]
    if changed:
        values = {"attributes": json.dumps(now), "secondary_key": name_key(secondary)}
        connection.execute(update(project).where(project.c.id == number).values(**values))
    if said.no_aliases:
        drop_aliases(connection, number)
    add_aliases(connection, number, said.aliases)
    return sorted({*changed, *(["alias"] if said.aliases or said.no_aliases else [])})


def _open(desk: Desk, connection: Connection, name: str, wanted: Accessibility) -> None:
    """Say who sees a project without a role in it."""
    before = members.set_accessibility(connection, name, wanted)
    if before is not wanted:
        details = {"before": before.value, "now": wanted.value}
        desk.note(connection, "access_set", name, name, details, kind="project")

"""What people say of a project in XNAT's dialect: kept with it, its other names told apart from all others.

(docs/xnat-compatibility.md, "Made by hand".) A request is done whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from scandock.access import members
from scandock.catalog.aliases import add_aliases, aliases_of, drop_aliases, new_aliases
from scandock.catalog.project_names import lock_project_names
from scandock.catalog.projects import title_columns
from scandock.catalog.tables import project
from scandock.model.dataclass import dataclass
from scandock.rules.errors import ProjectIdReserved
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Accessibility, Action
from scandock.rules.project_fields import PI_NAMES, PUBLIC_FIELDS, ProjectChanges, name_key
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.project_creation import create_project
from scandock.services.project_names import NameKind, check_name_free


@dataclass(frozen=True, slots=True)
class ProjectDescription:
    """What people said of a project, and the names that it answers to besides its id."""

    attributes: Mapping[str, str]
    aliases: list[str]

    def in_words(self) -> list[tuple[str, str]]:
        """What is said as people read it on the project's page."""
        attributes = self.attributes
        investigator = " ".join(attributes[f"PI/{name}"] for name in PI_NAMES if attributes.get(f"PI/{name}"))
        rows = (
            ("Description", attributes.get("description", "")),
            ("Keywords", attributes.get("keywords", "")),
            ("Secondary ID", attributes.get("secondary_ID", "")),
            ("Principal investigator", investigator),
            ("Aliases", ", ".join(self.aliases)),
        )
        return [(name, text) for name, text in rows if text]


def read_description(connection: Connection, name: str, *, with_contact: bool) -> ProjectDescription:
    """What is said of the project with this id, which one may see; who may was asked.

    `with_contact`: how its investigator is reached too, which is for those who may read the project.
    """
    text = connection.execute(select(project.c.attributes).where(project.c.key == name.casefold())).scalar_one()
    attributes: dict[str, str] = json.loads(text)
    visible = {field: value for field, value in attributes.items() if with_contact or field in PUBLIC_FIELDS}
    return ProjectDescription(visible, aliases_of(connection, name))


def create_described_project(context: ServiceContext, project_id: str, fields: ProjectChanges) -> str:
    """Make a project with its description; its id. AccessDenied; Usage as `create_project` and `_write_description`."""

    def describe(connection: Connection, number: int) -> None:
        _write_description(connection, number, "{}", fields)
        if fields.accessibility is not None:
            _set_accessibility(context, connection, project_id, fields.accessibility)

    create_project(
        context.catalog,
        context.settings,
        context.principal,
        project_id,
        fields.title,
        context.request,
        describe=describe,
    )
    return project_id


def edit_description(context: ServiceContext, name: str, changes: ProjectChanges) -> str:
    """Say more of a project that is there; its id.

    AccessDenied; Usage `alias_taken`, `title_taken`, `project_id_reserved`.
    """
    with context.catalog.write() as connection:
        rights.check(connection, context.principal, Action.PROJECT_EDIT, name)
        if changes.accessibility is not None:
            rights.check(connection, context.principal, Action.SETTINGS_EDIT, name)
        lock_project_names(context.catalog, connection)
        row = connection.execute(
            select(project.c.id, project.c.name, project.c.title, project.c.attributes).where(
                project.c.key == name.casefold()
            )
        ).one()
        if row.name == UNASSIGNED:
            raise ProjectIdReserved(f"{UNASSIGNED} has no settings.", "Choose another project.")
        changed = _write_description(connection, row.id, row.attributes, changes)
        values: dict[str, object] = {"revision": project.c.revision + 1}
        if changes.title and changes.title != row.title:
            if name_key(changes.title) != name_key(row.title):
                check_name_free(connection, NameKind.TITLE, changes.title, project_id=row.id)
            values |= title_columns(changes.title)
            changed = sorted({*changed, "name"})
        if changed:
            connection.execute(update(project).where(project.c.id == row.id).values(**values))
            context.note(connection, "project_edit", row.name, row.name, {"fields": changed}, kind="project")
        if changes.accessibility is not None:
            _set_accessibility(context, connection, row.name, changes.accessibility)
        return str(row.name)


def _write_description(connection: Connection, number: int, old_json: str, changes: ProjectChanges) -> list[str]:
    """Write what is said into a project's row, and give it its aliases; the names of the fields that changed.

    Usage `alias_taken`, `title_taken`.
    """
    for alias in new_aliases(connection, number, changes.aliases):
        check_name_free(connection, NameKind.ALIAS, alias, project_id=number)
    old_attributes: Mapping[str, str] = json.loads(old_json)
    new_attributes = {name: text for name, text in {**old_attributes, **changes.fields}.items() if text}
    secondary = new_attributes.get("secondary_ID", "")
    if name_key(secondary) != name_key(old_attributes.get("secondary_ID", "")):
        check_name_free(connection, NameKind.SECONDARY_ID, secondary, project_id=number)
    changed = [name for name in changes.fields if new_attributes.get(name, "") != old_attributes.get(name, "")]
    if changed:
        values = {"attributes": json.dumps(new_attributes), "secondary_key": name_key(secondary)}
        connection.execute(update(project).where(project.c.id == number).values(**values))
    if changes.no_aliases:
        drop_aliases(connection, number)
    add_aliases(connection, number, changes.aliases)
    return sorted({*changed, *(["alias"] if changes.aliases or changes.no_aliases else [])})


def _set_accessibility(
    context: ServiceContext, connection: Connection, name: str, accessibility: Accessibility
) -> None:
    """Say who sees a project without a role in it."""
    before = members.set_accessibility(connection, name, accessibility)
    if before is not accessibility:
        details = {"before": before.value, "now": accessibility.value}
        context.note(connection, "access_set", name, name, details, kind="project")

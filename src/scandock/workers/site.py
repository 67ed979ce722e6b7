"""What stands around an import: the catalog of DATA, the site's rules, and the request checked against both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.projects import ProjectRow, add_project, find_project, list_projects
from scandock.catalog.tables import routing_rules
from scandock.model.errors import Usage
from scandock.model.importing import ImportOptions
from scandock.rules.labels import RESERVED, UNASSIGNED, is_project_id, label_key
from scandock.rules.mapping import MappingRow, decode_mapping, parse_mapping
from scandock.rules.naming import check_labels, projects_named
from scandock.rules.notices import shown
from scandock.rules.policy import Request, SiteRules
from scandock.rules.routing import parse_rules
from scandock.services.opening import CATALOG, is_there, open_data_catalog
from scandock.services.project_making import make_project

if TYPE_CHECKING:
    from scandock.services.settings import Settings


MAX_MAPPING = 64 * 1024 * 1024


@dataclass(slots=True)
class Site:
    """An open catalog with what decides beside the headers."""

    catalog: Catalog
    rules: SiteRules
    request: Request
    settings: Settings

    def check_request(self, options: ImportOptions) -> None:
        """Make the project where that was asked for; all that is named must exist, and every label leave one.

        Raises Usage before a byte is read.
        """
        check_labels(self.request)
        if options.project is not None and options.create_project:
            self._make_project(options.project)
        with self.catalog.read() as connection:
            for name in projects_named(self.request):
                if find_project(connection, name) is None:
                    raise Usage(
                        "project_unknown",
                        f"There is no project {shown(name)}.",
                        f"Make it with `scandock admin project add {name}`, or import with --create-project.",
                    )

    def _make_project(self, name: str) -> None:
        """Nothing where it exists."""
        with self.catalog.read() as connection:
            if find_project(connection, name) is not None:
                return
        try:
            make_project(self.catalog, self.settings, SYSTEM, name, "", RequestInfo(f"local uid {os.getuid()}"))
        except Usage as error:
            if error.code != "project_exists":  # made by another import just now
                raise


def read_mapping(options: ImportOptions) -> tuple[MappingRow, ...]:
    """The rows of the request's mapping file. Raises Usage naming what can't be read."""
    if options.mapping_path is None:
        return ()
    try:
        with open(options.mapping_path, "rb") as file:
            data = file.read(MAX_MAPPING)
    except OSError as error:
        raise Usage(
            "mapping_unreadable", f"The mapping {options.mapping_path} can't be read: {error.strerror}.", "Name a file."
        ) from error
    return parse_mapping(decode_mapping(data), options.mapping_path)


def open_site(data: str, settings: Settings, options: ImportOptions) -> Site:
    """Open the catalog, read the site's rules and the request's mapping. Raises Usage where either can't be read."""
    mapping = _read_request(options)
    return make_site(open_data_catalog(data, settings), settings, options, mapping)


def make_site(catalog: Catalog, settings: Settings, options: ImportOptions, mapping: tuple[MappingRow, ...]) -> Site:
    """What stands around an import, with a catalog that is open."""
    with catalog.read() as connection:
        texts = _rule_texts(connection)
    return _site(catalog, texts, settings, options, mapping)


def scratch_site(folder: str, data: str | None, settings: Settings, options: ImportOptions) -> Site:
    """A site with a catalog of its own in `folder`: that of DATA without its sessions, or an empty one."""
    mapping = _read_request(options)
    projects: list[ProjectRow] = []
    texts: dict[str, str] = {}
    if data is not None and is_there(data, settings):
        theirs = open_data_catalog(data, settings)
        try:
            with theirs.read() as connection:
                projects, texts = list_projects(connection), _rule_texts(connection)
        finally:
            theirs.dispose()
    catalog = open_catalog(f"sqlite:///{folder}/{CATALOG}")
    for project in projects:
        add_project(catalog, project)
    return _site(catalog, texts, settings, options, mapping)


def _read_request(options: ImportOptions) -> tuple[MappingRow, ...]:
    """The request's mapping, once its project can be one at all."""
    name = options.project
    if name is not None and label_key(name) == label_key(UNASSIGNED):
        raise Usage("project_id_reserved", f"{name!r} can't be a project id: {RESERVED}.", "Name another project.")
    if name is not None and not is_project_id(name):
        raise Usage(
            "project_id_invalid", f"{name!r} can't be a project id.", "An id is 1 to 64 letters, digits, _ and -."
        )
    return read_mapping(options)


def _rule_texts(connection: Connection) -> dict[str, str]:
    return {row.kind: row.text for row in connection.execute(select(routing_rules))}


def _site(
    catalog: Catalog,
    texts: dict[str, str],
    settings: Settings,
    options: ImportOptions,
    mapping: tuple[MappingRow, ...],
) -> Site:
    return Site(
        catalog=catalog,
        rules=SiteRules(
            project=parse_rules(texts.get("project", "")),
            subject=parse_rules(texts.get("subject", "")),
            session=parse_rules(texts.get("session", "")),
            placeholders=settings.placeholder_names,
        ),
        request=Request(
            project=options.project,
            subject=options.subject,
            session=options.session,
            destination=options.destination,
            overwrite=options.overwrite,
            mapping=mapping,
        ),
        settings=settings,
    )

"""What stands around an import: the catalog of DATA, the site's rules, and the request checked against both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project, find_project
from scandock.catalog.tables import routing_rules
from scandock.model.errors import Usage
from scandock.model.importing import ImportOptions
from scandock.rules.labels import is_project_id
from scandock.rules.mapping import MappingRow, decode_mapping, parse_mapping
from scandock.rules.naming import check_labels, projects_named
from scandock.rules.notices import shown
from scandock.rules.policy import Request, SiteRules
from scandock.rules.routing import parse_rules
from scandock.services.opening import open_data_catalog

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
            add_project(
                self.catalog,
                ProjectRow(
                    name=options.project,
                    identified=self.settings.identified,
                    separate_secondary=self.settings.separate_secondary,
                ),
            )
        with self.catalog.read() as connection:
            for name in projects_named(self.request):
                if find_project(connection, name) is None:
                    raise Usage(
                        "project_unknown",
                        f"There is no project {shown(name)}.",
                        f"Make it with `scandock admin project add {name}`, or import with --create-project.",
                    )


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
    _check_project_id(options)
    mapping = read_mapping(options)
    return make_site(open_data_catalog(data, settings), settings, options, mapping)


def _check_project_id(options: ImportOptions) -> None:
    if options.project is not None and not is_project_id(options.project):
        raise Usage(
            "project_id_invalid",
            f"{options.project!r} can't be a project id.",
            "An id is 1 to 64 letters, digits, _ and -.",
        )


def make_site(catalog: Catalog, settings: Settings, options: ImportOptions, mapping: tuple[MappingRow, ...]) -> Site:
    """What stands around an import, with a catalog that is open."""
    with catalog.read() as connection:
        texts = {row.kind: row.text for row in connection.execute(select(routing_rules))}
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

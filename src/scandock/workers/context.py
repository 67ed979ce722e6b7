"""What stands around an import: the catalog of DATA, the site's rules, and the request checked against both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.engine import Catalog, open_catalog, sqlite_url
from scandock.catalog.privacy_texts import filters_in_force, routing_in_force
from scandock.catalog.projects import ProjectRow, add_project, check_not_deleting, find_project, list_projects
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import routing_rules
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.rules.errors import MappingUnreadable, ProjectIdInvalid, ProjectIdReserved, ProjectUnknown
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import RESERVED, UNASSIGNED, is_project_id, label_key
from scandock.rules.mapping import MappingRow, decode_mapping, parse_mapping
from scandock.rules.naming import check_labels, list_destinations, list_named_projects
from scandock.rules.notices import printable
from scandock.rules.policy import ProjectRules, SiteRules
from scandock.rules.privacy import EarlyScrub, SitePrivacy, early_scrub
from scandock.rules.routing_rules import RoutingRule, parse_rules
from scandock.rules.shown_names import ShownNames
from scandock.rules.upload_privacy import UNLIMITED, UploadPrivacy
from scandock.services.data_catalog import CATALOG_FILE, check_catalog_not_lost, has_catalog, open_data_catalog
from scandock.services.data_errors import PrivacyKeyUnfit
from scandock.services.door_names import names_at_door
from scandock.services.privacy_source import current_privacy, given_to_process
from scandock.services.project_creation import create_project
from scandock.services.project_errors import ProjectExists
from scandock.workers.archive_reader import SiteTexts
from scandock.workers.errors import MappingProjectUnknown

if TYPE_CHECKING:
    from scandock.services.settings import Settings


_RuleTexts = tuple[dict[str, str], dict[str, ProjectRules]]
"""The site's rules by kind, as they are written, and those of projects by the keys of their names."""
_Privacy = tuple[SitePrivacy | None, PrivacyKeyUnfit | None]
"""What is in force, or why it can't be kept to."""
NAMES_SHOWN = 5
"""Projects that a message names."""
MAX_MAPPING = 64 * 1024 * 1024


@dataclass
class WorkerContext:
    """An open catalog with what decides beside the headers."""

    catalog: Catalog
    rules: SiteRules
    request: ImportRequest
    settings: Settings
    filters: dict[str, str]
    """The import filters that are switched on, by project; that of the site by ""."""
    known: Catalog | None = None
    """The catalog of DATA beside a scratch one."""
    privacy: SitePrivacy | None = None
    """What site and projects let be known and have done to objects; None where none says anything."""
    privacy_error: PrivacyKeyUnfit | None = None
    """Why what is in force can't be kept to: the site's key is not there."""

    archive_number: int = 1
    """Which of its command's archives is imported, from 1."""
    has_uid_names: bool = False
    """Whether entries are called by the UIDs of their objects."""

    @cached_property
    def names(self) -> ShownNames:
        """What may be shown of names: by the projects that the request and its mapping name."""
        return names_at_door(self.privacy, self.request, self.archive_number, has_uid_names=self.has_uid_names)

    @property
    def upload_privacy(self) -> UploadPrivacy:
        """What may be known of the upload before its studies have a project."""
        return UNLIMITED if self.privacy is None else self.privacy.of_upload(list_destinations(self.request))

    @property
    def texts(self) -> SiteTexts:
        """What archives are read by."""
        return SiteTexts(
            tags=self.rules.tags,
            filters=self.filters,
            has_mapping=bool(self.request.mapping),
            hash_datasets=self.privacy is not None,
            names=self.names,
            privacy=self.upload_privacy,
            early=self._find_early(self.privacy) if self.privacy is not None else None,
        )

    def _find_early(self, privacy: SitePrivacy) -> EarlyScrub | None:
        """By what objects can be de-identified as they are read: where it is known then by which rules.

        Not where stored files are known to be damaged: what heals them is the original, where that is what was stored.
        """
        with self.catalog.read() as connection:
            if connection.execute(select(damage.c.id).limit(1)).first() is not None:
                return None
            project, names = self._find_destinations(connection)
        return early_scrub([privacy.rules_of(name) for name in names], project)

    def keeps_originals(self) -> bool:
        """Whether objects are stored as they come, whichever project they go to."""
        if self.privacy is None:
            return True
        with self.catalog.read() as connection:
            _, names = self._find_destinations(connection)
        return all(self.privacy.rules_of(name) is None for name in names)

    def _find_destinations(self, connection: Connection) -> tuple[str | None, list[str]]:
        """The project that it goes to, None where that is not known before its headers are; and all that it may be."""
        request = self.request
        if request.project is not None and request.mapping_path is None and not request.mapping:
            row = find_project(connection, request.project)
            name = row.name if row is not None else request.project
            return name, [name]
        return None, [UNASSIGNED, *(row.name for row in list_projects(connection))]

    def close(self) -> None:
        """Close the catalogs."""
        self.catalog.dispose()
        if self.known is not None:
            self.known.dispose()

    def check_request(self) -> None:
        """All that is named must exist, and every label leave one; then make the project where that was asked for.

        Raises Usage, or Fault `privacy_key`, before a byte is read or anything is made.
        """
        if self.privacy_error is not None:
            raise self.privacy_error
        request = self.request
        check_labels(request)
        new_project = request.project if request.create_project else None
        with self.catalog.read() as connection:
            missing = {
                label_key(name)
                for name in list_named_projects(request)
                if label_key(name) not in {label_key(new_project or ""), label_key(UNASSIGNED)}
                and find_project(connection, name) is None
            }
            check_not_deleting(connection, list_named_projects(request))
        if request.project is not None and label_key(request.project) in missing:
            raise ProjectUnknown(
                f"There is no project {printable(request.project)}.",
                f"Make it with `scandock admin project add {request.project}`, or import with --create-project.",
            )
        if missing:
            raise _unknown_projects(request.mapping, missing)
        if new_project is not None:
            self._make_project(new_project)

    def _make_project(self, name: str) -> None:
        """Nothing where it exists."""
        with self.catalog.read() as connection:
            if find_project(connection, name) is not None:
                return
        with contextlib.suppress(ProjectExists):  # made by another import just now
            create_project(self.catalog, self.settings, SYSTEM, name, "", RequestInfo(f"local uid {os.getuid()}"))


def _unknown_projects(mapping: tuple[MappingRow, ...], missing: set[str]) -> Usage:
    """The error for projects that a mapping names and that do not exist (`missing`, by their keys)."""
    rows = {row.project: row.number for row in reversed(mapping) if label_key(row.project) in missing}
    named = sorted(rows, key=lambda name: rows[name])
    examples = ", ".join(f"{printable(name)} (row {rows[name]})" for name in named[:NAMES_SHOWN])
    more = f" and {len(named) - NAMES_SHOWN} more" if len(named) > NAMES_SHOWN else ""
    return MappingProjectUnknown(examples, more, named[0])


def read_mapping(request: ImportRequest) -> tuple[MappingRow, ...]:
    """The rows of the request's mapping file. Raises Usage naming what can't be read."""
    if request.mapping_path is None:
        return ()
    try:
        with open(request.mapping_path, "rb") as file:
            data = file.read(MAX_MAPPING)
    except OSError as error:
        raise MappingUnreadable(
            f"The mapping {request.mapping_path} can't be read: {error.strerror}.", "Name a file."
        ) from error
    return parse_mapping(decode_mapping(data), request.mapping_path)


def open_context(data: str, settings: Settings, request: ImportRequest, archive_number: int) -> WorkerContext:
    """Open the catalog, read the site's rules and the request's mapping. Raises Usage where either can't be read."""
    mapping = _read_request(request)
    return make_context(open_data_catalog(data, settings), settings, request, mapping, archive_number)


def make_context(
    catalog: Catalog,
    settings: Settings,
    request: ImportRequest,
    mapping: tuple[MappingRow, ...],
    archive_number: int = 1,
) -> WorkerContext:
    """What stands around an import, with a catalog that is open."""
    with catalog.read() as connection:
        texts, filters = _rule_texts(connection), filters_in_force(connection)
        privacy = _read_privacy(connection)
    return _build_context(catalog, texts, filters, privacy, settings, request, mapping, archive_number)


def make_upload_context(
    catalog: Catalog,
    settings: Settings,
    request: ImportRequest,
    mapping: tuple[MappingRow, ...],
    account_id: int,
    *,
    has_uid_names: bool = False,
) -> WorkerContext:
    """What stands around the import of an upload that an account has sent.

    No scripts are run where its client says that it has run them, and the account may say so. `has_uid_names`: whether
    the server has called the entries by the UIDs of their objects.
    """
    context = make_context(catalog, settings, request, mapping)
    context.has_uid_names = has_uid_names
    if request.prevent_anon and context.privacy is not None:
        from scandock.services.privacy_in_force import without_scripts
        from scandock.services.upload_rights import find_unscripted

        everywhere, projects = find_unscripted(catalog, account_id, settings.prevent_anon)
        context.privacy = without_scripts(context.privacy, projects, everywhere=everywhere)
    return context


def make_scratch_context(
    folder: str, data: str | None, settings: Settings, request: ImportRequest, archive_number: int
) -> WorkerContext:
    """A site with a catalog of its own in `folder`: that of DATA without its sessions.

    Without DATA, the projects that the request names are taken to be there. Fault `catalog_damaged` where DATA's
    catalog is lost.
    """
    mapping = _read_request(request)
    projects = _named_projects(request, mapping, settings) if data is None else []
    texts: _RuleTexts = {}, {}
    filters: dict[str, str] = {}
    if data is not None:
        check_catalog_not_lost(data, settings)  # its projects and rules are lost, too: nothing can be told by them
    privacy: _Privacy = given_to_process(), None
    theirs: Catalog | None = None
    if data is not None and has_catalog(data, settings):
        theirs = open_data_catalog(data, settings)
    try:
        if theirs is not None:
            with theirs.read() as connection:
                projects, texts = list_projects(connection), _rule_texts(connection)
                filters = filters_in_force(connection)
                privacy = _read_privacy(connection)
        catalog = open_catalog(sqlite_url(f"{folder}/{CATALOG_FILE}"))
        for project in projects:
            add_project(catalog, project)
    except BaseException:
        if theirs is not None:
            theirs.dispose()
        raise
    context = _build_context(catalog, texts, filters, privacy, settings, request, mapping, archive_number)
    context.known = theirs
    return context


def _named_projects(request: ImportRequest, mapping: tuple[MappingRow, ...], settings: Settings) -> list[ProjectRow]:
    named = {label_key(name): name for name in (request.project, *(row.project for row in mapping)) if name}
    return [_new_project(name, settings) for name in named.values() if is_project_id(name)]


def _new_project(name: str, settings: Settings) -> ProjectRow:
    return ProjectRow(name=name, identified=settings.identified, separate_secondary=settings.separate_secondary)


def _read_request(request: ImportRequest) -> tuple[MappingRow, ...]:
    """The request's mapping, once its project can be one at all."""
    name = request.project
    if name is not None and label_key(name) == label_key(UNASSIGNED):
        raise ProjectIdReserved(f"{name!r} can't be a project id: {RESERVED}.", "Name another project.")
    if name is not None and not is_project_id(name):
        raise ProjectIdInvalid(name)
    return read_mapping(request)


def _read_privacy(connection: Connection) -> _Privacy:
    try:
        return current_privacy(connection), None
    except PrivacyKeyUnfit as error:
        return None, error


def _rule_texts(connection: Connection) -> _RuleTexts:
    """The site's rules, and those of projects where there are any."""
    texts = {row.kind: row.text for row in connection.execute(select(routing_rules))}
    if not routing_in_force(connection):
        return texts, {}
    from scandock.services.project_routing import load_project_rules

    return texts, load_project_rules(connection)


def _build_context(
    catalog: Catalog,
    rule_texts: _RuleTexts,
    filters: dict[str, str],
    privacy: _Privacy,
    settings: Settings,
    request: ImportRequest,
    mapping: tuple[MappingRow, ...],
    archive_number: int,
) -> WorkerContext:
    texts, projects = rule_texts
    return WorkerContext(
        catalog=catalog,
        rules=SiteRules(
            projects=projects,
            project=_parse_kind("project", texts, request),
            subject=_parse_kind("subject", texts, request),
            session=_parse_kind("session", texts, request),
            placeholders=settings.placeholder_names,
            petmr=settings.petmr,
            map_words=settings.petmr_maps,
        ),
        request=request.with_fields(mapping=mapping),
        settings=settings,
        filters=filters,
        privacy=privacy[0],
        privacy_error=privacy[1],
        archive_number=archive_number,
    )


def _parse_kind(kind: str, texts: Mapping[str, str], request: ImportRequest) -> tuple[RoutingRule, ...]:
    """The rules of a kind: first those of the receiver that the import came by, then the site's."""
    return parse_rules(request.receiver_rules.get(kind, "")) + parse_rules(texts.get(kind, ""))

"""Manifests of downloads, as XNAT's Desktop Client takes them: each resource of some sessions, with where its zip is.

A manifest is made of what stands when it is asked for. Those that were asked for by REST are called by an id: what was
chosen then is kept in the catalog, and rights are asked anew each time.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from scandock.access.clock import now_ms
from scandock.access.principal import Principal, raise_denied
from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.own_resources import Holder
from scandock.catalog.server_tables import accession, account, download_manifest, scan_edit
from scandock.catalog.tables import project, resource, scan, session
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.model.xml_text import quote_attribute
from scandock.model.xnat_ids import experiment_id, resource_id
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights, session_parts
from scandock.services.resource_zips import MemberNaming, ResourceChoice, scan_folder
from scandock.services.session_parts import FilePart, ResourcePart
from scandock.services.xnat_lookup import find_experiments
from scandock.web import urls

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_LISTS: Final = ("scan_types", "scan_formats", "resources")
OPTIONS: Final = ("projectIncludedInPath", "subjectIncludedInPath", "simplified")
MAX_MANIFESTS: Final = request_limits.MANIFESTS
"""Manifests of one account that are kept."""
MAX_BYTES: Final = request_limits.MANIFEST_BYTES
"""Bytes of all of them together."""
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<cat:Catalog xmlns:cat="http://nrg.wustl.edu/catalog" ID={}{}>\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is chosen of sessions. `everything`, or scans by types and formats together, and resources of sessions."""

    everything: bool = False
    scan_types: frozenset[str] = frozenset()
    """The empty text is a scan without a type."""
    scan_formats: frozenset[str] = frozenset()
    """Labels of scans' resources."""
    resources: frozenset[str] = frozenset()
    """Labels of sessions' own resources."""

    def takes(self, scan_id: str | None, scan_type: str | None, label: str) -> bool:
        """Whether a resource of a scan, or (no scan) of a session, is chosen."""
        if self.everything:
            return True
        if scan_id is None:
            return label in self.resources
        return (scan_type or "") in self.scan_types and label in self.scan_formats


def parse_selection(parameters: Mapping[str, Sequence[str | None] | None]) -> Selection:
    """What the lists of a request choose; without any of them it is everything.

    Pages of the original escape what stands in them, so names count unescaped too; `NULL` is a scan without a type.
    """
    lists = {name: parameters.get(name) for name in _LISTS}
    if all(values is None for values in lists.values()):
        return Selection(everything=True)
    names = {name: frozenset(_name_variants(values or ())) for name, values in lists.items()}
    types = names["scan_types"]
    return Selection(
        scan_types=types | {""} if "NULL" in types else types,
        scan_formats=names["scan_formats"],
        resources=names["resources"],
    )


def _name_variants(names: Iterable[str | None]) -> Iterator[str]:
    for name in names:
        yield name or ""
        yield html.unescape(name or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One resource of a manifest."""

    folder: str
    """Where its files are to stand, for each entry another one."""
    uri: str
    """Of its files, below `/archive`."""
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPart:
    """A session of a manifest: the resources of its scans, and its own."""

    id: str
    uuid: str
    project: str
    subject: str
    label: str
    scans: list[Entry]
    own: list[Entry]
    names: dict[tuple[str | None, str], str]
    """The folder of each resource, by scan and label."""


class Listed(NamedTuple):
    """A resource with files, of an archived session; one without any files has one that names no resource."""

    uuid: str
    label: str
    subject: str
    project: str
    number: int
    scan_id: str | None
    scan_type: str | None
    resource: str | None
    bytes: int | None


class _FolderNames:
    """Names of folders, of which no two are alike where case counts for nothing."""

    def __init__(self, options: Iterable[str]) -> None:
        self._options = frozenset(options)
        self._taken: set[str] = set()

    def of_session(self, row: Listed) -> str:
        """As the zips name it: two sessions of one label have their projects besides."""
        if "projectIncludedInPath" in self._options:
            return f"{row.project}/{row.subject or 'none'}/{row.label}"
        label = row.label
        if label.casefold() in self._taken:
            label = f"{label}_{row.project}"
        self._taken.add(label.casefold())
        return f"{row.subject or 'none'}/{label}" if "subjectIncludedInPath" in self._options else label

    def keep_for_scans(self, above: str, scan_ids: Iterable[str]) -> None:
        """Simplified, a session's own resource could have the name of a scan, and its folders be those in that one."""
        if "simplified" in self._options:
            self._taken.update(f"{above}/{scan_id}/".casefold() for scan_id in scan_ids)

    def of_resource(self, above: str, row: Listed) -> str:
        simplified = "simplified" in self._options
        label = row.resource
        if row.scan_id is None:
            name = f"{above}/{label}" if simplified else f"{above}/resources/{label}"
        elif simplified:
            name = f"{above}/{row.scan_id}/{label}"
        else:
            name = f"{above}/scans/{scan_folder(row.scan_id, row.scan_type)}/resources/{label}"
        free, n = name, 2
        while f"{free.casefold()}/" in self._taken:
            free, n = f"{name}_{n}", n + 1
        self._taken.add(f"{free.casefold()}/")
        return free


def build_parts(rows: Iterable[Listed], selection: Selection, options: Iterable[str] = ()) -> Iterator[SessionPart]:
    """Rows of `read_project_rows`, `read_sessions_rows` as sessions of a manifest."""
    folders = _FolderNames(options)
    for _, group in groupby(rows, key=lambda row: row.uuid):
        of_session = list(group)
        first = of_session[0]
        above, number = folders.of_session(first), experiment_id(first.number)
        folders.keep_for_scans(above, {row.scan_id for row in of_session if row.scan_id is not None})
        scans: list[Entry] = []
        own_entries: list[Entry] = []
        names: dict[tuple[str | None, str], str] = {}
        for row in of_session:
            if row.resource is None or not selection.takes(row.scan_id, row.scan_type, row.resource):
                continue
            folder = folders.of_resource(above, row)
            names[row.scan_id, row.resource] = folder
            entry = Entry(folder=folder, uri=_resource_uri(number, row, row.resource), bytes=row.bytes or 0)
            (own_entries if row.scan_id is None else scans).append(entry)
        yield SessionPart(
            id=number, uuid=first.uuid, project=first.project, subject=first.subject, label=first.label,
            scans=scans, own=own_entries, names=names,
        )  # fmt: skip


def _resource_uri(number: str, row: Listed, name: str) -> str:
    """The files of a resource: by its label, or by its id where the label would be read as something else."""
    if not _PLAIN.fullmatch(name) or session_parts.is_all(name):
        name = resource_id(row.uuid, row.scan_id, name)
    return urls.manifest_entry(number, row.scan_id, name)


def write_manifest(file: IO[bytes], name: str, parts: Iterable[SessionPart], description: str = "") -> None:
    """Write the document: an `entrySet` for each session, in it one for its scans and one for its own resources."""

    def write(text: str) -> None:
        file.write(text.encode("utf-8", "backslashreplace"))

    attributes = f" description={quote_attribute(description)}" if description else ""
    write(_HEAD.format(quote_attribute(name), attributes))
    write("<cat:sets>\n")
    for part in parts:
        text = f"Project: {part.project}, subject: {part.subject}, label: {part.label}"
        write(f"<cat:entrySet ID={quote_attribute(part.id)} description={quote_attribute(text)}>\n")
        sets = [(kind, entries) for kind, entries in (("RAW", part.scans), ("RESOURCES", part.own)) if entries]
        if sets:
            write("<cat:sets>\n")
        for kind, entries in sets:
            write(f'<cat:entrySet ID="{kind}" description={quote_attribute(f"{text} {kind}")}>\n<cat:entries>\n')
            for entry in entries:
                write(f"<cat:entry name={quote_attribute(entry.folder)} URI={quote_attribute(entry.uri)}/>\n")
            write("</cat:entries>\n</cat:entrySet>\n")
        if sets:
            write("</cat:sets>\n")
        write("</cat:entrySet>\n")
    write("</cat:sets>\n</cat:Catalog>\n")


def read_project_rows(connection: Connection, principal: Principal, name: str) -> Iterator[Listed]:
    """The resources with files of all archived sessions of a project. AccessDenied."""
    rights.check(connection, principal, Action.SESSION_READ, name)
    return _read_rows(connection, project.c.key == name.casefold())


def read_session_rows(connection: Connection, uuid: str) -> Iterator[Listed]:
    """The same of one session, whose right to be read was checked."""
    return _read_rows(connection, session.c.uuid == uuid)


def read_sessions_rows(connection: Connection, uuids: Iterable[str]) -> Iterator[Listed]:
    """The same of several ones."""
    for part in split_values(uuids):
        yield from _read_rows(connection, session.c.uuid.in_(part))


def _read_rows(connection: Connection, condition: ColumnElement[bool]) -> Iterator[Listed]:
    filled = and_(resource.c.tree_id == session.c.tree_id, resource.c.files > 0)
    of_scan = and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n)
    edited = and_(scan_edit.c.session_id == session.c.id, scan_edit.c.scan_id == scan.c.scan_id)
    query = (
        select(
            session.c.uuid, session.c.label, session.c.subject, project.c.name.label("project"), accession.c.number,
            scan.c.scan_id, func.coalesce(scan_edit.c.type, scan.c.type).label("scan_type"),
            resource.c.label.label("resource"), resource.c.bytes,
        )
        .join(project, project.c.id == session.c.project_id)
        .join(accession, accession.c.uuid == session.c.uuid)
        .outerjoin(resource, filled)
        .outerjoin(scan, of_scan)
        .outerjoin(scan_edit, edited)
        .where(session.c.place == "archive", condition)
        .order_by(project.c.key, session.c.key, session.c.id, func.coalesce(scan.c.sort_key, ""), resource.c.n)
    )  # fmt: skip
    yield from map(Listed._make, connection.execute(query.execution_options(yield_per=1_000)))


# -- what was asked for by REST ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRequest:
    """Sessions, by their ids, what of them, and how their folders are called."""

    sessions: tuple[str, ...]
    selection: Selection
    options: tuple[str, ...]

    @classmethod
    def of(
        cls, sessions: tuple[str, ...], lists: Mapping[str, Sequence[str | None] | None], options: Iterable[str]
    ) -> ManifestRequest:
        """The choice of a request; options that nobody knows have no effect."""
        option_set = set(options)
        return cls(
            sessions=sessions,
            selection=parse_selection(lists),
            options=tuple(option for option in OPTIONS if option in option_set),
        )

    @classmethod
    def from_json(cls, text: str) -> ManifestRequest:
        """The choice that `to_json` wrote."""
        values = json.loads(text)
        lists = {name: frozenset(values[name]) for name in _LISTS}
        selection = Selection(everything=values["everything"], **lists)
        return cls(sessions=tuple(values["sessions"]), selection=selection, options=tuple(values["options"]))

    def to_json(self) -> str:
        """The choice as the catalog keeps it."""
        lists = {name: sorted(getattr(self.selection, name)) for name in _LISTS}
        everything = self.selection.everything
        return json.dumps({"sessions": self.sessions, "options": self.options, "everything": everything, **lists})


def find_chosen_parts(connection: Connection, principal: Principal, choice: ManifestRequest) -> list[SessionPart]:
    """The sessions as they stand, each with what is chosen of it.

    AccessDenied where one may not be read, or is gone.
    """
    experiments = find_experiments(connection, principal, choice.sessions)
    rows = read_sessions_rows(connection, [experiment.record.uuid for experiment in experiments])
    return list(build_parts(rows, choice.selection, choice.options))


def check_sessions(connection: Connection, principal: Principal, projects_by_id: Mapping[str, str]) -> None:
    """AccessDenied unless all sessions may be read; `projects_by_id` has the project of each id, or nothing."""
    actual_projects = {
        experiment.id: experiment.record.project
        for experiment in find_experiments(connection, principal, list(projects_by_id))
    }
    if any(
        project_name and project_name.casefold() != actual_projects.get(name, "").casefold()
        for name, project_name in projects_by_id.items()
    ):
        raise_denied(AccessDecision.HIDDEN)


def make_zip_choices(
    parts: Iterable[SessionPart], options: Iterable[str]
) -> tuple[list[tuple[str, ResourceChoice]], MemberNaming]:
    """What a zip of them holds, and how its members are called: by the folders of the manifest."""
    names_by_session = {part.uuid: part.names for part in parts}
    between = "/" if "simplified" in set(options) else "/files/"

    def choose(connection: Connection, holder: Holder) -> list[ResourcePart]:
        names = names_by_session[holder.uuid]
        scans = session_parts.find_scans(connection, holder)
        rows = session_parts.find_resources(connection, holder, scans=scans) + session_parts.find_resources(
            connection, holder
        )
        return [resource_row for resource_row in rows if (resource_row.scan_id, resource_row.label) in names]

    def called(holder: Holder, resource: ResourcePart, file: FilePart) -> str:
        return f"{names_by_session[holder.uuid][resource.scan_id, resource.label]}{between}{file.name}"

    return [(uuid, choose) for uuid in names_by_session], called


# -- what is kept of them ----------------------------------------------------------------------------------------------


def store_manifest(catalog: Catalog, principal: Principal, choice: ManifestRequest) -> str:
    """Keep a choice; its id is the account's name and the moment, as the original's. Usage `request_invalid`.

    Beside it stay the newest that the account has, in count and in bytes.
    """
    assert principal.account_id is not None
    text = choice.to_json()
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise RequestInvalid(f"The manifest has {size:,} bytes.", f"At most {MAX_BYTES:,} are kept: ask in parts.")
    with catalog.write() as connection:
        connection.execute(select(account.c.id).where(account.c.id == principal.account_id).with_for_update())
        now = moment = now_ms(connection)
        is_own = download_manifest.c.account_id == principal.account_id
        rows = connection.execute(
            select(download_manifest.c.id, download_manifest.c.name, download_manifest.c.bytes)
            .where(is_own)
            .order_by(download_manifest.c.id.desc())
        ).all()
        names = {row.name for row in rows}
        while _make_id(principal, moment) in names:
            moment += 1
        values = {"name": _make_id(principal, moment), "request": text, "bytes": size, "created": now}
        connection.execute(insert(download_manifest).values(account_id=principal.account_id, **values))
        too_old = []
        for n, row in enumerate(rows, 2):
            size += row.bytes
            if n > MAX_MANIFESTS or size > MAX_BYTES:
                too_old.append(row.id)
        connection.execute(delete(download_manifest).where(is_own, download_manifest.c.id.in_(too_old)))
    return str(values["name"])


def find_manifest(connection: Connection, principal: Principal, name: str) -> ManifestRequest:
    """One of an account's own. AccessDenied, in the same words where there is none and where it is another's."""
    text = connection.execute(
        select(download_manifest.c.request).where(
            download_manifest.c.account_id == principal.account_id, download_manifest.c.name == name
        )
    ).scalar_one_or_none()
    if text is None:
        raise_denied(AccessDecision.HIDDEN)
    return ManifestRequest.from_json(text)


def _make_id(principal: Principal, moment: int) -> str:
    created = datetime.fromtimestamp(moment / 1000, UTC)
    return f"{principal.name}-{created:%Y%m%d_%H%M%S}{moment % 1000:03}"

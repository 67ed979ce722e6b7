"""Manifests of downloads, as XNAT's Desktop Client takes them: each resource of some sessions, with where its zip is.

A manifest is made of what stands when it is asked for. Those that were asked for by REST are called by an id: what was
chosen then is kept in the catalog, and rights are asked anew each time.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from scandock.access.clock import now_ms
from scandock.access.principal import Principal, raise_denied
from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.server_tables import accession, account, download_manifest, scan_edit
from scandock.catalog.own_resources import Holder
from scandock.catalog.tables import project, resource, scan, session
from scandock.model import request_limits
from scandock.model.request_errors import RequestInvalid
from scandock.model.xml_text import quote_attribute
from scandock.model.xnat_ids import experiment_id, resource_id
from scandock.rules.permissions import Action, AccessDecision
from scandock.services import rights, session_parts
from scandock.services.finding import find_experiments
from scandock.services.resource_zips import Choice, Naming, scan_folder
from scandock.services.session_parts import FilePart, ResourcePart
from scandock.web import urls

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_LISTS: Final = ("scan_types", "scan_formats", "resources")
OPTIONS: Final = ("projectIncludedInPath", "subjectIncludedInPath", "simplified")
KEPT: Final = request_limits.MANIFESTS
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


def selection_of(asked: Mapping[str, Sequence[str | None] | None]) -> Selection:
    """What the lists of a request choose; without any of them it is everything.

    Pages of the original escape what stands in them, so names count unescaped too; `NULL` is a scan without a type.
    """
    lists = {name: asked.get(name) for name in _LISTS}
    if all(one is None for one in lists.values()):
        return Selection(everything=True)
    named = {name: frozenset(_spellings(one or ())) for name, one in lists.items()}
    types = named["scan_types"]
    return Selection(
        scan_types=types | {""} if "NULL" in types else types,
        scan_formats=named["scan_formats"],
        resources=named["resources"],
    )


def _spellings(names: Iterable[str | None]) -> Iterator[str]:
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
class Part:
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


class _Folders:
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


def parts_of(rows: Iterable[Listed], selection: Selection, options: Iterable[str] = ()) -> Iterator[Part]:
    """Rows of `rows_of_project`, `rows_of_sessions` as sessions of a manifest."""
    folders = _Folders(options)
    for _, group in groupby(rows, key=lambda row: row.uuid):
        of_session = list(group)
        first = of_session[0]
        above, number = folders.of_session(first), experiment_id(first.number)
        folders.keep_for_scans(above, {row.scan_id for row in of_session if row.scan_id is not None})
        scans: list[Entry] = []
        own: list[Entry] = []
        names: dict[tuple[str | None, str], str] = {}
        for row in of_session:
            if row.resource is None or not selection.takes(row.scan_id, row.scan_type, row.resource):
                continue
            folder = folders.of_resource(above, row)
            names[row.scan_id, row.resource] = folder
            entry = Entry(folder=folder, uri=_uri(number, row, row.resource), bytes=row.bytes or 0)
            (own if row.scan_id is None else scans).append(entry)
        yield Part(
            id=number, uuid=first.uuid, project=first.project, subject=first.subject, label=first.label,
            scans=scans, own=own, names=names,
        )  # fmt: skip


def _uri(number: str, row: Listed, name: str) -> str:
    """The files of a resource: by its label, or by its id where the label would be read as something else."""
    if not _PLAIN.fullmatch(name) or session_parts.is_all(name):
        name = resource_id(row.uuid, row.scan_id, name)
    return urls.manifest_entry(number, row.scan_id, name)


def write_manifest(file: IO[bytes], name: str, parts: Iterable[Part], description: str = "") -> None:
    """Write the document: an `entrySet` for each session, in it one for its scans and one for its own resources."""

    def write(text: str) -> None:
        file.write(text.encode("utf-8", "backslashreplace"))

    said = f" description={quote_attribute(description)}" if description else ""
    write(_HEAD.format(quote_attribute(name), said))
    write("<cat:sets>\n")
    for part in parts:
        told = f"Project: {part.project}, subject: {part.subject}, label: {part.label}"
        write(f"<cat:entrySet ID={quote_attribute(part.id)} description={quote_attribute(told)}>\n")
        sets = [(kind, entries) for kind, entries in (("RAW", part.scans), ("RESOURCES", part.own)) if entries]
        if sets:
            write("<cat:sets>\n")
        for kind, entries in sets:
            write(f'<cat:entrySet ID="{kind}" description={quote_attribute(f"{told} {kind}")}>\n<cat:entries>\n')
            for entry in entries:
                write(f"<cat:entry name={quote_attribute(entry.folder)} URI={quote_attribute(entry.uri)}/>\n")
            write("</cat:entries>\n</cat:entrySet>\n")
        if sets:
            write("</cat:sets>\n")
        write("</cat:entrySet>\n")
    write("</cat:sets>\n</cat:Catalog>\n")


def rows_of_project(connection: Connection, principal: Principal, name: str) -> Iterator[Listed]:
    """The resources with files of all archived sessions of a project. Denied."""
    rights.check(connection, principal, Action.SESSION_READ, name)
    return _rows(connection, project.c.key == name.casefold())


def rows_of_session(connection: Connection, uuid: str) -> Iterator[Listed]:
    """The same of one session, whose right to be read was checked."""
    return _rows(connection, session.c.uuid == uuid)


def rows_of_sessions(connection: Connection, uuids: Iterable[str]) -> Iterator[Listed]:
    """The same of several ones."""
    for part in split_values(uuids):
        yield from _rows(connection, session.c.uuid.in_(part))


def _rows(connection: Connection, of: ColumnElement[bool]) -> Iterator[Listed]:
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
        .where(session.c.place == "archive", of)
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
        asked = set(options)
        return cls(
            sessions=sessions, selection=selection_of(lists), options=tuple(one for one in OPTIONS if one in asked)
        )

    @classmethod
    def from_json(cls, text: str) -> ManifestRequest:
        """The choice that `to_json` wrote."""
        said = json.loads(text)
        lists = {name: frozenset(said[name]) for name in _LISTS}
        selection = Selection(everything=said["everything"], **lists)
        return cls(sessions=tuple(said["sessions"]), selection=selection, options=tuple(said["options"]))

    def to_json(self) -> str:
        """The choice as the catalog keeps it."""
        lists = {name: sorted(getattr(self.selection, name)) for name in _LISTS}
        everything = self.selection.everything
        return json.dumps({"sessions": self.sessions, "options": self.options, "everything": everything, **lists})


def chosen_parts(connection: Connection, principal: Principal, choice: ManifestRequest) -> list[Part]:
    """The sessions as they stand, each with what is chosen of it. Denied where one may not be read, or is gone."""
    found = find_experiments(connection, principal, choice.sessions)
    rows = rows_of_sessions(connection, [one.standing.uuid for one in found])
    return list(parts_of(rows, choice.selection, choice.options))


def check_sessions(connection: Connection, principal: Principal, named: Mapping[str, str]) -> None:
    """Denied unless all sessions may be read; `named` has the project that each id is said to be of, or nothing."""
    of = {one.id: one.standing.project for one in find_experiments(connection, principal, list(named))}
    if any(said and said.casefold() != of.get(name, "").casefold() for name, said in named.items()):
        raise_denied(AccessDecision.HIDDEN)


def zip_choices(parts: Iterable[Part], options: Iterable[str]) -> tuple[list[tuple[str, Choice]], Naming]:
    """What a zip of them holds, and how its members are called: by the folders of the manifest."""
    every = {part.uuid: part.names for part in parts}
    between = "/" if "simplified" in set(options) else "/files/"

    def choose(connection: Connection, standing: Holder) -> list[ResourcePart]:
        names = every[standing.uuid]
        scans = session_parts.scans_of(connection, standing)
        rows = session_parts.resources_of(connection, standing, scans=scans) + session_parts.resources_of(
            connection, standing
        )
        return [one for one in rows if (one.scan_id, one.label) in names]

    def called(standing: Holder, resource: ResourcePart, file: FilePart) -> str:
        return f"{every[standing.uuid][resource.scan_id, resource.label]}{between}{file.name}"

    return [(uuid, choose) for uuid in every], called


# -- what is kept of them ----------------------------------------------------------------------------------------------


def keep_manifest(catalog: Catalog, principal: Principal, choice: ManifestRequest) -> str:
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
        own = download_manifest.c.account_id == principal.account_id
        rows = connection.execute(
            select(download_manifest.c.id, download_manifest.c.name, download_manifest.c.bytes)
            .where(own)
            .order_by(download_manifest.c.id.desc())
        ).all()
        names = {row.name for row in rows}
        while _id(principal, moment) in names:
            moment += 1
        values = {"name": _id(principal, moment), "request": text, "bytes": size, "created": now}
        connection.execute(insert(download_manifest).values(account_id=principal.account_id, **values))
        too_old = []
        for n, row in enumerate(rows, 2):
            size += row.bytes
            if n > KEPT or size > MAX_BYTES:
                too_old.append(row.id)
        connection.execute(delete(download_manifest).where(own, download_manifest.c.id.in_(too_old)))
    return str(values["name"])


def find_manifest(connection: Connection, principal: Principal, name: str) -> ManifestRequest:
    """One of an account's own. Denied, in the same words where there is none and where it is another's."""
    text = connection.execute(
        select(download_manifest.c.request).where(
            download_manifest.c.account_id == principal.account_id, download_manifest.c.name == name
        )
    ).scalar_one_or_none()
    if text is None:
        raise_denied(AccessDecision.HIDDEN)
    return ManifestRequest.from_json(text)


def _id(principal: Principal, moment: int) -> str:
    said = datetime.fromtimestamp(moment / 1000, UTC)
    return f"{principal.name}-{said:%Y%m%d_%H%M%S}{moment % 1000:03}"

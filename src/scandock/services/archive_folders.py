"""The archive as folders and files, read-only, for those who mount it: what stands where in `archive/` of the data
folder, by the same names, as far as one may read it.

Folders are read from the catalog. A tree never changes, so what stands in the folders of the last ones is kept. Who
lists a folder by HTTP asks for the headers of each of its files by itself, thousands of them in a row: for a second
after somebody was let into a session they have those from memory, in a tenth of the time, unless this process has
written to the catalog since. Bytes are always asked for.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import field, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from scandock.access.clock import monotonic
from scandock.access.principal import Principal, ProjectRights, raise_denied
from scandock.access.visibility import projects_where
from scandock.catalog.file_rows import FileRow
from scandock.catalog.server_tables import damage
from scandock.catalog.tables import project, resource, scan, session, tree
from scandock.catalog.trees import files_of, files_of_resources
from scandock.model.dataclass import dataclass
from scandock.model.request_limits import MOUNTED_FILES
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import DAMAGE_SENTENCES
from scandock.services.decoding import Pictures
from scandock.services.downloads import FileDescription, FileDownload, open_file
from scandock.services.file_errors import FileDamaged, FileMissing, FileUnknown, FolderTooLarge
from scandock.store.paths import resource_folder

MAX_LISTED: Final = MOUNTED_FILES
"""Files of a session whose folders are listed; so many are kept in memory of all sessions together."""

VISIT_SECONDS: Final = 1.0
"""For how long the headers of a session's files are given from memory to who was let into it."""

_VISITS: Final = 256
_DICOM: Final = "application/dicom"
_OTHER: Final = "application/octet-stream"


class FileEntry(NamedTuple):
    """A file of a folder."""

    n: int
    """Its number within the session."""
    size: int
    sha256: bytes
    media_type: str


Entries = dict[str, FileEntry | None]
"""What stands in a folder, by name; None for a folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, and when what is in it was made, in Unix milliseconds."""

    entries: Entries
    created: dict[str, int]
    """Of those entries that have a time of their own: sessions."""
    modified: int | None = None
    """Of all others."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of a session, by its path."""

    session: str
    """The UUID of its session."""
    project: str
    n: int
    description: FileDescription


@dataclass(slots=True)
class _TreeFolders:
    """The folders of a session's tree, by their paths in it ("" is its own)."""

    folders: dict[str, Entries] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)
    """The number of the resource whose files a folder has."""
    files: int = 0
    """Files that are kept."""
    has_files: bool = True
    """Whether there are not too many of them to be kept."""

    def add_folder(self, path: str) -> Entries:
        """The entries of a folder, made with all above it where it is missing."""
        entries = self.folders.get(path)
        if entries is None:
            entries = self.folders[path] = {}
            if path:
                above, _, name = path.rpartition("/")
                self.add_folder(above)[name] = None
        return entries


class _Session(NamedTuple):
    """A session of the archive, as a path names it."""

    uuid: str
    label: str
    project: str
    tree_id: int
    created: int
    """When its tree was made."""
    files: int


# Made once: they are asked for each file, and take longer to make than to be answered.
_SESSION: Final = (
    select(session.c.uuid, session.c.label, project.c.name, session.c.tree_id, tree.c.created, session.c.files)
    .join(project, project.c.id == session.c.project_id)
    .join(tree, tree.c.id == session.c.tree_id)
    .where(
        project.c.key == bindparam("project"), session.c.key == bindparam("label"), session.c.place == "archive"
    )
)  # fmt: skip
_RESOURCES: Final = (
    select(resource.c.n, resource.c.label, scan.c.scan_id)
    .outerjoin(scan, (scan.c.tree_id == resource.c.tree_id) & (scan.c.n == resource.c.scan_n))
    .where(resource.c.tree_id == bindparam("tree"))
)
_DAMAGE: Final = select(damage.c.file_n, damage.c.kind).where(damage.c.tree_id == bindparam("tree"))


@dataclass(frozen=True, slots=True)
class _Visit:
    """That somebody was let into a session, and what they may know of it for a moment."""

    until: float
    writes: int
    """`Catalog.writes` before they were let in: what this process changes of rights is heeded at once."""
    account_id: int | None
    session: _Session
    folders: _TreeFolders
    damaged: Mapping[int | None, str]
    """Kind of damage by file; None is the whole folder."""

    def describe(self, entry: FileEntry) -> ArchivedFile:
        """A file, unless it is damaged: Usage `file_damaged`."""
        kind = self.damaged.get(None) or self.damaged.get(entry.n)
        if kind is not None:
            raise FileDamaged(
                f"The file is damaged: {DAMAGE_SENTENCES[kind]}.", "Import the archive again, which heals it."
            )
        description = FileDescription(
            name="",  # rclone would look for it under another one in its folder's place
            size=entry.size,
            sha256=entry.sha256.hex(),
            media_type=entry.media_type,
            modified=self.session.created,
        )
        return ArchivedFile(self.session.uuid, self.session.project, entry.n, description)


class ArchiveFolders:
    """The folders of the trees that were looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._trees: OrderedDict[tuple[int, int], _TreeFolders] = OrderedDict()
        self._files = 0
        self._visits: OrderedDict[tuple[bytes, str, str], _Visit] = OrderedDict()

    def find(self, context: ServiceContext, path: str, reader: bytes | None = None) -> Folder | ArchivedFile:
        """What stands at a path below `archive/`, for who may read it. AccessDenied, Usage `file_unknown`,
        `file_damaged`, `folder_too_large`.

        Neither an empty piece nor another case of letters names anything. `reader`: what the request is known by to
        `find_again`, for a second.
        """
        if path and "" in path.split("/"):
            raise_denied(AccessDecision.HIDDEN if context.principal.signed_in else AccessDecision.SIGN_IN)
        project_name, _, rest = path.partition("/")
        label, _, inner = rest.partition("/")
        began, writes = monotonic(), context.catalog.writes
        with context.catalog.read() as connection:
            if not project_name:
                return _list_projects(connection, context.principal)
            rights.check(connection, context.principal, Action.SESSION_READ, project_name)
            if not label:
                return _list_sessions(connection, context.principal, project_name)
            found = _find_session(connection, context.principal, project_name, label)
            tree_folders = self._folders_of(connection, found)
            damaged = {row.file_n: row.kind for row in connection.execute(_DAMAGE, {"tree": found.tree_id})}
            visit = _Visit(began + VISIT_SECONDS, writes, context.principal.account_id, found, tree_folders, damaged)
            if reader is not None:
                self._note_visit((reader, project_name, label), visit)
            entries = tree_folders.folders.get(inner)
            if entries is not None:
                if not tree_folders.has_files and inner in tree_folders.resources:
                    raise FolderTooLarge(found.files, MAX_LISTED)
                return Folder(entries, {}, found.created)
            entry = _find_entry(connection, tree_folders, found.tree_id, inner)
            if entry is None:
                raise FileUnknown("There is no such file or folder in the session.", "Look into the folder above.")
            return visit.describe(entry)

    def find_again(self, reader: bytes, path: str, writes: int) -> tuple[ArchivedFile, int | None] | None:
        """A file of a session that `reader` was let into within the last second, and their account; from memory alone.

        `writes`: those of the catalog by now. None for whatever is to be asked by `find`. Usage `file_damaged`.
        """
        project_name, _, rest = path.partition("/")
        label, _, inner = rest.partition("/")
        with self._lock:
            visit = self._visits.get((reader, project_name, label))
        if visit is None or visit.writes != writes or monotonic() >= visit.until:
            return None
        folder, _, name = inner.rpartition("/")
        entry = visit.folders.folders.get(folder, {}).get(name)
        return None if entry is None else (visit.describe(entry), visit.account_id)

    def _note_visit(self, key: tuple[bytes, str, str], visit: _Visit) -> None:
        with self._lock:
            self._visits[key] = visit
            self._visits.move_to_end(key)
            while len(self._visits) > _VISITS or next(iter(self._visits.values())).until < visit.until - VISIT_SECONDS:
                self._visits.popitem(last=False)  # one that is over keeps a tree in memory

    def _folders_of(self, connection: Connection, found: _Session) -> _TreeFolders:
        key = (found.tree_id, found.created)  # numbers of trees may come again
        tree_folders = self._get(key)
        if tree_folders is None:
            with self._reading:  # one at a time: those who wait have what the first has read
                tree_folders = self._get(key)
                if tree_folders is None:
                    tree_folders = _read_folders(connection, found)
                    self._keep(key, tree_folders)
        return tree_folders

    def _get(self, key: tuple[int, int]) -> _TreeFolders | None:
        with self._lock:
            tree_folders = self._trees.get(key)
            if tree_folders is not None:
                self._trees.move_to_end(key)
        return tree_folders

    def _keep(self, key: tuple[int, int], tree_folders: _TreeFolders) -> None:
        with self._lock:
            self._trees[key] = tree_folders
            self._files += tree_folders.files + 1
            while self._files > MAX_LISTED + 1 and len(self._trees) > 1:
                _, oldest = self._trees.popitem(last=False)
                self._files -= oldest.files + 1


def open_archived_file(
    context: ServiceContext, folders: ArchiveFolders, pictures: Pictures, path: str, found: Folder | ArchivedFile
) -> FileDownload:
    """Open the file that was found at a path. As `ArchiveFolders.find`; Fault `file_missing`.

    The audit trail tells of it once an hour for each session and reader: a mount reads a file in many pieces.
    """
    for _ in range(_TRIES):
        if isinstance(found, Folder):
            raise FileUnknown("There is a folder of that name.", "End its address in a slash.")
        with contextlib.suppress(FileUnknown):
            download = open_file(context, found.session, found.n, audited=False)
            try:
                if download.sha256 == found.description.sha256:
                    _note_download(context, pictures, found)
                    return replace(download, name=found.description.name, media_type=found.description.media_type)
            except BaseException:
                download.close()
                raise
            download.close()
        found = folders.find(context, path)  # another tree was published meanwhile, where files have other numbers
    raise FileMissing


_TRIES: Final = 5


def _note_download(context: ServiceContext, pictures: Pictures, found: ArchivedFile) -> None:
    account_id = context.principal.account_id
    where = context.request.address if context.request is not None and account_id is None else ""
    reader = ("tree", account_id, where, found.session)
    if not pictures.is_new_view(reader):
        return
    try:
        with context.catalog.write() as connection:
            context.note(connection, AuditAction.DOWNLOAD, found.session, found.project, {"tree": True})
    except BaseException:
        pictures.forget_view(reader)
        raise


def _list_projects(connection: Connection, principal: Principal) -> Folder:
    rights.check_scope(principal, Action.SESSION_READ)
    query = select(project.c.name, project.c.created).where(projects_where(principal, Action.SESSION_READ))
    rows = connection.execute(query.order_by(project.c.name)).all()
    return Folder({row.name: None for row in rows}, {row.name: row.created for row in rows})


def _list_sessions(connection: Connection, principal: Principal, project_name: str) -> Folder:
    _check_project_name(connection, principal, project_name)
    rows = connection.execute(
        select(session.c.label, tree.c.created)
        .join(project, project.c.id == session.c.project_id)
        .join(tree, tree.c.id == session.c.tree_id)
        .where(project.c.key == project_name.casefold(), session.c.place == "archive")
        .order_by(session.c.key)
    ).all()
    return Folder({row.label: None for row in rows}, {row.label: row.created for row in rows})


def _check_project_name(connection: Connection, principal: Principal, project_name: str) -> None:
    """Raise AccessDenied where a project that may be read is written otherwise."""
    known_project = ProjectRights(connection).find(project_name)
    if known_project is None or known_project.name != project_name:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)


def _find_session(connection: Connection, principal: Principal, project_name: str, label: str) -> _Session:
    row = connection.execute(_SESSION, {"project": project_name.casefold(), "label": label.casefold()}).first()
    found = None if row is None else _Session(*row)
    if found is None or (found.project, found.label) != (project_name, label):
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    return found


def _read_folders(connection: Connection, found: _Session) -> _TreeFolders:
    tree_folders = _TreeFolders(has_files=found.files <= MAX_LISTED)
    tree_folders.add_folder("")
    folder_paths: dict[int, str] = {}
    for row in connection.execute(_RESOURCES, {"tree": found.tree_id}):
        path = resource_folder(row.scan_id, row.label)
        folder_paths[row.n] = path
        tree_folders.resources[path] = row.n
        tree_folders.add_folder(path)
    if tree_folders.has_files:
        with closing(files_of(connection, found.tree_id)) as rows:
            for file_row in rows:
                above, slash, name = file_row.name.rpartition("/")
                folder = folder_paths[file_row.resource_n]
                entries = tree_folders.add_folder(f"{folder}/{above}" if slash else folder)
                entries[name] = _make_entry(file_row)
                tree_folders.files += 1
    return tree_folders


def _make_entry(row: FileRow) -> FileEntry:
    return FileEntry(row.n, row.bytes, row.sha256, _OTHER if row.sop_uid is None else _DICOM)


def _find_entry(connection: Connection, tree_folders: _TreeFolders, tree_id: int, path: str) -> FileEntry | None:
    """The file at a path of a tree, of whose files it may be that none are kept."""
    if tree_folders.has_files:
        folder, _, name = path.rpartition("/")
        return tree_folders.folders.get(folder, {}).get(name)
    for folder, number in tree_folders.resources.items():
        if path.startswith(f"{folder}/"):
            name = path.removeprefix(f"{folder}/")
            rows = files_of_resources(connection, tree_id, {number})
            return next((_make_entry(row) for row in rows if row.name == name), None)
    return None

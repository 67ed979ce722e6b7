"""Paths of what is stored: the only module that makes and parses one.

A *tree path* is where a published tree stands under DATA: `archive/{project}/{session}`,
`prearchive/{project}/{yyyyMMdd_HHmmssSSS}/{session}` (design.md "On disk"; xnat-behaviour.md 5.1), or
`resources/{project}/{key}` of what a project (`project`) or a subject (its UUID) has of its own.
A *relpath* is a file or folder inside a tree or a stage, pieces joined by `/`. A *data path* is anything under DATA,
the store's own to open.

All three are strings at run time: they go into columns, JSON and messages as they are, and 200,000 of them cost no
more. For mypy they are abstract classes, so nobody else can make one, and the store takes nothing less: text from a
column, a document or a request comes through `parse_tree` or `parse_rel`. Whatever isn't made of the characters allowed
here raises ValueError: nothing from a header or an entry name becomes a path piece unchecked. `below` alone checks
nothing, as it is called for every file: the store checks each piece when it opens it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from scandock.model.tree_parts import TreeParts

if TYPE_CHECKING:
    from collections.abc import Iterable

    class DataPath(str):
        """What stands somewhere under DATA."""

        @abstractmethod
        def made_in_store_paths(self) -> None: ...

    class TreePath(DataPath):
        """Where a published tree stands under DATA."""

    class RelPath(str):
        """A file or folder inside a tree or a stage."""

        @abstractmethod
        def made_in_store_paths(self) -> None: ...

else:
    DataPath = TreePath = RelPath = str

ARCHIVE: Final = "archive"
PREARCHIVE: Final = "prearchive"
RESOURCES: Final = "resources"
AREAS: Final = tuple(cast("DataPath", area) for area in (ARCHIVE, PREARCHIVE, RESOURCES))

INCOMING: Final = cast("DataPath", "incoming")
_OBJECT: Final = "object-"
WORK: Final = cast("DataPath", "work")
TRASH: Final = cast("DataPath", "trash")
RECEIPTS: Final = cast("DataPath", "receipts")
TO_DELETE: Final = cast("DataPath", "trash/now")
"""What is to be deleted as soon as someone has time; the rest of trash/ is kept for its retention time."""

MAX_LABEL: Final = 128
"""Characters of a label; the rules cut at 64, suffixes that tell two apart come on top."""
MAX_PIECE_BYTES: Final = 255
MAX_PATH_BYTES: Final = 1024
"""Of a relpath in UTF-8: with DATA and the name before it, well under the 4,096 that the system takes."""
MAX_LEVELS: Final = 64

_DIGITS: Final = frozenset("0123456789")
_LABEL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_SCAN: Final = _LABEL | {"."}


# -- pieces ------------------------------------------------------------------------------------------------------------


def label(text: str) -> str:
    """`text` if it is a session, resource, upload or token: 1 to 128 of [A-Za-z0-9_-]; else ValueError."""
    if not text or len(text) > MAX_LABEL or not _LABEL.issuperset(text):
        raise ValueError(f"not a label: {text[:200]!r}")
    return text


def project_name(text: str) -> str:
    """`text` if it is a project: a label, and behind it, of a deleted one, `~` and its number; else ValueError."""
    name, mark, number = text.partition("~")
    if mark and not (number and _DIGITS.issuperset(number)):
        raise ValueError(f"not a project: {text[:200]!r}")
    return label(name) + mark + number


def scan_id(text: str) -> str:
    """`text` if it is a scan id: a label that may hold dots, but doesn't begin with one; else ValueError."""
    if not text or len(text) > MAX_LABEL or text[0] == "." or not _SCAN.issuperset(text):
        raise ValueError(f"not a scan id: {text[:200]!r}")
    return text


def timestamp(text: str) -> str:
    """`text` if it is the prearchive's yyyyMMdd_HHmmssSSS; else ValueError. Clients that name one may leave the
    milliseconds out, or a part of them.
    """
    if not 15 <= len(text) <= 18 or text[8] != "_" or not _DIGITS.issuperset(text[:8] + text[9:]):
        raise ValueError(f"not a prearchive timestamp: {text[:200]!r}")
    return text


def path_component(text: str) -> str:
    """`text` if it can stand as one file or folder name; else ValueError.

    Refused: empty, `.`, `..`, slash, backslash, NUL and other controls, more than 255 bytes, what isn't UTF-8.
    """
    if _SCAN.issuperset(text) and 0 < len(text) <= MAX_PIECE_BYTES and text[0] != ".":
        return text  # nearly every file: one set test
    if text in {"", ".", ".."} or any(c in "/\\\x7f" or c < " " for c in text):
        raise ValueError(f"not a file name: {text[:200]!r}")
    if len(text.encode("utf-8")) > MAX_PIECE_BYTES:  # lone surrogates raise UnicodeEncodeError, a ValueError
        raise ValueError(f"file name over {MAX_PIECE_BYTES} bytes: {text[:60]!r}...")
    return text


# -- published trees ---------------------------------------------------------------------------------------------------


def archive_path(project: str, session: str) -> TreePath:
    """Of an archived session."""
    return cast("TreePath", f"{ARCHIVE}/{project_name(project)}/{label(session)}")


def prearchive_path(project: str, stamp: str, session: str) -> TreePath:
    """Of a prearchive session."""
    return cast("TreePath", f"{PREARCHIVE}/{project_name(project)}/{timestamp(stamp)}/{label(session)}")


def path_in_session(text: str) -> str:
    """Of a file's path under DATA in a session, archived or in the prearchive: its path below the session's folder."""
    pieces = text.split("/")
    return "/".join(pieces[4 if pieces[0] == PREARCHIVE else 3 :])


def resources_path(project: str, key: str) -> TreePath:
    """Of what a project or a subject has of its own."""
    return cast("TreePath", f"{RESOURCES}/{project_name(project)}/{label(key)}")


def tree_path(parts: TreeParts) -> TreePath:
    """Of what the catalog says of a session, or of a project's or subject's own resources."""
    if parts.area == PREARCHIVE:
        return prearchive_path(parts.project, parts.timestamp, parts.session)
    make = {ARCHIVE: archive_path, RESOURCES: resources_path}.get(parts.area)
    if make is None or parts.timestamp:
        raise ValueError(f"not the place of a tree: {parts!r}")
    return make(parts.project, parts.session)


def tree_parts(name: str) -> TreeParts:
    """The parts of a tree path; ValueError where it isn't one, so that this is the check as well."""
    match name.split("/"):
        case ["archive", project, session]:
            return TreeParts(ARCHIVE, project_name(project), "", label(session))
        case ["prearchive", project, stamp, session]:
            return TreeParts(PREARCHIVE, project_name(project), timestamp(stamp), label(session))
        case ["resources", project, key]:
            return TreeParts(RESOURCES, project_name(project), "", label(key))
    raise ValueError(f"not the name of a tree: {name[:200]!r}")


def parse_tree(text: str) -> TreePath:
    """A tree path that was kept as text, in a column or a document; ValueError."""
    tree_parts(text)
    return cast("TreePath", text)


def parse_prefix(text: str) -> DataPath:
    """An area, a project's folder in one, a timestamp of the prearchive, or a tree path; ValueError."""
    pieces = text.split("/")
    if pieces[0] not in AREAS or len(pieces) > 4:
        raise ValueError(f"not a prefix of names: {text[:200]!r}")
    for check, piece in zip((project_name, label, label), pieces[1:], strict=False):
        check(piece)
    return cast("DataPath", text)


def split_tree(path: str, *, is_folder: bool) -> tuple[str, RelPath]:
    """What was met under an area: where its tree is to stand, or what it lies in above that level, and where in it.

    Nothing is checked: people put there what they like.
    """
    parts = path.split("/")
    depth = _depth(path)
    cut = depth if len(parts) > depth or (len(parts) == depth and is_folder) else len(parts) - 1
    return "/".join(parts[:cut]), cast("RelPath", "/".join(parts[cut:]))


def is_as_deep_as_trees(name: str) -> bool:
    """Whether what was met under an area stands where trees do, and not above them."""
    return name.count("/") + 1 >= _depth(name)


def _depth(path: str) -> int:
    return 4 if path.partition("/")[0] == PREARCHIVE else 3


def area_of(path: TreePath) -> DataPath:
    """The folder that all trees of a kind stand in."""
    return cast("DataPath", path.partition("/")[0])


# -- files of a tree ---------------------------------------------------------------------------------------------------


def scan_folder(scan: str) -> RelPath:
    """Of all that a scan has, in a session's tree."""
    return cast("RelPath", f"scans/{scan_id(scan)}")


@lru_cache(4096)
def resource_folder(scan: str | None, resource: str) -> RelPath:
    """Of the files of a scan's resource, or (None) of one of the session's own."""
    folder = f"resources/{label(resource)}/files"
    return cast("RelPath", folder if scan is None else f"{scan_folder(scan)}/{folder}")


def path_below(folder: RelPath, name: str) -> RelPath:
    """What stands in a folder of a tree or a stage, by its name there; `name` may have folders, and isn't checked."""
    return cast("RelPath", f"{folder}/{name}" if folder else name)


def resource_file(scan: str | None, resource: str, name: str) -> RelPath:
    """Of a file of a resource."""
    return path_below(resource_folder(scan, resource), name)


def relative_to(folder: RelPath, rel: RelPath) -> RelPath:
    """What stands below a folder as seen from there."""
    return cast("RelPath", rel.removeprefix(f"{folder}/"))


def folder_of(rel: RelPath) -> RelPath:
    """The folder in which a file is."""
    return cast("RelPath", rel.rpartition("/")[0])


def segment_path(name: str) -> RelPath:
    """Of a segment in its stage; ValueError where that is no name of one."""
    return path_below(SEGMENTS, label(name))


def unchecked_path(text: str) -> RelPath:
    """A path as the listing of a folder gave it, whoever put it there: the store checks what it opens."""
    return cast("RelPath", text)


def split_path(rel: RelPath) -> tuple[RelPath, str]:
    """Folder ("" at the top) and checked last piece of a relpath; the folder is checked by whoever opens it."""
    folder, slash, name = rel.rpartition("/")
    if slash and not folder:
        raise ValueError(f"not a relative path: {rel[:200]!r}")
    return cast("RelPath", folder), path_component(name)


def parse_rel(text: str) -> RelPath:
    """A relpath of text; ValueError unless each of its pieces can stand and it isn't too long or deep."""
    pieces = text.split("/")
    for piece in pieces:
        path_component(piece)
    if len(pieces) > MAX_LEVELS or len(text.encode("utf-8")) > MAX_PATH_BYTES:
        raise ValueError(f"path over {MAX_LEVELS} levels or {MAX_PATH_BYTES} bytes: {text[:60]!r}...")
    return cast("RelPath", text)


# -- what a stage holds ------------------------------------------------------------------------------------------------

TREE_ROOT: Final = cast("RelPath", "")
"""Of an entry whose bytes are not kept, and of a tree that stands elsewhere already; also a stage's own top."""
IMAGES: Final = cast("RelPath", "in")
"""Images as they are read, in the folders that are placed whole."""
SCRUBBED: Final = cast("RelPath", "scrubbed")
"""Images as they are de-identified."""
LOOSE: Final = cast("RelPath", "loose")
ECAT: Final = cast("RelPath", "ecat")
BIG: Final = cast("RelPath", "big")
"""Images that are not in memory, until their header is read."""
INNER: Final = cast("RelPath", "inner")
"""Archives inside the archive, while they are read."""
SEGMENTS: Final = cast("RelPath", "segments")
"""Images of a reader, one behind the other (`segment_writer.py`)."""
REPEATS: Final = cast("RelPath", "repeats")
"""Repeats, to be given up at once."""
MIGRATED: Final = cast("DataPath", "store-migration.jsonl")
"""Which trees a migration to a bucket has copied."""
MOVED: Final = cast("RelPath", "moved")
"""The files of a session that moves, where no folder of the store has them."""
SPOOL_PARTS: Final = cast("RelPath", "parts.json")
"""Where the parts of an upload lie that is read from a bucket."""
LEDGER: Final = cast("RelPath", "ledger.db")
RECEIPT: Final = cast("RelPath", "receipt.jsonl.gz")
"""The sealed receipt, until it is kept."""
AMENDED_RECEIPT: Final = cast("RelPath", "amended.jsonl.gz")
CHANGED_TREE: Final = cast("RelPath", "tree")
"""The tree of a change by hand, which has one."""
SENT_FILES: Final = cast("RelPath", "f")
"""Files of a request, by number, until they are of a tree."""


def job_tree(number: int) -> RelPath:
    """Of the tree that is put together for one of an import's sessions."""
    return cast("RelPath", f"{CHANGED_TREE}/{number}")


def uid_key(uid: str) -> str:
    """The folder name that stands for a UID inside the stage."""
    return hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest()[:24]


def image_folder(study_key: str, series_key: str, kind: str, images: RelPath = IMAGES) -> RelPath:
    """Where the images of a series wait, by `uid_key` of both; `kind` is D or S (secondary)."""
    return cast("RelPath", f"{images}/{study_key}/{series_key}/{kind}")


EARLY: Final = cast("RelPath", f"{SCRUBBED}/early")
"""What was de-identified as it was read, until it is known of which job it is."""


def scrubbed_folder(number: int) -> RelPath:
    """Of the new objects of one of an import's sessions, which have no names in common with originals."""
    return cast("RelPath", f"{SCRUBBED}/{number}")


def alternate_path(path: RelPath, suffix: str = "") -> RelPath:
    """Another name beside a path, for what finds that taken."""
    return cast("RelPath", f"{path}~{suffix}")


# -- what else stands under DATA ---------------------------------------------------------------------------------------


def data_path_below(folder: DataPath, name: str) -> DataPath:
    """What stands in a folder under DATA, by its name there."""
    return cast("DataPath", f"{folder}/{name}")


def parent_folders(path: DataPath) -> list[DataPath]:
    """Folders above a path, nearest first; the last is the area."""
    folders = []
    head = path.rpartition("/")[0]
    while head:
        folders.append(cast("DataPath", head))
        head = head.rpartition("/")[0]
    return folders


def work_folder(upload: str) -> DataPath:
    """Of all that is staged for an upload."""
    return data_path_below(WORK, label(upload))


LOCK: Final = "lock"
"""Beside the tokens in an upload's work folder; see work_locks.py."""


def lock_file(upload: str) -> DataPath:
    """Of the lock of whoever works on an upload."""
    return data_path_below(work_folder(upload), LOCK)


def stage_folder(upload: str, token: str) -> DataPath:
    """Of one attempt's stage."""
    return data_path_below(work_folder(upload), label(token))


def upload_of(stage: DataPath) -> str:
    """The upload of a stage's folder."""
    return stage.split("/")[1]


def exchange_path(tree: DataPath) -> DataPath:
    """Where the old tree waits beside a staged one during an exchange in three steps."""
    return cast("DataPath", f"{tree}.aside")


def staged_path(stage: DataPath, rel: RelPath) -> DataPath:
    """Of something in a stage, checked."""
    return data_path_below(stage, parse_rel(rel))


def spool_folder(upload: str) -> DataPath:
    """Of an upload's bytes as they arrive."""
    return data_path_below(INCOMING, label(upload))


def spool_file(upload: str) -> DataPath:
    """Of the bytes themselves."""
    return data_path_below(spool_folder(upload), "archive")


def spool_object(upload: str, number: int) -> DataPath:
    """Of an object that stands beside them until the spool is finished."""
    return data_path_below(spool_folder(upload), f"{_OBJECT}{number}")


def spool_object_numbers(names: Iterable[str]) -> list[int]:
    """The numbers of such objects, by the names in a spool's folder."""
    numbers = (name.removeprefix(_OBJECT) for name in names if name.startswith(_OBJECT))
    return sorted(int(number) for number in numbers if number.isascii() and number.isdecimal())


def receipt_file(upload: str) -> DataPath:
    """Of an upload's receipt."""
    return data_path_below(RECEIPTS, f"{label(upload)}.jsonl.gz")


def trash_entry(trash: str) -> DataPath:
    """Of what was taken out under an id (`store.trash.new_id`)."""
    return data_path_below(TRASH, label(trash))


def trash_tree(trash: str) -> DataPath:
    """Of the tree itself."""
    return data_path_below(trash_entry(trash), "tree")


def trash_note(trash: str) -> DataPath:
    """Of what is said of it."""
    return data_path_below(trash_entry(trash), "what.json")


def parse_stored(text: str) -> DataPath:
    """A tree path or an entry of the trash that was kept as text; ValueError."""
    start, _, trash = text.partition("/")
    return trash_entry(trash) if start == TRASH else parse_tree(text)


def tree_of(stored: DataPath) -> DataPath:
    """Where the tree itself stands: at its path, or in its entry of the trash."""
    return data_path_below(stored, "tree") if stored.startswith(f"{TRASH}/") else stored

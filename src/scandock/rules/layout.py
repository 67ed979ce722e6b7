r"""Where an entry stands in the folder layouts that are known: the documented one and XNAT's own.

The uploader documents `{session}/scans/{scan}/resources/{name}/files/...` (xnat-behaviour.md 0); a session's own files
stand in `{session}/resources/{name}/files/...`, an assessor's in `{session}/assessors/{id}[/out]/resources/...`; XNAT's
disk has `{session}/SCANS/{scan}/DICOM|secondary/...` (2.7). Any folders may stand before, in any case, parted by `/`
or, as Windows tools write them, by a backslash. Names come decoded, so a Shift-JIS second byte 0x5C is no backslash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

IMAGE_RESOURCES: Final = frozenset({"dicom", "ecat", "secondary"})
"""Resource folders that hold images, casefolded (rules.md, "Which entries are images" 2)."""

_XNAT_DISK_RESOURCES: Final = frozenset({"nifti", "snapshots"})
"""Beside the image folders the only names taken as resources in `SCANS/{scan}/{name}`, which has no `files` to tell
it from a disc that happens to have a folder `scans`: there, images go by content alone."""

_CLIMBING: Final = re.compile(r"^[/\\]|^[A-Za-z]:|\0|(?:^|[/\\])\.\.(?:[/\\]|$)|(?:^|[/\\])\.?$")
"""Absolute, with a drive, with a NUL, through `..`, or without a base name."""
_SEPARATORS: Final = "/\\"
_ODD_LAST: Final = "/\\.\n"
"""With one of these, or none, ends what has no base name."""
_PARTS: Final = re.compile(r"[/\\]+")
MAX_FOLDERS: Final = 256
"""Folders of a name that are told apart; deeper ones make one last piece, and no layout is looked for among them."""
_REMEMBERED: Final = 512
"""Characters of a folder part that is worth remembering: a cache of names of 65,535 bytes would be the bomb."""


class EntryLayout(NamedTuple):
    """What the folders of an entry say about it; names as they are written, unchecked: never a path piece as such."""

    base: str
    session_folder: str | None = None
    scan_folder: str | None = None
    resource: str | None = None
    is_image_folder: bool = False
    """In a resource folder named DICOM, ECAT or secondary."""
    is_resource_folder: bool = False
    """In a resource folder of any other name: what lies there is a resource, DICOM too."""
    folders: tuple[str, ...] = ()
    """All folders before the base name, empty and `.` pieces left out, `..` resolved (never above the top)."""
    rest: tuple[str, ...] = ()
    """The folders beneath the resource folder; all of them outside one."""
    session_depth: int = 0
    """How many of `folders` lead to and include the session folder (0: the archive's top)."""


class _LayoutIndexes(NamedTuple):
    session: int
    """Index of the session folder in the folders; -1: none named."""
    scan: int
    resource: int
    rest: int


def parse_layout(path: str, outer: Sequence[str] = ()) -> EntryLayout:
    """Read the layout from an entry's name.

    `path` is the name within its innermost archive. `outer`, where given, holds the names of the archives around it,
    outermost first, each as it stands in its own parent: it is asked only where the inner name has no layout of its
    own, so that a zip kept in `resources/NOTES/files` gives files of NOTES (and of no scan).
    """
    folder, base = split_path(path)
    place = _parse_folder(folder)
    if place.resource is None:
        for at in range(len(outer) - 1, -1, -1):
            around = _parse_folder(split_path(outer[at])[0])
            if around.resource is not None:
                between = [piece for name in outer[at + 1 :] for piece in split_folders(name)]
                rest = (*around.rest, split_path(outer[at])[1], *between, *place.folders)
                return _replace_base(around, base, place.folders, rest)
    return _replace_base(place, base, place.folders, place.rest)


def escapes_archive(name: str) -> bool:
    """Whether an entry's name, taken as a path, would lead out of its archive or to no file at all.

    Nothing follows it, since names never become paths here; but it is said: whoever made such a name meant it to be.
    """
    may_be = (
        ".." in name or "\0" in name or name[:1] in _SEPARATORS or name[1:2] == ":" or name[-1:] in _ODD_LAST
    )  # of nearly all names this is known in a tenth of the time
    return may_be and _CLIMBING.search(name) is not None


def split_path(path: str) -> tuple[str, str]:
    """Folder part and base name; the base name is empty for a name that ends in a separator, `.` or `..`."""
    cut = max(path.rfind("/"), path.rfind("\\")) + 1
    base = path[cut:]
    return (path, "") if base in {".", ".."} else (path[:cut], base)


def split_folders(folder: str) -> tuple[str, ...]:
    """The pieces of a folder part, without empty and `.` pieces; `..` takes one back and never leaves the top."""
    return _cached_folders(folder) if len(folder) <= _REMEMBERED else _folders(folder)


def _folders(folder: str) -> tuple[str, ...]:
    pieces: list[str] = []
    for piece in _PARTS.split(folder):
        if piece == "..":
            if pieces:
                pieces.pop()
        elif piece not in {"", "."}:
            pieces.append(piece)
    if len(pieces) > MAX_FOLDERS:
        pieces[MAX_FOLDERS - 1 :] = ["/".join(pieces[MAX_FOLDERS - 1 :])]
    return tuple(pieces)


def _parse_folder(folder: str) -> EntryLayout:
    return _cached_layout(folder) if len(folder) <= _REMEMBERED else _layout(folder)


def _layout(folder: str) -> EntryLayout:
    folders = split_folders(folder)
    indexes = _find_layout([piece.casefold() for piece in folders])
    if indexes is None:
        return EntryLayout(base="", folders=folders, rest=folders)
    resource = folders[indexes.resource]
    images = resource.casefold() in IMAGE_RESOURCES
    return EntryLayout(
        session_folder=folders[indexes.session] if indexes.session >= 0 else None,
        scan_folder=folders[indexes.scan] if indexes.scan >= 0 else None,
        resource=resource,
        is_image_folder=images,
        is_resource_folder=not images,
        base="",
        folders=folders,
        rest=folders[indexes.rest :],
        session_depth=indexes.session + 1,
    )


_cached_folders = lru_cache(maxsize=4096)(_folders)
_cached_layout = lru_cache(maxsize=4096)(_layout)


def _find_layout(low: list[str]) -> _LayoutIndexes | None:
    """The outermost layout in casefolded folders: what lies in a resource is that resource's, whatever its folders."""
    for i, piece in enumerate(low):
        if piece == "scans" and i + 2 < len(low):
            if low[i + 2] == "resources" and low[i + 4 : i + 5] == ["files"]:
                return _LayoutIndexes(i - 1, i + 1, i + 3, i + 5)
            if low[i + 2] in IMAGE_RESOURCES or low[i + 2] in _XNAT_DISK_RESOURCES:
                return _LayoutIndexes(i - 1, i + 1, i + 2, i + 3)
        elif piece == "resources" and low[i + 2 : i + 3] == ["files"]:
            return _LayoutIndexes(_session_before(low, i), -1, i + 1, i + 3)
    return None


def _session_before(low: list[str], at: int) -> int:
    """Index of the session folder before a session-level `resources`, past an assessor's own folders."""
    for back in (2, 3):
        if at >= back and low[at - back] == "assessors":
            return at - back - 1
    return at - 1


def _replace_base(place: EntryLayout, base: str, folders: tuple[str, ...], rest: tuple[str, ...]) -> EntryLayout:
    return EntryLayout(
        session_folder=place.session_folder,
        scan_folder=place.scan_folder,
        resource=place.resource,
        is_image_folder=place.is_image_folder,
        is_resource_folder=place.is_resource_folder,
        base=base,
        folders=folders,
        rest=rest,
        session_depth=place.session_depth,
    )

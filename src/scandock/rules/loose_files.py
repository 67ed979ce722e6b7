"""To which session a file belongs that is no image: by the folders it shares with images (rules.md, "Which entries" 2).

A loose file belongs to a study when its folder tree holds exactly that one. Its *folder tree* is the nearest folder
above it, up to the top of its own archive, beneath which any image lies. An inner archive is a folder of the folder
that it lies in; but a file inside one never looks beyond that archive's top, so that what stands in one patient's zip
is not given to the patient of the next. A file of a resource folder belongs to the study of its `{session}` folder, and
to the series of its `{scan}` folder where just one came from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from scandock.model.dataclass import dataclass
from scandock.rules.layout import EntryLayout, parse_layout, split_folders, split_path

MAX_NODES: Final = 100_000
"""Folders that are told apart in one upload; images beneath further ones count for the folders above only."""
MANY: Final = 8
"""Distinct studies (or series) that are counted for one folder: one is a home, more are just many."""


class EntryPath(NamedTuple):
    """Where an entry stands: the names of the inner archives around it, outermost first, and its own name."""

    outer: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyMatch:
    """Where a file that is no image goes; `study` None: nowhere, and `reason` says why in a clause."""

    study: str | None
    series: str | None = None
    reason: str = ""


@dataclass(slots=True)
class _Node:
    studies: frozenset[str] = frozenset()
    children: dict[str, _Node] | None = None
    series: frozenset[tuple[str, str]] = frozenset()
    """(study, series) that came from here; kept on scan folders alone."""


class FolderIndex:
    """The folders of an upload that hold images, built once from the images' names; asked for every other file.

    Adding costs the depth of the name, asking too; memory is bounded by MAX_NODES whatever the names are.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._nodes = 1
        self._sets: dict[frozenset[str], frozenset[str]] = {}
        self._last: tuple[tuple[str, ...], str, str, str] | None = None

    def add_image(self, spot: EntryPath, study: str, series: str = "") -> None:
        """Count an image: `study` is its session's key (a study UID, a sha256 for ECAT), `series` the scan's."""
        folder, _ = split_path(spot.path)
        if (spot.outer, folder, study, series) == self._last:
            return
        self._last = (spot.outer, folder, study, series)
        place = parse_layout(spot.path)
        top, pieces = _pieces(spot.outer, place.folders)
        node = self._root
        self._count(node, study)
        scan_depth = top + place.session_depth + 2 if place.scan_folder is not None else -1
        for depth, piece in enumerate(pieces, 1):
            if node.children is None:
                node.children = {}
            child = node.children.get(piece)
            if child is None:
                if self._nodes >= MAX_NODES:
                    return
                child = node.children[piece] = _Node()
                self._nodes += 1
            node = child
            self._count(node, study)
            if depth == scan_depth and len(node.series) < MANY:
                node.series |= {(study, series)}

    def _count(self, node: _Node, study: str) -> None:
        """Note a study beneath a folder; equal sets are one object, since thousands of folders share them."""
        if study not in node.studies and len(node.studies) < MANY:
            more = node.studies | {study}
            node.studies = self._sets.setdefault(more, more)

    def find_study(self, spot: EntryPath) -> StudyMatch:
        """Where a file that is no image, or lies in a resource folder, belongs."""
        place = parse_layout(spot.path, spot.outer)
        if place.resource is None:
            return self._loose_home(spot.outer, place.folders)
        if parse_layout(spot.path).resource is None:
            spot, place = _find_layout_level(spot)
        return self._resource_home(spot.outer, place)

    def _loose_home(self, outer: tuple[str, ...], folders: tuple[str, ...]) -> StudyMatch:
        top, pieces = _pieces(outer, folders)
        path = self._path(pieces)
        for node in reversed(path[top:]):
            if node.studies:
                return _single_study(node.studies, "the nearest folder above it that holds images")
        return StudyMatch(study=None, reason="no image lies in the folders above it")

    def _resource_home(self, outer: tuple[str, ...], place: EntryLayout) -> StudyMatch:
        top, pieces = _pieces(outer, place.folders)
        depth = top + place.session_depth
        path = self._path(pieces[: depth + 2])
        if len(path) <= depth:
            return StudyMatch(study=None, reason="no image lies in its session folder")
        if place.scan_folder is not None and len(path) == depth + 3:
            series = path[depth + 2].series
            if len(series) == 1:
                study, uid = next(iter(series))
                return StudyMatch(study=study, series=uid or None)
            studies = {study for study, _ in series}
            if len(studies) == 1:
                return StudyMatch(study=studies.pop())
        return _single_study(path[depth].studies, "its session folder")

    def _path(self, pieces: Sequence[str]) -> list[_Node]:
        """The nodes from the root down the pieces, as far as images were met."""
        path = [self._root]
        for piece in pieces:
            child = (path[-1].children or {}).get(piece)
            if child is None:
                break
            path.append(child)
        return path


def split_levels(path: str, levels: int) -> EntryPath:
    """Take apart a receipt path that joins `levels` names by `!`.

    Names may hold a `!` themselves: then the joints are looked for behind names that end like an archive.
    """
    parts = path.split("!")
    while len(parts) > max(levels, 1):
        at = next(
            (i for i, part in enumerate(parts[:-1]) if not part.lower().endswith(_ARCHIVE_SUFFIXES)), len(parts) - 2
        )
        parts[at : at + 2] = [f"{parts[at]}!{parts[at + 1]}"]
    return EntryPath(tuple(parts[:-1]), parts[-1])


_ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst")


def _pieces(outer: tuple[str, ...], folders: tuple[str, ...]) -> tuple[int, list[str]]:
    """The pieces of a place in the one tree of the upload, and how many lead to its archive's top."""
    pieces: list[str] = []
    for name in outer:
        folder, base = split_path(name)
        pieces += map(_shorten, split_folders(folder))
        pieces.append(_shorten(base + "!"))
    top = len(pieces)
    pieces += map(_shorten, folders)
    return top, pieces


def _shorten(piece: str) -> str:
    """A folder's name, or for one that no file system could hold its hash."""
    if len(piece) <= 255:
        return piece
    return hashlib.sha256(piece.encode("utf-8", "surrogatepass")).hexdigest()


def _find_layout_level(spot: EntryPath) -> tuple[EntryPath, EntryLayout]:
    """The inner archive around a file whose own name stands in a resource folder, and that name's place."""
    for at in range(len(spot.outer) - 1, -1, -1):
        place = parse_layout(spot.outer[at])
        if place.resource is not None:
            return EntryPath(spot.outer[:at], spot.outer[at]), place
    return spot, parse_layout(spot.path)


def _single_study(studies: frozenset[str], where: str) -> StudyMatch:
    if len(studies) == 1:
        return StudyMatch(study=next(iter(studies)))
    count = f"{len(studies)}" if len(studies) < MANY else f"{MANY} or more"
    return StudyMatch(study=None, reason=f"{where} holds {count} studies" if studies else f"no image lies in {where}")

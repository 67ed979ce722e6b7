"""What is known of files of a stage, by the paths that they have now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from scandock.store.paths import path_below, unchecked_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scandock.store.handles import SegmentPlace
    from scandock.store.paths import RelPath
    from scandock.store.records import Blob


class KnownFile(NamedTuple):
    """What is known of a staged file."""

    size: int
    sha256: bytes
    blob: Blob | None
    """Where its bytes are in the bucket, once they have been sent."""
    place: SegmentPlace | None = None
    """Where they are in the stage, if it has no file of its own there."""


class KnownFiles:
    """What is known of staged files, by the paths that they have now."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, KnownFile]] = {}
        self._children: dict[str, set[str]] = defaultdict(set)
        """The folders that are right in a folder, by its path, also where none has files any more."""
        self._files_of: dict[str, int] = defaultdict(int)

    def add(self, rel: str, known: KnownFile) -> None:
        """Note a file, or more of one."""
        self._put(rel, known)
        if known.blob is not None:
            self._files_of[known.blob.object] += 1

    def _put(self, rel: str, known: KnownFile) -> None:
        folder, _, name = rel.rpartition("/")
        self._open_folder(folder)[name] = known

    def _open_folder(self, folder: str) -> dict[str, KnownFile]:
        if folder not in self._folders:
            self._folders[folder] = {}
            child = folder
            while child:
                parent = child.rpartition("/")[0]
                if child in self._children[parent]:
                    break
                self._children[parent].add(child)
                child = parent
        return self._folders[folder]

    def find(self, rel: str) -> KnownFile | None:
        folder, _, name = rel.rpartition("/")
        return self._folders.get(folder, {}).get(name)

    def count_files(self, key: str) -> int:
        """How many files were put into an object."""
        return self._files_of[key]

    def move(self, old: str, new: str) -> None:
        """Follow a file, or a folder with all that is in it."""
        for folder, files in self._take_below(old):
            self._open_folder(new + folder[len(old) :]).update(files)
        folder, _, name = old.rpartition("/")
        known = self._folders.get(folder, {}).pop(name, None)
        if known is not None:
            self._put(new, known)

    def remove(self, rel: str) -> None:
        """Forget a file, or a folder with all that is in it."""
        self._take_below(rel)
        folder, _, name = rel.rpartition("/")
        self._folders.get(folder, {}).pop(name, None)

    def _take_below(self, rel: str) -> list[tuple[str, dict[str, KnownFile]]]:
        """Take out a folder and all that are below it, with their files."""
        taken = [(folder, self._folders.pop(folder)) for folder in list(self._list_below(rel))]
        waiting = [rel]
        while waiting:
            waiting.extend(self._children.pop(waiting.pop(), ()))
        self._children[rel.rpartition("/")[0]].discard(rel)
        return taken

    def _list_below(self, rel: str) -> Iterator[str]:
        """The folder and those below it that have, or had, files."""
        waiting = [rel]
        while waiting:
            folder = waiting.pop()
            waiting.extend(self._children.get(folder, ()))
            if folder in self._folders:
                yield folder

    def has(self, rel: str) -> bool:
        """Whether it is one of these files, or a folder in which one is."""
        return self.find(rel) is not None or any(self._folders[folder] for folder in self._list_below(rel))

    def below(self, rel: str) -> Iterator[tuple[RelPath, KnownFile]]:
        """The files that are in a folder, or below it, with their paths."""
        for folder in self._list_below(rel):
            for name, known in self._folders[folder].items():
                yield path_below(unchecked_path(folder), name), known

    def forget_objects(self) -> None:
        """Know of no file any more that it was sent."""
        self._files_of.clear()
        for folder in self._folders.values():
            folder.update({name: known._replace(blob=None) for name, known in folder.items()})

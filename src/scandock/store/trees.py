"""Published trees: the renames that make a session visible, and those that move it.

Every rename goes by a path from DATA (see stages.py). Empty parents (`prearchive/P/TS`, `archive/P`) are removed when a
tree leaves them; whoever publishes into one that vanishes in that moment makes it again.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from scandock.model.errors import TokenLost
from scandock.store import paths, syscalls
from scandock.store.durability import disk_fault, sync_folder
from scandock.store.errors import StoreFailed, TreeMissing
from scandock.store.folder_cache import FOLDER_MODE
from scandock.store.space import can_exchange

if TYPE_CHECKING:
    from scandock.store.paths import DataPath, RelPath, TreePath
    from scandock.store.records import Mark
    from scandock.store.root import Root

_TRIES: Final = 1000


class PublishedTrees:
    """The verbs on names; remembers which folders must be synced."""

    __slots__ = ("_root", "_settling", "_unsynced")

    def __init__(self, root: Root) -> None:
        self._root = root
        self._unsynced: set[DataPath] = set()
        self._settling = threading.Lock()

    def standing(self, name: TreePath, mark: Mark) -> bool | None:
        """See port.Store.standing."""
        number = self._root.inode(paths.parse_tree(name))
        if number is None:
            return None
        return number == mark.number and mark.stamp in (None, self._root.stamp(name))

    def publish_new(self, stage_path: DataPath, rel: RelPath, name: TreePath, mark: Mark) -> None:
        """See moves.PublishNew; `stage_path` is the stage's path below DATA."""
        paths.parse_tree(name)
        source = paths.staged_path(stage_path, rel)
        if self._root.inode(name) != mark.number:
            self._expect(source, stage_path, rel, mark)
            try:
                self._rename_new(source, name)
            except FileNotFoundError:
                self._expect(source, stage_path, rel, mark)
                raise
        self.touched(source, name)

    def publish_replace(self, stage_path: DataPath, rel: RelPath, name: TreePath, mark: Mark) -> None:
        """See moves.PublishReplace."""
        paths.parse_tree(name)
        source = paths.staged_path(stage_path, rel)
        if self._root.inode(name) != mark.number:
            self._expect(source, stage_path, rel, mark)
            self._expect_area(name)
            if self._root.inode(name) is None and self._root.inode(paths.exchange_path(source)) is None:
                self.publish_new(stage_path, rel, name, mark)
                return
            try:
                self._exchange(source, name)
            except FileNotFoundError:
                self.publish_new(stage_path, rel, name, mark)
                return
            except OSError as error:
                raise disk_fault(error, f"exchanging {name}") from error
        self._finish_exchange(source)
        self.touched(source, name)

    def _exchange(self, source: DataPath, name: TreePath) -> None:
        fd = self._root.fd
        if can_exchange(self._root):
            syscalls.exchange(source, name, fd)
            return
        if self._root.inode(name) is not None:
            os.rename(name, paths.exchange_path(source), src_dir_fd=fd, dst_dir_fd=fd)
        self._rename_new(source, name)

    def _finish_exchange(self, source: DataPath) -> None:
        """The last step of an exchange by hand: the old tree to where the new one stood."""
        if self._root.inode(paths.exchange_path(source)) is not None:
            syscalls.rename_new(paths.exchange_path(source), source, self._root.fd)

    def rename(self, old: TreePath, new: TreePath, mark: Mark) -> None:
        """See moves.MoveTree."""
        paths.parse_tree(old)
        paths.parse_tree(new)
        if self._root.inode(new) != mark.number:
            if self._root.inode(old) != mark.number:
                raise FileNotFoundError(2, "No such tree", old)
            self._rename_new(old, new)
        self.prune(old)
        self.touched(old, new)

    def bring(self, source: DataPath, name: TreePath) -> None:
        """Rename what stands at `source` (a path below DATA) to the free name `name`."""
        self._rename_new(source, name)
        self.touched(source, name)

    def _rename_new(self, source: DataPath, name: TreePath) -> None:
        """Rename to a name that must be free, its parents made, however often others remove them meanwhile."""
        for _ in range(_TRIES):
            try:
                self._make_parents(name)
                syscalls.rename_new(source, name, self._root.fd)
            except FileNotFoundError:
                if self._root.inode(source) is None:
                    raise
            except FileExistsError:
                raise
            except OSError as error:
                raise disk_fault(error, f"placing {name}") from error
            else:
                return
        raise StoreFailed(f"The folder of {name} vanished again and again.", "Import it again.")

    def _expect(self, source: DataPath, stage_path: DataPath, rel: RelPath, mark: Mark) -> None:
        """TokenLost where the stage of a staged tree is gone, Fault where the tree isn't the one meant."""
        if self._root.inode(source) == mark.number:
            return
        if self._root.inode(stage_path) is None:
            upload = paths.upload_of(stage_path)
            raise TokenLost(f"Upload {upload} has been taken over by another process.")
        raise TreeMissing(f"The staged tree {rel} isn't there any more.", "Import it again.")

    def _expect_area(self, name: TreePath) -> None:
        """Fault `store_missing` where the area is gone: it may be a disk that is not mounted, and is not made here."""
        area = paths.area_of(name)
        if area in paths.AREAS and not self._root.stands(area):
            raise self._root.gone(area)

    def _make_parents(self, name: TreePath) -> None:
        self._expect_area(name)
        for parent in reversed(paths.parent_folders(name)):
            try:
                os.mkdir(parent, FOLDER_MODE, dir_fd=self._root.fd)
            except FileExistsError:
                continue

    def prune(self, name: TreePath) -> None:
        """Remove the parents of `name` that are empty now."""
        for parent in paths.parent_folders(name)[:-1]:
            try:
                os.rmdir(parent, dir_fd=self._root.fd)
            except OSError:
                return  # not empty, or gone: someone else's now

    def touched(self, *touched: DataPath) -> None:
        """Remember that the folders above these paths must be synced before anyone says done."""
        for path in touched:
            above = paths.parent_folders(path)
            self._unsynced.update(above if above[-1] in paths.AREAS else above[:1])

    def settle(self) -> None:
        """Sync them, deepest first; Fault sync_failed, and then all of them stay to be synced.

        One thread at a time: who finds its folders in another's hands waits until they are synced.
        """
        with self._settling:
            folders = sorted(self._unsynced, key=lambda path: (-path.count("/"), path))
            for folder in folders:
                sync_folder(folder, self._root.fd)
            self._unsynced.difference_update(folders)

"""What a process remembers of trees that never changes: which tree of the store each is, and the folders of resources.

A tree's name is not enough to know which one it is: between the switch of a tree and its publication the store is newer
than the catalog. Whoever opens a tree for the first time asks the catalog before and after (`services.downloads`). What
it finds is so for as long as the session points at that tree: with the tree's mark no question is needed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from scandock.catalog.own_resources import Holder
    from scandock.store.paths import RelPath
    from scandock.store.port import Mark

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = 10_000
"""Trees, and folders, that are remembered: some 5 MB together."""


class _Recent(Generic[K, V]):
    """The last values that were asked for, for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def find(self, key: K) -> V | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value
            while len(self._values) > KEPT:
                self._values.popitem(last=False)


class TreeCache:
    """Of trees that sessions, or own resources, point at. Their numbers may come again, in another session."""

    def __init__(self) -> None:
        self._marks: _Recent[tuple[str, int], Mark] = _Recent()
        self._folders: _Recent[tuple[str, int, int], RelPath] = _Recent()

    def find_mark(self, holder: Holder) -> Mark | None:
        """The mark of the tree; None where none has opened it yet."""
        return self._marks.find((holder.uuid, holder.tree_id))

    def keep_mark(self, holder: Holder, mark: Mark) -> None:
        """Remember the mark of the tree."""
        self._marks.keep((holder.uuid, holder.tree_id), mark)

    def find_folder(self, holder: Holder, resource_n: int) -> RelPath | None:
        """The folder of a resource's files, by its number in the tree; None where none has asked for it yet."""
        return self._folders.find((holder.uuid, holder.tree_id, resource_n))

    def keep_folder(self, holder: Holder, resource_n: int, folder: RelPath) -> None:
        """Remember the folder of a resource's files."""
        self._folders.keep((holder.uuid, holder.tree_id, resource_n), folder)

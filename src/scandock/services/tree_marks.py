"""Which tree of the store is which of the catalog: what snapshots have shown, remembered for those that come later.

A name is not enough to know that: between the switch of a tree and its publication the store is newer than the catalog.
Whoever opens a tree for the first time asks the catalog before and after (`services.downloads`). What it finds is so
for as long as the session points at that tree, since neither of them ever changes: with the mark no question is needed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scandock.catalog.own_resources import Holder
    from scandock.store.port import Mark

KEPT: Final = 10_000
"""Trees that are remembered: some 3 MB."""


class TreeMarks:
    """The marks of trees that a process has opened, for all of its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: OrderedDict[tuple[str, int], Mark] = OrderedDict()

    def find(self, holder: Holder) -> Mark | None:
        """The mark of the tree that a session, or own resources, point at; None where none has opened it yet."""
        key = _key(holder)
        with self._lock:
            mark = self._marks.get(key)
            if mark is not None:
                self._marks.move_to_end(key)
        return mark

    def keep(self, holder: Holder, mark: Mark) -> None:
        """Remember the mark of the tree that they point at."""
        with self._lock:
            self._marks[_key(holder)] = mark
            while len(self._marks) > KEPT:
                self._marks.popitem(last=False)


def _key(holder: Holder) -> tuple[str, int]:
    """Numbers of trees may come again, in another session."""
    return holder.uuid, holder.tree_id

"""The trash: what a replace or delete took out, kept for its retention time; and the sweep that deletes.

`trash/{yyyymmddThhmmss}-{id}/` holds `tree` and `what.json`. What nobody may want back lies under `trash/now/` until a
sweep has time: moving it there is one rename, deleting 200,000 files takes longer than any import should wait.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from scandock.store import paths, syscalls
from scandock.store.durability import disk_fault, replace_file, sync_folder
from scandock.store.paths import TO_DELETE, TRASH
from scandock.store.records import TrashEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scandock.store.paths import DataPath
    from scandock.store.root import Root

_STAMP: Final = "%Y%m%dT%H%M%S"


def new_trash_id(now: float | None = None) -> str:
    """An id that sorts by time (UTC): `20261124T081530-6f1c...`."""
    stamp = time.strftime(_STAMP, time.gmtime(time.time() if now is None else now))
    return f"{stamp}-{os.urandom(8).hex()}"


def trashed_at(trash: str) -> int:
    """Unix seconds in a trash id; ValueError where it isn't one."""
    stamp, dash, rest = trash.partition("-")
    if not dash or not rest:
        raise ValueError(f"not a trash id: {trash[:200]!r}")
    paths.label(trash)
    import calendar

    return calendar.timegm(time.strptime(stamp, _STAMP))


class Trash:
    """The verbs on what was taken out."""

    __slots__ = ("_root",)

    def __init__(self, root: Root) -> None:
        self._root = root

    def retire(self, path: DataPath, trash: str, note: Mapping[str, object]) -> str | None:
        """Move `path` (below DATA, checked) to the trash under an id; repeatable. None where nothing is there."""
        trashed_at(trash)
        entry, tree = paths.trash_entry(trash), paths.trash_tree(trash)
        inside = self._root.inode(tree) is not None
        if self._root.inode(path) is None and not inside:
            return None
        try:
            if not inside:
                self._root.make(entry)
                self._describe(trash, {"was": path, **note})
                syscalls.rename_new(path, tree, self._root.fd)
        except FileNotFoundError:
            if self._root.inode(tree) is None:
                self._root.give_up(entry)
                return None
        except OSError as error:
            raise disk_fault(error, f"retiring {path}") from error
        sync_folder(entry, self._root.fd)
        sync_folder(TRASH, self._root.fd)
        sync_folder(paths.parent_folders(path)[0], self._root.fd)
        return trash

    def _describe(self, trash: str, details: Mapping[str, object]) -> None:
        """Write what.json by rename, synced: it is there whole or not at all, before the tree is."""
        import json

        content = json.dumps(details, sort_keys=True).encode()
        replace_file(paths.trash_note(trash), content, self._root.fd)

    def entries(self) -> Iterator[TrashEntry]:
        """What is in the trash, oldest first; an entry that a kill left without its tree is left out."""
        for trash in self._ids():
            if self._root.inode(paths.trash_tree(trash)) is not None:
                yield TrashEntry(trash, self._what(trash))

    def _ids(self) -> Iterator[str]:
        for trash in self._root.list(TRASH):
            try:
                trashed_at(trash)
            except ValueError:
                continue  # `now`, and what people put there
            yield trash

    def _what(self, trash: str) -> dict[str, object]:
        import json

        try:
            fd = os.open(paths.trash_note(trash), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root.fd)
            with os.fdopen(fd, "rb") as reader:
                details = json.load(reader)
        except (OSError, ValueError):
            return {}
        return details if isinstance(details, dict) else {}

    def standing(self, trash: str) -> int | None:
        """The number of the folder of the tree that lies under an id, None where none does."""
        trashed_at(trash)
        return self._root.inode(paths.trash_tree(trash))

    def tree_of(self, trash: str) -> DataPath:
        """Where the tree of an entry lies; FileNotFoundError."""
        if self.standing(trash) is None:
            raise FileNotFoundError(2, "Not in the trash", trash)
        return paths.trash_tree(trash)

    def discard(self, trash: str) -> None:
        """See port.Store.discard_trash."""
        trashed_at(trash)
        self._root.give_up(paths.trash_entry(trash))

    def purge(self, older_than: float, now: float | None) -> list[str]:
        """See port.Store.purge."""
        limit = (time.time() if now is None else now) - older_than
        old = [trash for trash in self._ids() if trashed_at(trash) <= limit]
        for trash in old:
            self._root.give_up(paths.trash_entry(trash))
        return old

    def rubbish(self) -> list[DataPath]:
        """Paths of what waits for the sweep."""
        return [paths.data_path_below(TO_DELETE, name) for name in self._root.list(TO_DELETE)]

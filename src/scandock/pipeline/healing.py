"""Files of a joined session that are not in the store as they were stored, and how an import that brings them heals it.

Nothing is read for it: whether a file is there and has its size is all that is asked, beside what verification found. A
bucket's rows answer that whatever the bucket has lost: it is asked itself for the objects that an import has files of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Final, Protocol

from scandock.pipeline.ledger import Ledger
from scandock.rules.notices import Notice, make_notice
from scandock.store.errors import TreeDamaged, TreeMissing
from scandock.store.paths import RelPath, TreePath
from scandock.store.port import Store

GONE: Final = 1
"""The ledger's `base.broken`: no file stands there."""
RESIZED: Final = 2
"""The ledger's `base.broken`: the file has another size than the stored one had."""
CHANGED: Final = 3
"""The ledger's `base.broken`: the file has its size, but verification read other bytes in it, or none; or the bucket
has lost its object.
"""
_REPEATED: Final = (
    (
        "SELECT b.path FROM entry e CROSS JOIN base b INDEXED BY base_sop ON b.job = ? AND b.sop = e.sop"
        " WHERE e.job = ? AND e.sop <> ''"
    ),
    (
        "SELECT b.path FROM entry e CROSS JOIN base b INDEXED BY base_sha256 ON b.job = ? AND b.sha256 = e.sha256"
        " WHERE e.job = ? OR e.content = 'loose'"
    ),
    (
        "SELECT b.path FROM entry e CROSS JOIN base b INDEXED BY base_origin ON b.job = ? AND b.origin = e.origin"
        " WHERE e.job = ?"
    ),
)
"""Base files that something of the upload may be a duplicate of. Loose files are of no job yet."""
_BRING: Final = "Import an archive that has these files; `scandock check` names all."


class StoredFiles(Protocol):
    """What stands of a joined session."""

    def open(self, rel: RelPath, /) -> IO[bytes]: ...
    def size(self, rel: RelPath, /) -> int | None: ...
    def lost(self, rels: Iterable[RelPath], /) -> Iterator[RelPath]: ...


class _NoFiles:
    """A session whose folder is gone."""

    def open(self, rel: RelPath, /) -> IO[bytes]:
        raise FileNotFoundError(2, "The session's folder is gone", rel)

    def size(self, rel: RelPath, /) -> int | None:  # noqa: ARG002
        return None

    def lost(self, rels: Iterable[RelPath], /) -> Iterator[RelPath]:  # noqa: ARG002
        return iter(())


@contextmanager
def open_stored_files(store: Store, name: TreePath) -> Iterator[StoredFiles]:
    """What stands of the session `name`, be it nothing."""
    try:
        snapshot = store.snapshot(name)
    except FileNotFoundError:
        yield _NoFiles()
        return
    with snapshot:
        yield snapshot


def mark_broken(ledger: Ledger, job: int, stored_files: StoredFiles) -> None:
    """Mark in the ledger the base files that are lost, gone or cut, beside those that verification found."""
    lost = [(CHANGED, job, path) for path in stored_files.lost(_repeated(ledger, job))]
    ledger.many("UPDATE base SET broken = ? WHERE job = ? AND path = ?", lost)
    broken = []
    for n, path, size in ledger.stream("SELECT n, path, bytes FROM base WHERE job = ? ORDER BY n", (job,)):
        size_on_disk = stored_files.size(path)
        if size_on_disk != size:
            broken.append((GONE if size_on_disk is None else RESIZED, job, n))
    ledger.many("UPDATE base SET broken = ? WHERE job = ? AND n = ?", broken)


def _repeated(ledger: Ledger, job: int) -> Iterator[RelPath]:
    """Paths of the base files that something of the upload may be the duplicate of; some of them twice."""
    for query in _REPEATED:
        yield from (path for (path,) in ledger.stream(query, (job, job)))


def mark_changed(ledger: Ledger, job: int, damaged: Iterable[int]) -> None:
    """Mark in the ledger the base files, by number, that verification did not find as they were stored.

    `mark_broken` marks those of them as gone that are.
    """
    ledger.many("UPDATE base SET broken = ? WHERE job = ? AND n = ?", [(CHANGED, job, n) for n in damaged])


class Healer:
    """The broken files of the session that a job joins; which are healed, and what is left."""

    def __init__(self, ledger: Ledger, job: int) -> None:
        self._ledger = ledger
        self._job = job
        self.mended: list[int] = []
        """Numbers of the base files that were healed."""
        broken = self._broken()
        self.gone = frozenset(n for n, _, how in broken if how == GONE)
        """Numbers of the base files that were not there at the beginning, healed or not."""
        self._whole = not broken
        (count,) = ledger.rows("SELECT COUNT(*) FROM base WHERE job = ?", (job,))[0]
        self.all_gone = len(self.gone) == count

    def _broken(self) -> list[tuple[int, str, int]]:
        return self._ledger.rows(
            "SELECT n, path, broken FROM base INDEXED BY base_broken WHERE job = ? AND broken > 0 ORDER BY n",
            (self._job,),
        )

    def heals(self, n: int, sha256: bytes) -> bool:
        """Whether these bytes are what a broken base file held; from then on it counts as whole."""
        if self._whole:
            return False
        done = self._ledger.run(
            "UPDATE base SET broken = 0 WHERE job = ? AND n = ? AND broken > 0 AND sha256 = ?", (self._job, n, sha256)
        )
        if done:
            self.mended.append(n)
        return bool(done)

    @property
    def healed(self) -> int:
        """How many files were healed."""
        return len(self.mended)

    def broken(self) -> list[int]:
        """Numbers of the base files that are not healed."""
        return [n for n, _, _ in self._broken()]

    def finish(self, label: str, name: str, dropped: set[int], *, changes: bool) -> list[Notice]:
        """Warnings of the session; `changes` says that a new tree is made.

        Fault tree_damaged or tree_missing where that would be made without files that are gone, unless the import
        heals others: then it leaves the session better than it was.
        """
        if self._whole:
            return []
        unhealed = [(path, broken) for n, path, broken in self._broken() if n not in dropped]
        first = next((path for path, broken in unhealed if broken == GONE), None)
        if changes and first is not None and not self.healed:
            if self.all_gone:
                raise TreeMissing(f"{name} can't be added to: it is gone from the store.", _BRING)
            message = f"{name} can't be added to: files of it are gone from the store, {first} the first of them."
            raise TreeDamaged(message, _BRING)
        warnings = [make_notice("healed", count=self.healed, label=label)] if self.healed else []
        if unhealed:
            warnings.append(
                make_notice("session_damaged", count=len(unhealed), label=label, file=unhealed[0][0].rpartition("/")[2])
            )
        return warnings

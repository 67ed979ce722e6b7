"""Files that go to the bucket while an import is still being read, before it is known which tree takes them.

What readers have finished is packed by study, in the order of its paths, by a thread of the import's process. Nothing
depends on it: a pack of which one tree takes every file stays as it is, the files of all others are packed again when
the stage is sealed, and objects that no row names go with the prefix of their attempt.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Final

from scandock.store.known_files import KnownFile, KnownFiles
from scandock.store.packs import OWN_OBJECT, PACK_BYTES, PACK_FILES, pack_file
from scandock.store.segment_files import SegmentReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scandock.store.handles import ReadFile
    from scandock.store.packs import PackWriter
    from scandock.store.stages import LocalStage

MOST_KNOWN: Final = 50_000
"""Files of which something is kept in memory; those beyond are packed when the stage is sealed."""


class AheadPacks:
    """The thread that packs what readers have finished; `stop` it before the stage is changed."""

    def __init__(self, packs: PackWriter, open_stage: Callable[[], LocalStage], begin: Callable[[], None]) -> None:
        """`begin` notes that the attempt is about to store objects; what `open_stage` gives is closed here."""
        self._packs = packs
        self._open_stage = open_stage
        self._begin = begin
        self._known = KnownFiles()
        self._count = 0
        self._queue: queue.SimpleQueue[list[ReadFile] | None] = queue.SimpleQueue()
        self._ends_early = False
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def add(self, files: Iterable[ReadFile]) -> None:
        """Have files packed, once there are enough of their study."""
        if self._count < MOST_KNOWN:
            more = list(files)
            self._count += len(more)
            self._queue.put(more)

    def stop(self, *, early: bool = False) -> tuple[KnownFiles, bool]:
        """End the thread once all is packed of which there is enough; what is known now, and whether packs are usable.

        They are not where something failed, which is not the import's failure: it packs everything again. `early`: end
        it after the pack that it is filling.
        """
        self._ends_early = early
        self._queue.put(None)
        self._thread.join()
        if self._has_failed:
            self._known.forget_objects()
        return self._known, not self._has_failed

    def _run(self) -> None:
        try:
            with closing(self._open_stage()) as stage, closing(SegmentReader(stage)) as segments:
                waiting: dict[str, list[ReadFile]] = defaultdict(list)
                try:
                    self._work(stage, segments, waiting)
                finally:
                    for file in chain.from_iterable(waiting.values()):
                        self._known.add(file.rel, KnownFile(file.size, file.sha256, None))
            self._packs.wait_sent()  # what fails on its way would fail the seal, which could not pack it again
        except BaseException:  # noqa: BLE001  whatever it is, the seal meets it too, and tells of it, or does not
            self._has_failed = True

    def _work(self, stage: LocalStage, segments: SegmentReader, waiting: dict[str, list[ReadFile]]) -> None:
        """Pack what comes; `waiting`: files by study of which there is not enough yet."""
        sizes: dict[str, int] = defaultdict(int)
        has_begun = False
        while (files := self._queue.get()) is not None:
            for file in files:
                is_alone = file.size > OWN_OBJECT  # and the others wait on, for a pack that is worth it
                if not is_alone:
                    waiting[file.study].append(file)
                    sizes[file.study] += file.size
                if self._ends_early or not (
                    is_alone or sizes[file.study] >= PACK_BYTES or len(waiting[file.study]) >= PACK_FILES
                ):
                    continue
                if not has_begun:
                    self._begin()
                    has_begun = True
                if is_alone:
                    self._pack(stage, segments, file.study, [file])
                else:
                    self._pack(stage, segments, file.study, waiting.pop(file.study))
                    del sizes[file.study]

    def _pack(self, stage: LocalStage, segments: SegmentReader, study: str, files: list[ReadFile]) -> None:
        for file in sorted(files, key=lambda file: file.rel):  # neighbors in a tree are read by one request
            blob = pack_file(self._packs, stage, segments, study, file)
            self._known.add(file.rel, KnownFile(file.size, file.sha256, blob))
        self._packs.close_packs(study)

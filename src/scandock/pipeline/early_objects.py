"""Objects that were de-identified as they were read: taken over by the jobs that they turn out to be of.

Nobody knows then which of them the joined session has already, or which are of one study. So what came of each waits in
the ledger, and takes the place of a reader's work where the late form would have it done (`scrubbing.py`).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Final

from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_tally import OBJECTS, Tally
from scandock.model.series import SeriesTally
from scandock.model.tags import TAGS
from scandock.pipeline.job import Job, JobContext, ScrubOutcome
from scandock.pipeline.staging import move_staged
from scandock.store.paths import EARLY, RelPath, alternate_path, folder_of, path_below, relative_to

_HEAD: Final = 1024 * 1024
_WANTED: Final = frozenset(TAGS)
_UNTAKEN: Final = "job = ? AND verdict = '' AND content = 'dicom' AND known IS NULL AND own_sha256 IS NULL"
"""Entries of a job of which the joined session has nothing, and that are as they came."""
_NEW_VALUES: Final = "size, sha256, staged, study, series, sop, sop_class, frames, dataset_at, syntax, facts"


class EarlyObjects:
    """The early objects of one import."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._ledger = context.ledger
        self._used: set[RelPath] = set()
        """Folders of jobs into which objects were taken."""
        self.is_any = self._ledger.early is not None and bool(self._ledger.rows("SELECT 1 FROM early LIMIT 1"))
        """Whether there are any: all of an import may have been left for the late form."""

    def remarks(self, job: Job) -> Iterator[ScrubOutcome]:
        """What came of a job's objects that the joined session does not have, where that is more than a new object."""
        early = self._ledger.early
        assert early is not None
        assert job.privacy == early.rules, "an object was de-identified by other rules than its project's"
        project = early.variables.get("project")
        assert project in (None, job.final_decision.project), "an object was de-identified for another project"
        last = b""
        while rows := self._ledger.rows(
            "SELECT * FROM early WHERE (state <> 'ok' OR warnings <> '') AND ordinal > ?"
            f" AND ordinal IN (SELECT ordinal FROM entry WHERE {_UNTAKEN}) ORDER BY ordinal LIMIT 1000",
            (last, job.n),
        ):
            last = rows[-1][0]
            for row in rows:
                warnings = tuple(map(tuple, json.loads(row[-1]))) if row[-1] else ()
                yield ScrubOutcome(*row[:-1], warnings=warnings)  # type: ignore[misc]

    def take(self, job: Job) -> list[SeriesTally]:
        """Let new objects take the place of their originals, moved to where their job's are.

        Gives what was counted over them, by their new series.
        """
        assert job.privacy is not None
        self._ledger.run(
            "UPDATE entry SET own_size = size, own_sha256 = sha256, own_series = series, own_sop = sop,"
            f" ({_NEW_VALUES}) = (SELECT {_NEW_VALUES} FROM early x WHERE x.ordinal = entry.ordinal),"
            f" code = 'stored_deid', message = '', rules = ? WHERE {_UNTAKEN}"
            " AND ordinal IN (SELECT ordinal FROM early WHERE state = 'ok')",
            (job.privacy.fingerprint, job.n),
        )
        taken = self._ledger.rows(
            "SELECT ordinal, staged, own_series, study, series FROM entry WHERE job = ? AND own_sha256 IS NOT NULL"
            " AND staged LIKE ? ORDER BY ordinal",
            (job.n, f"{EARLY}/%"),
        )
        if taken:
            self._move(job, taken)
        return list(self._count(taken))

    def _move(self, job: Job, taken: list[tuple[bytes, RelPath, str, str, str]]) -> None:
        """Rename folders of which all objects are taken at once, and of the others object by object."""
        stage = self._context.stage
        every = Counter(
            folder_of(staged)
            for (staged,) in self._ledger.stream("SELECT staged FROM entry WHERE staged LIKE ?", (f"{EARLY}/%",))
        )
        by_folder: dict[RelPath, list[tuple[bytes, RelPath]]] = defaultdict(list)
        for number, staged, *_ in taken:
            by_folder[folder_of(staged)].append((number, staged))
        places: list[tuple[RelPath, bytes]] = []
        for source, objects in by_folder.items():
            target = path_below(job.images, relative_to(EARLY, source))
            is_whole = every[source] == len(objects) and target not in self._used
            self._used.add(target)
            if is_whole:
                stage.move(source, target)
            for number, staged in objects:
                path = path_below(target, relative_to(source, staged))
                if not is_whole:
                    path = move_staged(stage, staged, path, alternate_path(path, number.hex()))
                places.append((path, number))
        self._ledger.many("UPDATE entry SET staged = ? WHERE ordinal = ?", places)

    def _count(self, taken: list[tuple[bytes, RelPath, str, str, str]]) -> Iterator[SeriesTally]:
        """What readers counted, of series of which all objects are taken; of the others headers are read once more."""
        groups: dict[tuple[str, str, str], list[bytes]] = defaultdict(list)
        for number, _, own_series, study, series in taken:
            groups[own_series, study, series].append(number)
        for key, numbers in groups.items():
            counted = self._ledger.early_tallies.get(key)
            if counted is not None and counted.objects == len(numbers):
                yield counted
            else:
                yield from self._read(numbers)

    def _read(self, numbers: list[bytes]) -> Iterator[SeriesTally]:
        remaining = iter(numbers)
        while part := list(islice(remaining, OBJECTS)):
            self._context.check()
            tally = Tally()
            for number in part:
                staged, size = self._ledger.rows("SELECT staged, size FROM entry WHERE ordinal = ?", (number,))[0]
                read_at = partial(self._context.stage.read_at, staged, 0)
                tally.add(read_header(read_at(min(size, _HEAD)), size, _WANTED, read_at))
            yield from tally.drain()

    def discard(self, job: Job) -> None:
        """Give up the new objects of which the joined session has one: nothing is to be placed, or healed, by them.

        They stay where no session is placed from, and go with all that is there.
        """
        self._ledger.run(
            "UPDATE entry SET staged = '' WHERE job = ? AND own_sha256 IS NULL AND staged LIKE ?", (job.n, f"{EARLY}/%")
        )

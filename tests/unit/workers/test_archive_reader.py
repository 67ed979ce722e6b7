"""What is left of a reading that was stopped: tasks that are done hold nothing, and every entry has a row."""

from __future__ import annotations

import threading
import zipfile
from contextlib import closing
from pathlib import Path

from scandock.model.errors import LimitExceeded
from scandock.rules.import_request import ImportRequest
from scandock.services.settings import load_settings
from scandock.store.local import LocalStore
from scandock.testing.readers import thread_readers
from scandock.workers.archive_reader import ArchiveReader, ReadEntries, SiteTexts
from scandock.workers.archive_tasks import MIN_ENTRIES
from scandock.workers.import_progress import ImportProgress

TEXTS = SiteTexts(tags=frozenset(), filters={}, has_mapping=False, hash_datasets=False)


def read(archive: Path, store: LocalStore) -> ReadEntries:
    """By one reader, so that the tasks are done in their order; entries are to be below 1 kB."""
    stage = store.begin("u", "t")
    settings = load_settings().model_copy(update={"max_entry_bytes": 1_000})
    with thread_readers(), closing(stage):
        reading = ArchiveReader(
            str(archive), ImportRequest(project="P"), settings, ImportProgress(None), threading.Event(), readers=1
        )
        with closing(reading):
            return reading.read(store, stage, TEXTS, lambda: False, keep=True)


def test_a_task_that_is_done_holds_no_entries_and_a_refusal_names_all(tmp_path: Path) -> None:
    names = [f"{number:03}.txt" for number in range(3 * MIN_ENTRIES)]
    archive = tmp_path / "texts.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in names:
            packed.writestr(name, b"text" * (1_000 if name == names[-2] else 1))
    store = LocalStore(tmp_path / "data")
    store.prepare()
    with closing(store), closing(read(archive, store)) as entries:
        assert isinstance(entries.refused, LimitExceeded)
        assert [task.payload is None for task in entries.tasks] == [True, True, False]
        entries.note_unread()
        rows = entries.ledger.rows("SELECT path, content FROM entry ORDER BY ordinal")
        assert [path for path, _ in rows] == names
        assert rows[-1] == (names[-1], "unread")

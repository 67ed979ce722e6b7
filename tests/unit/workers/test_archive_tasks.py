"""How a zip is shared out among readers."""

from __future__ import annotations

from scandock.formats.zip_entries import ROW, ZipEntries
from scandock.model.entry import Container
from scandock.workers.archive_tasks import MAX_ENTRIES, PARTS, range_tasks


def test_no_task_has_many_entries_however_many_there_are() -> None:
    """A reader is told all of a task at once, and holds that."""
    count = PARTS * MAX_ENTRIES * 2
    rows = b"".join(ROW.pack(0, 0, 1, 1, number, 0, 0, 1, 0, 0) for number in range(count))
    tasks = range_tasks(Container(b"", "", "a.zip", 0, 0, "zip", 1, "a.zip"), ZipEntries(rows, b"x" * count), count, 1)
    assert [len(ZipEntries(*task.payload)) for task in tasks] == [MAX_ENTRIES] * (count // MAX_ENTRIES)

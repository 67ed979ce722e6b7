"""How a zip is shared out among readers."""

from __future__ import annotations

import pytest

from scandock.formats.zip_entries import ROW, ZipEntries
from scandock.model.entry import Container
from scandock.workers.archive_tasks import MAX_ENTRIES, MIN_BYTES, MIN_ENTRIES, PARTS, range_tasks


def share_out(sizes: list[int], readers: int) -> list[list[int]]:
    """The sizes of the entries of each task."""
    count = len(sizes)
    rows = b"".join(ROW.pack(0, 0, size, size, number, 0, 0, 1, 0, 0) for number, size in enumerate(sizes))
    container = Container(b"", "", "a.zip", 0, 0, "zip", 1, "a.zip")
    entries = ZipEntries(rows, b"x" * count)
    tasks = range_tasks(container, entries, entries.sums(), readers)
    return [[entry.usize for entry in ZipEntries(*task.payload)] for task in tasks]


def test_no_task_has_many_entries_however_many_there_are() -> None:
    """A reader is told all of a task at once, and holds that."""
    counts = [len(task) for task in share_out([1] * (PARTS * MAX_ENTRIES * 2), 1)]
    assert max(counts) == MAX_ENTRIES
    assert counts[:PARTS] == [MAX_ENTRIES] * PARTS


@pytest.mark.parametrize("readers", [1, 2, 4])
@pytest.mark.parametrize("size", [1_000, 500_000])
def test_the_last_tasks_are_small_so_that_readers_end_together(size: int, readers: int) -> None:
    tasks = share_out([size] * 4_000, readers)
    counts = [len(task) for task in tasks]
    assert sum(counts) == 4_000
    assert counts == sorted(counts, reverse=True)
    assert max(counts) <= 4_000 // (PARTS * readers) + 1
    assert counts[-1] <= max(MIN_ENTRIES, MIN_BYTES // size + 1)


def test_entries_that_claim_more_than_64_bits_can_say_are_shared_out() -> None:
    sizes = [1 << 62] * 9 + [5]
    assert [size for task in share_out(sizes, 2) for size in task] == sizes


def test_every_entry_is_in_one_task_in_the_order_of_the_zip() -> None:
    sizes = [1 + 7_919 * number % 10_000_000 for number in range(500)]
    assert [size for task in share_out(sizes, 2) for size in task] == sizes

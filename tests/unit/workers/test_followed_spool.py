"""A zip that is read while it comes: what is given to readers when, and what makes all of it void."""

from __future__ import annotations

from pathlib import Path

import pytest

from scandock.formats.zip_entries import ZipEntries
from scandock.model.limits import Limits
from scandock.workers import followed_spool
from scandock.workers.archive_tasks import ArchiveTasks
from scandock.workers.followed_spool import STALL_SECONDS, FollowedSpool, FollowVoid
from scandock.workers.pool import Task
from tests.badinput import zips

FILES = [(b"S/%d.dcm" % number, b"%d" % number * 3000) for number in range(6)]
BODY = zips.plain(*FILES)


class Growing:
    """A file that grows, and who follows it."""

    def __init__(self, path: Path, body: bytes, *, size: int | None = None, ratio_from: int = 1_000_000) -> None:
        self.path, self.body = path, body
        self.here = 0
        self.now = 0.0
        self.unpacked = 0
        self.whole: list[ArchiveTasks] = []
        limits = Limits(max_ratio=2, ratio_from_bytes=ratio_from)
        self.spool = FollowedSpool(
            str(path), "a.zip", len(body) if size is None else size, limits, 1, lambda: self.here, lambda: self.now
        )

    def come(self, here: int) -> list[str] | None:
        """The names of the entries that are given once so many bytes are here; None for no more."""
        self.path.write_bytes(self.body[:here])
        self.here = here
        return self.ask()

    def ask(self) -> list[str] | None:
        tasks = self.spool.next_tasks(self.whole.append, lambda: (0, self.unpacked))
        return None if tasks is None else [name for task in tasks for name in names(task)]


def names(task: Task) -> list[str]:
    return [entry.name for entry in ZipEntries(*task.payload)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_spool, "BATCH_ENTRIES", 2)


@pytest.fixture
def growing(tmp_path: Path) -> Growing:
    return Growing(tmp_path / "spool", BODY)


def end_of(number: int) -> int:
    """Where the entry of that number ends."""
    return sum(len(zips.local(entry, entry.packed_bytes())) for entry in zips.files(*FILES[: number + 1]))


def test_entries_are_given_in_batches_and_the_rest_once_the_directory_has_come(growing: Growing) -> None:
    assert growing.ask() == []
    assert growing.come(end_of(0)) == []
    assert growing.come(end_of(2) + 10) == ["S/0.dcm", "S/1.dcm", "S/2.dcm"]
    assert growing.ask() == []
    assert growing.come(end_of(3)) == []
    assert growing.spool.missing == len(BODY) - end_of(3)
    assert growing.come(len(BODY)) == ["S/3.dcm", "S/4.dcm", "S/5.dcm"]
    (opened,) = growing.whole
    assert (opened.entries_total, opened.received) == (6, len(BODY))
    assert growing.ask() is None
    growing.spool.close()


def test_a_walk_that_stops_leaves_the_rest_to_the_directory(tmp_path: Path) -> None:
    first, second, *others = zips.files(*FILES)
    packed = zips.Entry(name=b"S/x.dcm", data=b"x" * 900, method=zips.BZIP2)
    growing = Growing(tmp_path / "spool", zips.archive([first, second, packed, *others]))
    assert growing.come(len(growing.body) - 300) == ["S/0.dcm", "S/1.dcm"]
    assert growing.come(len(growing.body)) == ["S/x.dcm", "S/2.dcm", "S/3.dcm", "S/4.dcm", "S/5.dcm"]


def why(growing: Growing, here: int) -> str:
    with pytest.raises(FollowVoid) as caught:
        growing.come(here)
    return caught.value.why


def test_bytes_that_go_back_or_stop_coming_or_are_no_zip_are_given_up(growing: Growing, tmp_path: Path) -> None:
    growing.come(end_of(1))
    growing.now = STALL_SECONDS
    assert growing.ask() == []
    growing.now += 1
    assert why(growing, end_of(1)) == "no byte came for too long"
    growing.now += 1
    assert growing.come(end_of(2)) == []
    assert why(growing, end_of(2) - 1) == "bytes that had come are gone"
    assert why(Growing(tmp_path / "text", b"text" * 100), 200) == "no zip that can be followed"
    assert why(Growing(tmp_path / "nothing", b""), 0) == "it has no bytes that can be read"


def test_what_unpacks_to_more_than_what_has_come_allows_is_given_up(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "spool", BODY, ratio_from=100)
    growing.come(end_of(1))
    growing.unpacked = 2 * end_of(1)
    assert growing.ask() == []
    growing.unpacked += 1
    assert why(growing, end_of(1)) == "it unpacks to more than what has come allows"


def test_another_file_in_the_place_of_the_one_that_was_read_is_given_up(growing: Growing) -> None:
    growing.come(end_of(1))
    growing.path.write_bytes(BODY)
    other = growing.path.with_name("other")
    other.write_bytes(BODY)
    other.rename(growing.path)
    growing.here = len(BODY)
    with pytest.raises(FollowVoid, match="its file is another one"):
        growing.ask()


def test_a_directory_that_differs_is_given_up(growing: Growing, tmp_path: Path) -> None:
    first, *others = zips.files(*FILES)
    link = zips.Entry(name=first.name, data=first.data, attributes=zips.LINK_MODE)
    differing = Growing(tmp_path / "other", zips.archive([link, *others]))
    assert differing.come(end_of(2)) == ["S/0.dcm", "S/1.dcm", "S/2.dcm"]
    assert why(differing, len(differing.body)) == "its directory says something else than its entries"
    assert not differing.spool.is_proven

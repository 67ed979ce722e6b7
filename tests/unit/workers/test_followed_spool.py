"""An archive that is read while it comes: what is given to readers when, and what makes all of it void."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from random import Random

import pytest
import zstandard

from scandock.formats.zip_entries import ZipEntries
from scandock.model.limits import Limits
from scandock.workers import followed_spool
from scandock.workers.archive_tasks import ArchiveTasks
from scandock.workers.followed_spool import RATE_BYTES, RATE_SECONDS, STALL_SECONDS, FollowedSpool, FollowVoid
from scandock.workers.pool import Task
from tests.badinput import tars, zips

FILES = [(b"S/%d.dcm" % number, Random(number).randbytes(1000)) for number in range(6)]
BODY = zips.plain(*FILES)


class Growing:
    """A file that grows, and who follows it."""

    def __init__(self, path: Path, body: bytes, *, size: int | None = None, ratio_from: int = 1_000_000) -> None:
        self.path, self.body = path, body
        self.here = 0
        self.now = 0.0
        self.unpacked = 0
        self.others = False
        self.size = len(body) if size is None else size
        self.whole: list[ArchiveTasks] = []
        limits = Limits(max_ratio=2, ratio_from_bytes=ratio_from)
        self.spool = FollowedSpool(
            str(path),
            "a.zip",
            self.size,
            limits,
            1,
            lambda: (self.here, self.size),
            lambda: self.others,
            lambda: self.now,
        )

    def come(self, here: int) -> list[str] | None:
        """The entries that are given once so many bytes are here, by their names, or the kinds of other tasks; None for
        no more.
        """
        self.path.write_bytes(self.body[:here])
        self.here = here
        return self.ask()

    def ask(self) -> list[str] | None:
        tasks = self.spool.next_tasks(self.whole.append, lambda: (0, self.unpacked))
        return None if tasks is None else [name for task in tasks for name in names(task)]


def names(task: Task) -> list[str]:
    if task.kind != "zip":
        return [f"{task.kind} {task.container.kind} of {task.container.size}"]
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


@pytest.mark.parametrize("body", [BODY, tars.plain(*FILES)])
def test_the_size_may_be_known_no_sooner_than_all_is_here(tmp_path: Path, body: bytes) -> None:
    growing = Growing(tmp_path / "spool", body, size=len(body) + 300)
    assert growing.come(len(body) - 1000)
    assert growing.come(len(body)) == []
    growing.size = len(body)
    assert growing.ask() is not None
    (opened,) = growing.whole
    assert (opened.received, growing.spool.size, growing.spool.missing) == (len(body), len(body), 0)
    assert growing.ask() is None


def test_the_ratio_is_held_against_the_size_that_it_has(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "spool", BODY, size=2 * len(BODY), ratio_from=100)
    growing.come(len(BODY))
    growing.spool.check_ratio(2 * len(BODY))
    with pytest.raises(FollowVoid, match="unpacks to more"):
        growing.spool.check_ratio(2 * len(BODY) + 1)


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


def why_now(growing: Growing, here: int) -> str:
    """Why it is given up once so many bytes are said to be here."""
    growing.here = here
    with pytest.raises(FollowVoid) as caught:
        growing.ask()
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
    assert Growing(tmp_path / "text", b"text" * 200).come(500) == []
    assert why(Growing(tmp_path / "text", b"text" * 200), 512) == "nothing that can be followed"
    assert why(Growing(tmp_path / "nothing", b""), 0) == "it has no bytes that can be read"


@pytest.mark.parametrize("body", [BODY, tars.plain(*FILES)])
def test_what_unpacks_to_more_than_what_has_come_allows_is_given_up(tmp_path: Path, body: bytes) -> None:
    growing = Growing(tmp_path / "spool", body, ratio_from=100)
    growing.come(end_of(1))
    growing.unpacked = 2 * end_of(1)
    assert growing.ask() == []
    growing.unpacked += 1
    assert why(growing, end_of(1)) == "it unpacks to more than what has come allows"


TAR = tars.plain(*FILES)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("tar", TAR),
        ("gzip", gzip.compress(TAR, 0)),
        ("bzip2", bz2.compress(TAR * 50)),
        ("xz", lzma.compress(bytes(TAR), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "mode": lzma.MODE_FAST}])),
        ("zstd", zstandard.compress(bytes(range(256)) * 10 + TAR)),
    ],
)
def test_a_stream_is_given_to_one_reader_that_waits_for_its_bytes(tmp_path: Path, kind: str, body: bytes) -> None:
    growing = Growing(tmp_path / "spool", body, size=max(len(body), 600))
    growing.body = body.ljust(600, b"\0")
    size = len(growing.body)
    assert growing.come(511) == []
    assert growing.come(512) == [f"coming {kind} of {size}"]
    assert growing.come(513) == []
    assert growing.come(size) == []
    (opened,) = growing.whole
    assert ([task.kind for task in opened.tasks], opened.received) == (["stream"], size)
    assert growing.ask() is None
    late = Growing(tmp_path / "late", growing.body)
    assert late.come(size) == [f"stream {kind} of {size}"]


def test_a_reader_that_died_of_a_stream_does_not_make_it_another(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "spool", TAR)
    growing.path.write_bytes(TAR)
    growing.here = 1000
    tasks = growing.spool.next_tasks(growing.whole.append, lambda: (0, 0))
    assert tasks is not None
    tasks[0].suspects.add(b"entry")
    assert growing.come(len(TAR)) == []


def test_what_turns_out_to_be_something_else_than_it_began_as_is_given_up(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "spool", TAR)
    growing.come(1000)
    growing.path.write_bytes(gzip.compress(b"")[:10] + TAR[10:])
    growing.here = len(TAR)
    with pytest.raises(FollowVoid, match="it is something else than it began as"):
        growing.ask()


def test_a_slow_upload_is_given_up_for_another_one_alone(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "spool", TAR, size=5 * RATE_BYTES)

    def look(seconds: float, here: int) -> list[str] | None:
        growing.now += seconds
        growing.here = here
        return growing.ask()

    growing.path.write_bytes(TAR)
    assert look(RATE_SECONDS / 2, 1000)
    assert look(RATE_SECONDS / 2, 2000) == [], "it is slow, but the only one"
    growing.others = True
    assert look(RATE_SECONDS - 1, 3000) == [], "its time is not over"
    assert look(1, 2000 + RATE_BYTES) == [], "it is quick"
    growing.now += RATE_SECONDS
    assert why_now(growing, 2 * RATE_BYTES) == "it comes slowly, and another can be followed"


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

"""What an import does while its readers read, beside hearing them."""

from __future__ import annotations

from contextlib import closing

import pytest

from scandock.model.entry import Content, Entry
from scandock.model.limits import Limits
from scandock.pipeline.ledger import Ledger
from scandock.store.handles import ReadFile
from scandock.store.segment_writer import NO_OFFSET
from scandock.workers.archive_tasks import ArchiveTasks
from scandock.workers.import_progress import WRITE_BACK_SECONDS, EntryListener, ImportProgress


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("scandock.workers.import_progress.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("goes_again", [False, True], ids=["kept", "goes-again"])
def test_the_disk_begins_with_what_is_staged_while_more_is_read(clock, goes_again):
    told = []
    with closing(Ledger(":memory:")) as ledger:
        listener = EntryListener(
            ImportProgress(None),
            ledger,
            ArchiveTasks([], received=0, entries_total=0, bytes_total=0),
            limits=Limits(),
            readers=1,
            check_space=lambda: None,
            write_back=None if goes_again else lambda: told.append(clock[0]),
            send_ahead=None,
        )
        for _ in range(100):
            clock[0] += WRITE_BACK_SECONDS / 10
            listener.tick()
    gaps = [later - earlier for earlier, later in zip([1000.0, *told], told, strict=False)]
    if goes_again:
        assert not told
    else:
        assert len(told) in {9, 10}
        assert min(gaps) >= WRITE_BACK_SECONDS


def test_what_may_be_left_out_is_not_sent_ahead():
    """Nor what is no image, or is not kept: what is decided only once all is read waits for that."""
    sent = list[str]()
    entry = Entry(b"1", "a.dcm", 7, b"1" * 32, Content.DICOM, "images/1", "", "", study="1.2")
    with closing(Ledger(":memory:")) as ledger:
        listener = EntryListener(
            ImportProgress(None),
            ledger,
            ArchiveTasks([], received=0, entries_total=0, bytes_total=0),
            limits=Limits(),
            readers=1,
            check_space=lambda: None,
            write_back=None,
            send_ahead=lambda files: sent.extend(file.rel for file in files),
        )
        listener.entries([entry])
        listener.entries([entry._replace(ordinal=b"2", left_out_by="P", staged="images/2")])
    assert sent == ["images/1"]


def test_images_in_segments_are_known_by_the_paths_that_they_get():
    """Of which some were taken; what is no image, or is not kept, is in no segment and has no part in that."""
    named, sent = [], list[ReadFile]()

    def name_read(files):
        named.extend(files)
        return [f"in/2~{ordinal.hex()}" if file.rel == "in/2" else file.rel for file, ordinal in files]

    first = Entry(b"\0\0\0\1", "a.dcm", 7, b"1" * 32, Content.DICOM, "in/1", "", "", study="1.2")
    taken = first._replace(ordinal=b"\0\0\0\2", staged="in/2")
    left_out = first._replace(ordinal=b"\0\0\0\3", staged="in/3", left_out_by="P")
    text = Entry(b"\0\0\0\4", "a.txt", 7, b"4" * 32, Content.LOOSE, "loose/4", "", "")
    dropped = first._replace(ordinal=b"\0\0\0\5", staged="", content=Content.UNPARSEABLE)
    with closing(Ledger(":memory:")) as ledger:
        listener = EntryListener(
            ImportProgress(None),
            ledger,
            ArchiveTasks([], received=0, entries_total=0, bytes_total=0),
            limits=Limits(),
            readers=1,
            check_space=lambda: None,
            write_back=None,
            send_ahead=sent.extend,
            name_read=name_read,
        )
        listener.entries([first, taken, left_out, text, dropped], "s", [0, 7, 14, NO_OFFSET, NO_OFFSET])
        staged = [path for (path,) in ledger.rows("SELECT staged FROM entry ORDER BY ordinal")]
    assert [(file.rel, file.place) for file, _ in named] == [
        ("in/1", ("s", 0)),
        ("in/2", ("s", 7)),
        ("in/3", ("s", 14)),
    ]
    assert staged == ["in/1", "in/2~00000002", "in/3", "loose/4", ""]
    assert [(file.rel, file.place) for file in sent] == [("in/1", ("s", 0)), ("in/2~00000002", ("s", 7))]

"""What readers and their import share: counters, the entries that are read, and how much of an archive is here."""

from __future__ import annotations

import threading

import pytest

from scandock.workers.reader_counters import MAX_ORDINAL, ReaderCounters


def test_readers_see_what_is_here_and_wait_for_no_more_once_that_is_said() -> None:
    ours = ReaderCounters.create(2)
    theirs = ReaderCounters.attach(*ours.fds)
    ours.set_here(1 << 40, 1 << 41)
    assert theirs.wait_for(1 << 40) == 1 << 41
    theirs.set_current(1, b"x" * MAX_ORDINAL)
    assert theirs.wait_for(1 << 40) == 1 << 41
    assert (ours.current(0), ours.current(1)) == (b"", b"x" * MAX_ORDINAL)

    ended: list[str] = []

    def wait() -> None:
        try:
            ended.append(f"of {theirs.wait_for(3)}")
        except InterruptedError:
            ended.append("no more")

    for end, told in (
        (lambda: ours.set_here(3, 9), "of 9"),
        (lambda: ours.set_here(2, 2), "of 2"),
        (ours.end_wait, "no more"),
    ):
        ours.set_here(2, 9)
        waiting = threading.Thread(target=wait)
        waiting.start()
        end()
        waiting.join()
        assert ended.pop() == told
    with pytest.raises(InterruptedError):
        theirs.wait_for(1)
    ours.close()

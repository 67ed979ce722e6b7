"""Waiting for descriptors."""

from __future__ import annotations

import fcntl
import os
import resource
from contextlib import ExitStack

from scandock.model.readiness import wait_readable

HIGH = 1_500
"""Above what select(2) takes."""


def test_what_can_be_read_or_has_ended_is_told_whatever_its_number() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * HIGH), hard))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        reading, writing = os.pipe()
        high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, HIGH)
        for descriptor in (reading, high):
            opened.callback(os.close, descriptor)
        assert wait_readable([reading, high], 0) == []
        os.write(writing, b"x")
        assert sorted(wait_readable([reading, high])) == [reading, high]
        os.read(high, 1)
        os.close(writing)
        assert wait_readable([high]) == [high]


def test_without_any_the_time_alone_is_waited_for() -> None:
    assert wait_readable([], 0.001) == []

"""Waiting for descriptors, whatever their numbers: select(2) takes none above 1,023, which a busy server has."""

from __future__ import annotations

import select
from collections.abc import Iterable


def wait_readable(descriptors: Iterable[int], seconds: float | None = None) -> list[int]:
    """Wait until some can be read, or have ended, at most so long: which. Without any it waits for the time alone."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)]

"""Waiting for a server that is away or busy: without end, longer each time, and said once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from scandock.cli.plain import duration
from scandock.cli.uploading.server import Away

T = TypeVar("T")
FIRST_SECONDS: Final = 0.25
MOST_SECONDS: Final = 30.0
LOCKED_SECONDS: Final = 1.0


class Stopped(Exception):
    """The person wants to end."""


class Patience:
    """Tries until the server answers. `say` tells a person; `cancelled` ends all waiting at once."""

    def __init__(self, cancelled: threading.Event, say: Callable[[str], None]) -> None:
        self.cancelled = cancelled
        self._say = say

    def until_answered(self, attempt: Callable[[], T]) -> T:
        """What `attempt` gives once the server answers it. Raises Stopped, and whatever else it raises."""
        told = ""
        for number in itertools.count():
            if self.cancelled.is_set():
                raise Stopped
            try:
                found = attempt()
            except Away as away:
                seconds = _seconds(away, number)
                told = self._tell(away, seconds, told)
                if self.cancelled.wait(seconds):
                    raise Stopped from None
                continue
            if told:
                self._say("The server answers again; going on.")
            return found
        raise AssertionError  # never: the count has no end

    def _tell(self, away: Away, seconds: float, told: str) -> str:
        """Say why it takes longer, once for each reason; what was said."""
        if away.locked:
            return told  # what is left of a request of ours, as a rule: soon over
        kind = "busy" if away.busy else "away"
        if kind != told:
            if away.busy:
                self._say(f"The server asks to wait {duration(seconds)}: {away.why}")
            else:
                self._say(f"The server does not answer ({away.why.rstrip('.')}); trying until it does ...")
        return kind


def _seconds(away: Away, number: int) -> float:
    if away.retry_after is not None:
        return max(away.retry_after, FIRST_SECONDS)
    if away.locked:
        return LOCKED_SECONDS
    return min(MOST_SECONDS, FIRST_SECONDS * (1 << min(number, 10)))

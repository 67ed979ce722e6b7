"""Waiting for a server that is away or busy: without end, longer each time, and said once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from scandock.cli.text_format import format_duration
from scandock.cli.upload_client.server import ServerAway

T = TypeVar("T")
FIRST_SECONDS: Final = 0.25
MAX_SECONDS: Final = 30.0
LOCKED_SECONDS: Final = 1.0


class UploadCancelled(Exception):
    """The person wants to end."""


class ServerRetry:
    """Tries until the server answers. `say` tells a person; `cancelled` ends all waiting at once."""

    def __init__(self, cancelled: threading.Event, say: Callable[[str], None]) -> None:
        self.cancelled = cancelled
        self._say = say

    def call(self, attempt: Callable[[], T]) -> T:
        """What `attempt` gives once the server answers it. Raises UploadCancelled, and whatever else it raises."""
        last_reason = ""
        for number in itertools.count():
            if self.cancelled.is_set():
                raise UploadCancelled
            try:
                answer = attempt()
            except ServerAway as error:
                seconds = _wait_seconds(error, number)
                last_reason = self._tell(error, seconds, last_reason)
                if self.cancelled.wait(seconds):
                    raise UploadCancelled from None
                continue
            if last_reason:
                self._say("The server answers again; going on.")
            return answer
        raise AssertionError  # never: the count has no end

    def _tell(self, error: ServerAway, seconds: float, last_reason: str) -> str:
        """Say why it takes longer, once for each reason; what was said."""
        if error.locked:
            return last_reason  # what is left of a request of ours, as a rule: soon over
        kind = "busy" if error.busy else "away"
        if kind != last_reason:
            if error.busy:
                self._say(f"The server asks to wait {format_duration(seconds)}: {error.why}")
            else:
                self._say(f"The server does not answer ({error.why.rstrip('.')}); trying until it does ...")
        return kind


def _wait_seconds(error: ServerAway, number: int) -> float:
    if error.retry_after is not None:
        return max(error.retry_after, FIRST_SECONDS)
    if error.locked:
        return LOCKED_SECONDS
    return min(MAX_SECONDS, FIRST_SECONDS * (1 << min(number, 10)))

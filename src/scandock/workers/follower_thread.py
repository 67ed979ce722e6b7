"""A worker's thread that looks for an upload to follow, and has it followed; one at a time, beside the slots."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scandock.model.errors import OUTAGES, ScandockError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.queue.claim import Claim

LOOK_SECONDS: Final = 0.2


class FollowerThread:
    """Calls `claim` again and again, and `follow` for what that gives. It lasts, as processes die with their thread."""

    def __init__(
        self, claim: Callable[[], Claim | None], follow: Callable[[Claim], None], log: FilteringBoundLogger
    ) -> None:
        self._claim = claim
        self._follow = follow
        self._log = log
        self._ended = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="follower")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Look no more; what is followed goes on."""
        self._ended.set()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the end of what is followed, at most so long; whether that came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                claim = self._claim()
                if claim is not None:
                    self._follow(claim)
                self._problem = ""
            except ScandockError as error:
                if error.code != self._problem:  # each look would tell the same
                    self._log.warning("nothing followed", code=error.code, why=OUTAGES.get(error.code))
                self._problem = error.code
            except Exception as error:  # noqa: BLE001  the thread outlives whatever an upload does; its lease runs out
                self._log.error("follower failed", error=type(error).__name__)

"""A worker's thread for storage commitment: it decides and reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from scandock.services.commitment import Commitments, CommitmentTimes
from scandock.services.dicom_peers import peer_calls
from scandock.services.logs import error_code, error_location
from scandock.workers.turns import END_SECONDS, TurnThread

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

EVERY_SECONDS: Final = 2.0
TIDY_TURNS: Final = 1_000
"""After how many turns old requests are taken away."""
MAX_PEERS: Final = 16
"""Peers that are told at once: one that does not answer holds up no other."""
FAILED: Final = "storage commitment not seen to"


class CommitmentKeeper(TurnThread):
    """Runs from `start` to `end`; reports are made in threads of their own."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        settings: Settings,
        log: FilteringBoundLogger,
        times: CommitmentTimes = CommitmentTimes(),  # noqa: B008 - frozen
        every: float = EVERY_SECONDS,
    ) -> None:
        super().__init__("commitment", log, FAILED, retry=every)
        self._commitments = Commitments(catalog, store, times)
        self._calls = peer_calls(settings.reception)
        self._every = every
        self._turns = 0
        self._telling: dict[str, threading.Thread] = {}
        """By peer. Of the keeper's thread alone."""

    def end(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        super().end()
        for thread in list(self._telling.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _turn(self) -> float:
        self._tell_peers()
        if not self._turns % TIDY_TURNS:
            self._commitments.forget_old()
        self._turns += 1
        return self._every

    def _tell_peers(self) -> None:
        self._telling = {peer: thread for peer, thread in self._telling.items() if thread.is_alive()}
        most = MAX_PEERS - len(self._telling)
        for peer, requests in self._commitments.take_due(self._telling.keys(), most).items():
            thread = threading.Thread(target=self._tell, args=(requests,), name="commitment report", daemon=True)
            self._telling[peer] = thread
            thread.start()

    def _tell(self, requests: Sequence[int]) -> None:
        try:
            self._commitments.report(requests, self._calls, self._log)
        except Exception as error:  # noqa: BLE001  whatever it is, they are told again once their claim is over
            self._log.warning(FAILED, code=error_code(error), where=error_location(error))

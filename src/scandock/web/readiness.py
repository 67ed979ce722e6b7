"""What `/readyz` tells: whether bytes, rows and imports get to where they belong, as last tried.

Anybody may ask, so that it tells codes alone. What paths, disks and databases have to say is in the log.

Each check is tried by one thread of its own, and not again within a few seconds: however many ask, and however long a
disk hangs, no more than that waits for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from scandock.catalog.engine import DAMAGED_REMEDY
from scandock.catalog.errors import CatalogDamaged
from scandock.model.errors import OUTAGES, ScandockError
from scandock.model.machine_errors import InternalFault
from scandock.queue.hosts import has_worker
from scandock.services.clock_check import read_clock_state
from scandock.services.import_errors import WorkerMissing
from scandock.services.logs import error_cause, error_location, log
from scandock.services.receiver_states import count_unsettled
from scandock.web.shared_call import SharedCall, StillRunning

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.workers.receiver_figures import ReceiverFigures

FRESH_SECONDS: Final = 3.0
"""For which an answer is given again."""
LOCK_SECONDS: Final = 2
SETTLE_SECONDS: Final = 35.0
"""For which receivers are waited for: with what an answer is given again for, no later than 40 s."""
OK: Final = "ok"
HANGS: Final = "hangs"
"""Code of a part that does not answer."""
_CODES: Final = {"workers": WorkerMissing.CODE, "receivers": "receivers_starting", "clock": "deletions_held"}
"""By check, the code of what it says in words."""
_WHY: Final = {**OUTAGES, HANGS: "it does not answer"}


class ReadinessCheck:
    """One part, and what is known of it."""

    def __init__(
        self, name: str, check: Callable[[], str], clock: Callable[[], float] = time.monotonic, *, is_note: bool = False
    ) -> None:
        """`check` gives what is the matter, or nothing; ScandockError is what is the matter, too.

        A note is told where `/readyz` is asked, and not in the log: what it is about has lines of its own.
        """
        self._is_note = is_note
        self._name = name
        self._look = check
        self._clock = clock
        self._shared: SharedCall[str] = SharedCall(f"ready {name}", clock)
        self._last = float("-inf"), ""
        """When it was looked at last, and the code of then."""
        self._logged = ""
        """Code of what keeps it from being ready, as the log has been told."""
        self._saying = threading.Lock()
        """What a look says and what is said of one that hangs: the later one stays, in the log too."""

    async def ask(self) -> str:
        """`ok`, or the code of what is the matter."""
        last = self._last
        checked_at, code = last
        if self._clock() - checked_at < FRESH_SECONDS:
            return code
        try:
            return await self._shared.ask(self._tell)
        except StillRunning as error:
            with self._saying:
                if self._last is not last:  # it ended just now
                    return self._last[1]
                self._log(HANGS, f"It has not answered for {error.seconds:.0f} seconds.")
            return HANGS

    def _tell(self) -> str:
        try:
            detail = self._look()
            code = _CODES.get(self._name, self._name) if detail else OK
        except ScandockError as error:
            detail, code = str(error), error.code
        except Exception as error:  # noqa: BLE001  whatever it is, it is not ready
            log().error("unexpected", cause=error_cause(error), where=error_location(error))
            detail, code = "", InternalFault.CODE
        with self._saying:
            self._log("" if code == OK else code, detail)
            self._last = self._clock(), code
        return code

    def _log(self, code: str, detail: str) -> None:
        """Tell of a change, once: probes ask every few seconds."""
        if self._is_note:
            return
        if code and code != self._logged:
            log().warning("not ready", check=self._name, code=code, why=_WHY.get(code), detail=detail)
        elif self._logged and not code:
            log().info("ready again", check=self._name)
        self._logged = code

    def close(self) -> None:
        self._shared.close()


class Readiness:
    """The checks of a site; and what people should know of one that is ready all the same."""

    def __init__(self, checks: Mapping[str, Callable[[], str]], notes: Mapping[str, Callable[[], str]]) -> None:
        self._checks = {name: ReadinessCheck(name, check) for name, check in checks.items()}
        self._notes = {name: ReadinessCheck(name, check, is_note=True) for name, check in notes.items()}

    async def ask(self) -> dict[str, str]:
        """By check, `ok` or the code of what is the matter."""
        return await _run_checks(self._checks)

    async def notes(self) -> dict[str, str]:
        """The codes of what there is to know all the same."""
        return {name: code for name, code in (await _run_checks(self._notes)).items() if code != OK}

    def close(self) -> None:
        for check in (*self._checks.values(), *self._notes.values()):
            check.close()


async def _run_checks(checks: Mapping[str, ReadinessCheck]) -> dict[str, str]:
    codes = await asyncio.gather(*(check.ask() for check in checks.values()))
    return dict(zip(checks, codes, strict=True))


def check_catalog(catalog: Catalog) -> str:
    """Whether rows get where they belong."""
    catalog.try_writing(LOCK_SECONDS)
    if catalog.damaged:
        raise CatalogDamaged(catalog.damaged, DAMAGED_REMEDY)
    return ""


def check_workers(catalog: Catalog) -> str:
    """Why no host imports, for a host that has no worker itself. That a catalog can't be asked is told by its check."""
    try:
        return "" if has_worker(catalog) else "no host has a worker"
    except ScandockError:
        return ""


class ReceiverCheck:
    """Whether each enabled DICOM receiver listens, or is shown as failed; waited for no longer than `SETTLE_SECONDS`.

    A receiver that can't listen keeps nobody from uploading: after that time it counts for nothing here.
    """

    def __init__(self, catalog: Catalog, figures: ReceiverFigures, clock: Callable[[], float] = time.monotonic) -> None:
        """`figures` tell whether there is a receiver process that has looked at them."""
        self._catalog = catalog
        self._figures = figures
        self._clock = clock
        self._since: float | None = None

    def __call__(self) -> str:
        """What is the matter. That a catalog can't be asked is told by its own check."""
        try:
            count = count_unsettled(self._catalog, all_of_them=not self._figures.settled)
        except ScandockError:
            return ""
        if not count:
            self._since = None
            return ""
        now = self._clock()
        self._since = now if self._since is None else self._since
        if now - self._since > SETTLE_SECONDS:
            return ""
        return f"{count} DICOM receivers do not listen yet" if count > 1 else "a DICOM receiver does not listen yet"


def check_clock(catalog: Catalog) -> str:
    """Why nothing is deleted for its age. That a catalog can't be asked is told by its own check."""
    try:
        return read_clock_state(catalog).why
    except ScandockError:
        return ""

"""What `/readyz` tells: whether bytes, rows and imports get to where they belong, as last tried.

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
from scandock.model.errors import OUTAGES, ScandockError
from scandock.publishing.areas import make_areas
from scandock.services.clock_check import read_clock_state
from scandock.services.logs import error_cause, error_location, log
from scandock.web.shared_call import SharedCall, StillRunning

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

FRESH_SECONDS: Final = 3.0
"""For which an answer is given again."""
LOCK_SECONDS: Final = 2
HANGS: Final = "hangs"
"""Code in the log of a part that does not answer."""
_WHY: Final = {**OUTAGES, HANGS: "it does not answer"}


class Check:
    """One part, and what is known of it."""

    def __init__(
        self, name: str, look: Callable[[], str], clock: Callable[[], float] = time.monotonic, *, is_note: bool = False
    ) -> None:
        """`look` gives what is the matter, or nothing; ScandockError is what is the matter, too.

        A note is told where `/readyz` is asked, and not in the log: what it is about has lines of its own.
        """
        self._is_note = is_note
        self._name = name
        self._look = look
        self._clock = clock
        self._shared: SharedCall[str] = SharedCall(f"ready {name}", clock)
        self._last = float("-inf"), ""
        """When it was looked at last, and what was said then."""
        self._logged = ""
        """Code of what keeps it from being ready, as the log has been told."""
        self._saying = threading.Lock()
        """What a look says and what is said of one that hangs: the later one stays, in the log too."""

    async def ask(self) -> str:
        """`ok`, or what is the matter."""
        last = self._last
        at, said = last
        if self._clock() - at < FRESH_SECONDS:
            return said
        try:
            return await self._shared.ask(self._tell)
        except StillRunning as hanging:
            with self._saying:
                if self._last is not last:  # it ended just now
                    return self._last[1]
                self._log(HANGS)
            return f"has not answered for {hanging.seconds:.0f} seconds"

    def _tell(self) -> str:
        code = ""
        try:
            said = self._look() or "ok"
        except ScandockError as error:
            said, code = f"{error.message} {error.remedy}".rstrip(), error.code
        except Exception as error:  # noqa: BLE001  whatever it is, it is not ready
            log().error("unexpected", cause=error_cause(error), where=error_location(error))
            said = "An unexpected error; the log tells where."
        with self._saying:
            self._log(code or ("" if said == "ok" else self._name))
            self._last = self._clock(), said
        return said

    def _log(self, code: str) -> None:
        """Tell of a change, once: probes ask every few seconds."""
        if self._is_note:
            return
        if code and code != self._logged:
            log().warning("not ready", check=self._name, code=code, why=_WHY.get(code))
        elif self._logged and not code:
            log().info("ready again", check=self._name)
        self._logged = code

    def close(self) -> None:
        self._shared.close()


class Readiness:
    """The checks of a site; and what people should know of one that is ready all the same."""

    def __init__(self, checks: Mapping[str, Callable[[], str]], notes: Mapping[str, Callable[[], str]]) -> None:
        self._checks = {name: Check(name, look) for name, look in checks.items()}
        self._notes = {name: Check(name, look, is_note=True) for name, look in notes.items()}

    async def ask(self) -> dict[str, str]:
        """What each says."""
        return await _ask(self._checks)

    async def notes(self) -> dict[str, str]:
        """What each has to say, where it is anything."""
        return {name: said for name, said in (await _ask(self._notes)).items() if said != "ok"}

    def close(self) -> None:
        for check in (*self._checks.values(), *self._notes.values()):
            check.close()


async def _ask(checks: Mapping[str, Check]) -> dict[str, str]:
    said = await asyncio.gather(*(check.ask() for check in checks.values()))
    return dict(zip(checks, said, strict=True))


def write_to(catalog: Catalog) -> str:
    """Whether rows get where they belong."""
    catalog.try_writing(LOCK_SECONDS)
    return f"{catalog.damaged} {DAMAGED_REMEDY}" if catalog.damaged else ""


def clock_of(catalog: Catalog) -> str:
    """Why nothing is deleted for its age. That a catalog can't be asked is told by its own check."""
    try:
        return read_clock_state(catalog).why
    except ScandockError:
        return ""


def store_in(catalog: Catalog, store: Store, settings: Settings) -> str:
    """Whether bytes do. A folder of the store that is missing is made anew, and the log says so.

    Not one in which something was placed: that it is gone is what is the matter.
    """
    for folder in [*store.try_writing(), *make_areas(catalog, store)]:
        log().warning("folder_made", folder=folder)
    store.reserve(0, files=1, min_free=settings.min_free_bytes)
    return ""

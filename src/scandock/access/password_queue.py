"""Who waits for passwords to be checked: a line for each address, whose heads take turns, in threads of its own.

A check takes a tenth of a second of one core. Whoever sends many waits behind their own, and everybody else for one of
each address at most; threads that others need wait for none. Used in the event loop's own thread alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar, cast

from scandock.access.throttle import network_of
from scandock.model import request_limits
from scandock.model.errors import Coded

T = TypeVar("T")

THREADS: Final = 4
"""The hashing itself is done one at a time (`passwords`): these are for what the catalog is asked before and after."""
MAX_WAITING: Final = request_limits.PASSWORDS_WAITING
"""Of one address (of IPv6 a /64): more than 50 browsers behind one send at once."""
MAX_TOTAL: Final = request_limits.PASSWORDS_WAITING_OF_ALL
"""Of all addresses together: the longest line gives way."""
WAIT_SECONDS: Final = 20.0
RETRY_SECONDS: Final = 10


class PasswordsBusy(Coded):
    """Too many passwords of one address wait for their check: 503, and the seconds after which to try again."""

    CODE = "busy"
    STATUS = 503
    MEANING = (
        "Too many passwords are being checked at once (503): those of one address wait behind each other, at most 100,"
        " for at most 20 seconds. `Retry-After` says when to try again."
    )
    SENTENCE = "Too many passwords are being checked at once."
    REMEDY = f"Try again in {RETRY_SECONDS} seconds."
    retry_after = RETRY_SECONDS


def _ignore() -> None:
    """Nobody counts."""


class _Check:
    """A call that waits for its turn, or runs."""

    def __init__(self, address: str, call: Callable[[], Any], key: Hashable, answer: asyncio.Future[Any]) -> None:
        self.address = address
        self.call = call
        self.key = key
        self.answer = answer
        self.askers = 0
        self.expiry: asyncio.TimerHandle | None = None


class PasswordQueue:
    """The lines of one process. `waited` and `refused` are called for each call that had to wait, or was not taken."""

    def __init__(
        self,
        *,
        waited: Callable[[], None] = _ignore,
        refused: Callable[[], None] = _ignore,
        threads: int = THREADS,
        waiting_most: int = MAX_WAITING,
        total_most: int = MAX_TOTAL,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._waited = waited
        self._refused = refused
        self._free = threads
        self.waiting_most = waiting_most
        self._total_most = total_most
        self._wait_seconds = wait_seconds
        self._threads = ThreadPoolExecutor(threads, "passwords-turns")
        self._lines: OrderedDict[str, deque[_Check]] = OrderedDict()
        """Those who wait, by address; the first address has the next turn."""
        self._by_key: dict[Hashable, _Check] = {}

    def __len__(self) -> int:
        """How many calls wait."""
        return sum(map(len, self._lines.values()))

    async def run(self, address: str, call: Callable[[], T], *, key: Hashable = None) -> T:
        """Call what checks or hashes a password, when the address has its turn.

        Calls of one `key` that are asked for at once are made once: fifty clients that begin with one name and password
        wait for one check. Raises PasswordsBusy for the address that has too many, and after 20 seconds of waiting.
        """
        where = network_of(address)
        shared = None if key is None else (where, key)
        check = self._by_key.get(shared) if shared is not None else None
        if check is None:
            check = self._line_up(where, partial(copy_context().run, call), shared)
        check.askers += 1
        try:
            return cast("T", await asyncio.shield(check.answer))
        finally:
            check.askers -= 1
            if not check.askers and not check.answer.done():
                self._leave(check)  # nobody is left to be told

    def close(self) -> None:
        """End the threads, once no request is left."""
        self._threads.shutdown(wait=True)

    def _line_up(self, where: str, call: Callable[[], Any], key: Hashable) -> _Check:
        if len(self._lines.get(where, ())) >= self.waiting_most:
            raise self._busy()
        if len(self) >= self._total_most:
            self._give_way(where)
        loop = asyncio.get_running_loop()
        check = _Check(where, call, key, loop.create_future())
        self._lines.setdefault(where, deque()).append(check)
        if key is not None:
            self._by_key[key] = check
        self._start()
        if check in self._lines.get(where, ()):
            self._waited()
            check.expiry = loop.call_later(self._wait_seconds, self._give_up, check)
        return check

    def _busy(self) -> PasswordsBusy:
        self._refused()
        return PasswordsBusy()

    def _give_way(self, where: str) -> None:
        """Make room: the newest of the longest line is told to come again, or who asks where that line is theirs."""
        longest = max(self._lines, key=lambda address: len(self._lines[address]))
        if len(self._lines[longest]) <= len(self._lines.get(where, ())) + 1:
            raise self._busy()
        self._give_up(self._lines[longest][-1])

    def _give_up(self, check: _Check) -> None:
        self._leave(check)
        if not check.answer.done():
            check.answer.set_exception(self._busy())

    def _leave(self, check: _Check) -> None:
        """Take a call out of its line; one that runs goes on."""
        line = self._lines.get(check.address)
        if line is None or check not in line:
            return
        line.remove(check)
        if not line:
            del self._lines[check.address]
        self._begun(check)
        self._forget(check)

    def _begun(self, check: _Check) -> None:
        if check.expiry is not None:
            check.expiry.cancel()
            check.expiry = None

    def _forget(self, check: _Check) -> None:
        if check.key is not None and self._by_key.get(check.key) is check:
            del self._by_key[check.key]

    def _start(self) -> None:
        """Begin calls while there are threads for them, one of each address in turn."""
        while self._free and self._lines:
            where, line = self._lines.popitem(last=False)
            check = line.popleft()
            if line:
                self._lines[where] = line  # behind all others
            self._begun(check)
            self._free -= 1
            running = asyncio.get_running_loop().run_in_executor(self._threads, check.call)
            running.add_done_callback(partial(self._ended, check))

    def _ended(self, check: _Check, done: asyncio.Future[Any]) -> None:
        self._free += 1
        self._forget(check)
        if done.cancelled():
            check.answer.cancel()
        elif check.answer.cancelled():
            done.exception()  # nobody asks for it any more
        elif (error := done.exception()) is not None:
            check.answer.set_exception(error)
            check.answer.exception()  # it is told where somebody still waits
        else:
            check.answer.set_result(done.result())
        self._start()

"""The decoder processes of one server: started when first asked, killed when they take too long, ended when idle."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from scandock.viewing.exchange import Message, receive, send

MOST: Final = 2
LINE: Final = 48
"""Questions that may wait for a decoder; more are told to come again."""

SECONDS: Final = 15.0
"""What one question may take, once it is its turn."""

PATIENCE: Final = 30.0
"""Seconds that a question waits for its turn."""

IDLE_SECONDS: Final = 120.0
WORK: Final = 2_000
"""Questions after which a decoder is replaced: libraries in C lose memory."""

_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


class Busy(Exception):
    """Too many questions wait already; nothing is wrong with this one."""


class Lost(Exception):
    """The decoder died of a question, or was killed as it took too long; `str` of it says which."""


class _Decoder:
    """One process and our end of the pair."""

    def __init__(self, words: Sequence[str]) -> None:
        self.end, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [*words, str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except BaseException:
            self.end.close()
            raise
        finally:
            theirs.close()
        self.asked = 0
        self.late = False
        """Whether the last answer came so late that the kill may be under way."""
        self.since = time.monotonic()

    def ask(self, said: dict[str, Any], files: Sequence[int], seconds: float) -> Message:
        """Lost where it gives no answer in time, or none that is one."""
        self.asked += 1
        deadline = time.monotonic() + seconds
        killer = threading.Timer(seconds, self.process.kill)  # however slowly it sends, byte by byte
        killer.daemon = True
        killer.start()
        try:
            send(self.end, said, b"", files)
            answer = receive(self.end)
        except OSError:
            answer = None
        finally:
            killer.cancel()
        if answer is None or answer.files:
            self.end_it()
            if time.monotonic() >= deadline:
                raise Lost(f"Decoding it took more than {seconds:.0f} seconds.")
            raise Lost("The decoder died of it.")
        self.late = time.monotonic() >= deadline
        return answer

    def end_it(self) -> None:
        self.process.kill()
        self.process.wait()
        self.end.close()


class Decoders:
    """At most `MOST` of them. Their processes die with the thread that starts them, so one that lasts does that."""

    def __init__(
        self, words: Sequence[str] | None = None, *, seconds: float = SECONDS, idle: float = IDLE_SECONDS
    ) -> None:
        self.seconds = seconds
        self._idle = idle
        self._words = words or [sys.executable, "-m", "scandock.viewing.decoder"]
        self._change = threading.Condition()
        self._free: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._starting = 0
        self._waiting = 0
        self._failed: OSError | None = None
        self._closed = False
        self._keeper: threading.Thread | None = None

    def ask(self, said: dict[str, Any], files: Sequence[int], seconds: float | None = None) -> Message:
        """The answer to one question; `files` are open descriptors, which stay the caller's. Busy, Lost."""
        decoder = self._take()
        try:
            answer = decoder.ask(said, files, seconds or self.seconds)
        except BaseException:
            self._drop(decoder)
            raise
        if answer.said.get("spent") or decoder.late or decoder.asked >= WORK:
            self._drop(decoder)
        else:
            self._give_back(decoder)
        return answer

    def close(self) -> None:
        """End them all."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            keeper = self._keeper
        if keeper is not None:
            keeper.join()
        with self._change:
            left, self._all, self._free = self._all, set(), []
        for one in left:
            one.end_it()

    @property
    def waiting(self) -> int:
        """How many questions wait for a decoder."""
        with self._change:
            return self._waiting

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        with self._change:
            return [one.process.pid for one in self._all]

    def _take(self) -> _Decoder:
        with self._change:
            if self._waiting >= LINE:
                raise Busy
            self._waiting += 1
            deadline = time.monotonic() + PATIENCE
            try:
                while not self._has_living():
                    if self._closed or time.monotonic() > deadline:
                        raise Busy
                    if len(self._all) + self._starting < MOST:
                        self._starting += 1
                        self._keep()
                        self._change.notify_all()
                    self._change.wait(PATIENCE)
                    if self._failed is not None and not self._free:
                        failed, self._failed = self._failed, None
                        raise Lost(f"No decoder could be started ({failed.strerror}).")
                return self._free.pop()
            finally:
                self._waiting -= 1

    def _has_living(self) -> bool:
        """Whether a decoder is free, once those are buried that died without a question (killed for memory)."""
        for one in [one for one in self._free if one.process.poll() is not None]:
            self._free.remove(one)
            self._all.discard(one)
            one.end_it()
        return bool(self._free)

    def _give_back(self, decoder: _Decoder) -> None:
        decoder.since = time.monotonic()
        with self._change:
            self._free.append(decoder)
            self._change.notify_all()

    def _drop(self, decoder: _Decoder) -> None:
        decoder.end_it()
        with self._change:
            self._all.discard(decoder)
            self._change.notify_all()

    def _keep(self) -> None:
        """Have a keeper; called with the lock."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._run, name="decoders", daemon=True)
            self._keeper.start()

    def _run(self) -> None:
        """Start what is asked for, and end what nobody has asked anything for a while."""
        with self._change:
            while not self._closed:
                if self._starting:
                    self._start()
                self._end_idle()
                if not self._starting:
                    self._change.wait(self._idle / 4 if self._all else None)

    def _start(self) -> None:
        self._change.release()
        made: _Decoder | None = None
        failed: OSError | None = None
        try:
            made = _Decoder(self._words)
        except OSError as error:
            failed = error
        finally:
            self._change.acquire()
        self._starting -= 1
        self._failed = failed
        if made is not None:
            self._all.add(made)
            self._free.append(made)
        self._change.notify_all()

    def _end_idle(self) -> None:
        now = time.monotonic()
        for one in [one for one in self._free if now - one.since > self._idle]:
            self._free.remove(one)
            self._all.discard(one)
            one.end_it()


def _environment() -> dict[str, str]:
    """What decoders are given: no passwords, as they take apart what anybody may have made; one thread each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCANDOCK_", "PG"))}
    return {**kept, **_ENVIRONMENT}

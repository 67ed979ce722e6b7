"""Child processes, from their parents' side: started, killed, waited for. One way for all of them.

What a child does first is in `process.py` (`confine`): it dies with the thread that started it, so that has to last. A
fork of a fork server has no place here: that process is its parent (`workers/fork_server.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TypeVar

Started = TypeVar("Started")
_PUBLIC_NAMES = frozenset({"AWS_CA_BUNDLE", "AWS_DEFAULT_REGION", "AWS_REGION"})
"""Of the environment's names that are taken for secrets, those that people set for all programs of a machine."""


class Output(Enum):
    """What a child may write to the terminal, or the log, of its parent. None reads from it."""

    ALL = (None, None)
    ERRORS = (subprocess.DEVNULL, None)
    NONE = (subprocess.DEVNULL, subprocess.DEVNULL)


class Child:
    """A process of ours. `kill` from any thread; `wait` in the thread that started it, which has to last as long."""

    def __init__(
        self,
        words: Sequence[str],
        pass_fds: Sequence[int] = (),
        *,
        output: Output = Output.ALL,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment`: instead of ours. Raises OSError where the machine has no room for it."""
        stdout, stderr = output.value
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, pass_fds=pass_fds, env=environment
        )
        self.killed = ""
        """Why we killed it; empty where we did not, or nobody asks."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self, why: str = "") -> None:
        """Kill it with all below it (they die with their parents)."""
        self.killed = self.killed or why
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    def wait(self) -> int:
        """Its exit code; minus the signal's number where one ended it."""
        return self._process.wait()


def start_connected(
    start: Callable[[socket.socket], Started], kind: socket.SocketKind = socket.SOCK_STREAM
) -> tuple[Started, socket.socket]:
    """Start a child that has one end of a pair of sockets; what was started, and our end. Raises what `start` does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with theirs:
        try:
            return start(theirs), ours
        except BaseException:
            ours.close()
            raise


def close_all_but(kept: int, *, output: Output) -> None:
    """Give up every descriptor but `kept`, above 2, and have the standard streams as a `Child` has them; for a fork.

    Those that are given up lead nowhere instead of being closed: objects that still have their numbers may close these
    at any time, and would close what has got them since.
    """
    assert kept > 2
    try:
        numbers = {int(name) for name in os.listdir("/proc/self/fd")}  # where there may be a billion, few are open
    except OSError:
        numbers = set(range(1024))
    nowhere = os.open(os.devnull, os.O_RDWR)
    streams = {number for number, stream in enumerate((subprocess.DEVNULL, *output.value)) if stream is not None}
    for number in {number for number in numbers if number > 2} - {kept, nowhere}:
        with contextlib.suppress(OSError):  # that of the list itself is closed by now
            os.fstat(number)
            os.dup2(nowhere, number, inheritable=False)
    for number in streams:
        os.dup2(nowhere, number)
    os.close(nowhere)


def has_bare_environment() -> bool:
    """Whether this process has nothing in its environment that `bare_environment` leaves out."""
    return all(map(_may_be_known, os.environ))


def bare_environment(more: Mapping[str, str]) -> dict[str, str]:
    """What children are given that take apart what anybody may have made: no passwords, and `more`."""
    return {**{name: value for name, value in os.environ.items() if _may_be_known(name)}, **more}


def _may_be_known(name: str) -> bool:
    is_ours = name.startswith(("SCANDOCK_", "PG", "AWS_"))
    return not is_ours or name in _PUBLIC_NAMES or name.startswith("SCANDOCK_CRASH_")

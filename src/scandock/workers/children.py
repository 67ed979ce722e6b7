"""Child processes: started, killed, buried; and what their deaths tell."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Sequence

from scandock.model.errors import Fault

GIVEN_UP = "fork server given up"
"""Why attempts were killed whose fork server did not answer: they are tried again, and it does not count."""


def oom_kills() -> int:
    """How often this machine's kernel has killed for lack of memory; 0 where it does not tell."""
    try:
        with open("/proc/vmstat", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


class Child:
    """A process of ours. `kill` from any thread; `wait` in the thread that started it, which has to last as long."""

    def __init__(self, words: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self._before = oom_kills()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=pass_fds)
        self.killed = ""
        """Why we killed it; empty where we did not."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self, why: str) -> None:
        """Kill it with all below it (they die with their parents)."""
        self.killed = self.killed or why
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code; minus the signal's number where one ended it."""
        return self.process.wait()

    def death(self, code: int) -> Fault:
        return death_of(code, self._before)


def death_of(code: int, oom_before: int) -> Fault:
    """What a death that nobody here caused stands for: lack of memory, a kill from outside, or a fault of its own.

    `oom_before` is what `oom_kills` said when it began. Codes: `out_of_memory`, `attempt_killed`, `attempt_died`.
    """
    if code == -signal.SIGKILL and oom_kills() > oom_before:
        return Fault(
            "out_of_memory", "The machine ran out of memory.", "It is tried again, with half the readers each time."
        )
    if code == -signal.SIGKILL:
        return Fault("attempt_killed", "The import's process was killed from outside.", "It is tried again.")
    how = f"by {signal_name(-code)}" if code < 0 else f"with exit code {code}"
    return Fault("attempt_died", f"The import's process ended {how}.", "It is tried again; look at the log.")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

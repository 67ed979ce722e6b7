"""What the death of an attempt's process tells."""

from __future__ import annotations

import signal

from scandock.model.errors import Fault
from scandock.workers.errors import AttemptDied, AttemptKilled, OutOfMemory

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


def death_fault(code: int, oom_before: int) -> Fault:
    """What a death that nobody here caused stands for: lack of memory, a kill from outside, or a fault of its own.

    `oom_before` is what `oom_kills` said when it began. Codes: `out_of_memory`, `attempt_killed`, `attempt_died`.
    """
    if code == -signal.SIGKILL and oom_kills() > oom_before:
        return OutOfMemory("The machine ran out of memory.", "It is tried again, with half the readers each time.")
    if code == -signal.SIGKILL:
        return AttemptKilled()
    how = f"by {signal_name(-code)}" if code < 0 else f"with exit code {code}"
    return AttemptDied(f"The import's process ended {how}.")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

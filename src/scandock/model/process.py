"""What every process of a server does first: it dies with its parent, and leaves Ctrl-C to the supervisor."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import NoReturn

from scandock.model.readiness import wait_readable

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
F_SETSIG = 10
"""fcntl(2), which Python's module does not name."""
M_ARENA_MAX = -8
M_MMAP_THRESHOLD = -3
M_TRIM_THRESHOLD = -1


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent's thread that started this process ends; at once where the parent is gone already.

    So it has to be started from a thread that lasts.
    """
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def die_with_pipe(reading: int) -> None:
    """Be killed by the kernel once nobody has the writing end of a pipe any more; at once where that is so already.

    For a fork of a fork server, whose parent is not who it works for: its pipe is closed with that, however it ends.
    """
    fcntl.fcntl(reading, fcntl.F_SETOWN, os.getpid())
    _signal_at_end(reading)
    if wait_readable([reading], 0):
        os._exit(1)


def can_die_with_pipe() -> bool:
    """Whether the system has signals of pipes."""
    reading, writing = os.pipe()
    try:
        _signal_at_end(reading)  # nobody has it
    except OSError:
        return False
    finally:
        os.close(reading)
        os.close(writing)
    return True


def _signal_at_end(reading: int) -> None:
    fcntl.fcntl(reading, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) | fcntl.FASYNC)


def confine(parent: int, name: str, *, oom: int = 0, limits: Mapping[int, int] | None = None) -> None:
    """`die_with_parent`, ignore Ctrl-C, and be called `name` (at most 15 bytes) by `ps -e` and `top`.

    A fork has the command line of what it was forked from: its name alone tells them apart. `oom` says how gladly the
    kernel ends it when memory runs out, `limits` what setrlimit(2) bounds, where the system lets us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it was inherited as ignored, nobody hears how a child ended
    die_with_parent(parent)
    _libc().prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    if oom:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write(str(oom))
    for kind, most in (limits or {}).items():
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Make what lasts as long as the process, as imports do: nothing of it is ever looked at as garbage.

    Modules make objects by the hundred thousand, all of which stay; to look through them costs a sixth of importing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def keep_one_heap() -> None:
    """Let all threads allocate from one heap; to be called before there are any, by a process that lasts.

    glibc gives each of the first threads, eight a core, a heap of its own, and each keeps what its thread ever needed
    at once: pages of the catalog that one thread reads after another take room as often as there are threads. Python's
    lock lets one of them allocate at a time anyway. Other C libraries have one heap, and no such call.
    """
    with contextlib.suppress(AttributeError):
        _libc().mallopt(M_ARENA_MAX, 1)


def return_large_blocks(size: int) -> None:
    """Let each block of memory of `size` bytes or more go back to the system as soon as it is not needed any more.

    glibc does so by itself until the first of them was given back; then it keeps blocks of up to 32 MB in its heap, and
    what lies behind them keeps them there.
    """
    with contextlib.suppress(AttributeError):
        _libc().mallopt(M_MMAP_THRESHOLD, size)


def keep_blocks(size: int, free: int) -> None:
    """Let glibc keep blocks of up to `size` bytes that are given back, and return memory once `free` bytes lie unused.

    As MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_ and MALLOC_ARENA_MAX=1 of an environment do for a new process.
    """
    keep_one_heap()
    with contextlib.suppress(AttributeError):
        _libc().mallopt(M_MMAP_THRESHOLD, size)
        _libc().mallopt(M_TRIM_THRESHOLD, free)


def unblock_signals() -> None:
    """Take signals again that the parent has blocked for itself."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def end_process(run: Callable[[], int]) -> NoReturn:
    """Call it, and end as an interpreter does, but leave all modules as they are.

    Threads that are no daemons are waited for, what was registered for the end is called, and what was printed is
    written. To take the modules apart takes an import of the command line 0.02 s. In a fork it is to write to each of
    their pages, which makes it a copy of the parent's: four fifths of what a fork costs.
    """
    code: object = 1
    try:
        code = run()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001  as an interpreter ends with it
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  as multiprocessing ends its forks
        atexit._run_exitfuncs()  # noqa: SLF001
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def python_command(module: str, *words: str) -> list[str]:
    """The command line of one of our processes; its parent's id comes first."""
    return [sys.executable, "-m", module, str(os.getpid()), *words]

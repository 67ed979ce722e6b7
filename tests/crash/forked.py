"""Processes of Scandock forked from one that has imported it: real ones, without the second that imports cost each.

They have a process group, an environment and standard streams of their own, and are killed, stopped and waited for like
any other. What a fresh interpreter does before `main`, the tests of the command line's start and of `scandock serve`
have.

This module is both sides: `Fork` asks a prepared process of this test process, `python -m tests.crash.forked FD` is it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

PREPARED = (
    "scandock.workers.attempt", "scandock.workers.worker", "scandock.placing.forget", "scandock.placing.put_back",
    "scandock.services.moving", "scandock.services.progress", "scandock.services.uploading",
)  # fmt: skip
"""What is imported beyond what an import and a check need; what a fork lacks, it imports itself."""
LARGEST = 1_000_000
"""Bytes of a request."""
CONNECTION_SECONDS = 60.0


class Fork:
    """A process that calls `function` ("module:name") with words, in a group of its own; as subprocess.Popen is used.

    It exits with what the function returns, as a command does with what its `main` returns.
    """

    def __init__(self, function: str, *words: str, argv: list[str], env: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self._out: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._err: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._wire.settimeout(CONNECTION_SECONDS)
        request = {"function": function, "words": words, "argv": argv, "env": dict(env), "cwd": os.getcwd()}
        with theirs:
            _prepared().ask(request, [self._out.fileno(), self._err.fileno(), theirs.fileno()])
        self.pid = int(self._wire.recv(100))

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._wire], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._wire], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to its streams."""
        self.wait(timeout)
        texts = []
        for stream in (self._out, self._err):
            stream.seek(0)
            texts.append(stream.read())
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        self.returncode = int(self._wire.recv(100))
        self._wire.close()

    def __del__(self) -> None:
        self._wire.close()
        self._out.close()
        self._err.close()


def read_in_threads() -> int:
    """`scandock` with readers that are threads of it: for commands that are not killed, where readers are not asked."""
    from scandock.cli import main as command
    from scandock.testing.readers import thread_readers

    with thread_readers():
        return command()


def attempt(*words: str) -> int:
    """An attempt at an import, which reads in a thread."""
    from scandock.testing.readers import thread_readers
    from scandock.workers.attempt import main as run

    with thread_readers():
        return run(list(words))


def worker(*words: str) -> int:
    """A worker that does not wait for what it runs when it is asked to end."""
    from scandock.workers import worker as module

    module.DRAIN_SECONDS = 0.2
    return module.main(list(words))


def prepared_pid() -> int:
    """The parent of every fork."""
    return _prepared().pid


class _Prepared:
    """The prepared process, from this side."""

    def __init__(self) -> None:
        self._wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        bare = {name: value for name, value in os.environ.items() if not name.startswith("SCANDOCK_")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
                env=bare,
                start_new_session=True,
            )
        self.pid = self._process.pid
        atexit.register(self.close)

    def ask(self, request: dict[str, Any], fds: list[int]) -> None:
        with self._lock:
            socket.send_fds(self._wire, [json.dumps(request).encode()], fds)

    def close(self) -> None:
        self._wire.close()
        self._process.wait()


@functools.cache
def _prepared() -> _Prepared:
    return _Prepared()


def _serve(wire: socket.socket) -> dict[str, Any] | None:
    """Fork for each request until whoever asks is gone. In a fork: what it is to do; in the process itself: None."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([wire.fileno(), *running], [], [])[0]:
            if ready != wire.fileno():
                pid, asked = running.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with asked, contextlib.suppress(OSError):  # nobody may be left to hear of it
                    asked.send(str(code).encode())
                continue
            text, fds, _, _ = socket.recv_fds(wire, LARGEST, 3)
            if not text:
                return None
            out, err, end = fds
            with contextlib.suppress(ImportError):  # of which the fork tells
                importlib.import_module(json.loads(text)["function"].partition(":")[0])  # once for all that ask for it
            asked = socket.socket(fileno=end)
            pid = os.fork()
            if pid == 0:
                os.setsid()
                asked.send(str(os.getpid()).encode())
                for descriptor, (_, other) in running.items():
                    os.close(descriptor)
                    other.close()
                asked.close()
                wire.close()
                os.dup2(out, 1)
                os.dup2(err, 2)
                os.close(out)
                os.close(err)
                request: dict[str, Any] = json.loads(text)
                return request
            os.close(out)
            os.close(err)
            running[os.pidfd_open(pid)] = (pid, asked)


def _prepare() -> None:
    """Import what forks need, by having it done once, so that they find the statements of the catalog compiled."""
    from scandock.cli import main as command
    from scandock.testing.dialects import share_compiled_statements
    from scandock.testing.readers import thread_readers
    from tests.crash.archives import Study, zipped

    share_compiled_statements()
    for module in PREPARED:
        importlib.import_module(module)
    nobody, arguments = open(os.devnull, "w", encoding="utf-8"), sys.argv  # noqa: SIM115
    with tempfile.TemporaryDirectory(prefix="scandock-prepared-") as folder, nobody, thread_readers():
        data = Path(folder, "data")
        archive = zipped(Path(folder, "a.zip"), Study(1, 1, count=2, side=8).entries("S"))
        project = ["--project", "P", "--create-project", "--json"]
        for words in (["import", str(archive), *project], ["import", str(archive), *project], ["check"]):
            sys.argv = ["scandock", *words, "--data", str(data)]
            with contextlib.redirect_stdout(nobody), contextlib.redirect_stderr(nobody):
                if command() != 0:
                    raise RuntimeError(f"Nothing could be prepared: {sys.argv}.")
    sys.argv = arguments


def _run(request: dict[str, Any]) -> int:
    from scandock.model import points

    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    importlib.reload(points)  # which reads where it is to die from the environment when it is imported
    sys.argv = list(request["argv"])
    module, _, name = request["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    return function(*request["words"]) or 0


def main(words: list[str]) -> int:
    """Serve, and become what was asked for in each fork."""
    _prepare()
    if threading.active_count() != 1:
        raise RuntimeError("Nothing can be forked where threads run.")
    gc.collect()
    gc.freeze()
    request = _serve(socket.socket(fileno=int(words[0])))
    return 0 if request is None else _run(request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Processes of Scandock forked from one that has imported it: real ones, without the second that imports cost each.

They have a process group, an environment and standard streams of their own, and are killed, stopped and waited for like
any other. What a fresh interpreter does before `main`, the tests of the command line's start and of `scandock serve`
have.

This module is both sides: `ForkedCommand` asks a prepared process of this test process, `python -m tests.crash.forked
FD` is it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from scandock.access import passwords
from scandock.model.process import end_process
from scandock.queue import owner
from scandock.testing.passwords import QUICK
from scandock.workers import attempt_server, fork_server

PREPARED = (
    *attempt_server.NEEDED, "scandock.workers.attempt", "scandock.workers.worker", "scandock.services.moving",
    "scandock.workers.supervisor", "scandock.workers.receiver_process", "scandock.web.process",
    "uvicorn.lifespan.on", "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)  # fmt: skip
"""What is imported beyond what an import and a check need; what a fork lacks, it imports itself."""
ANSWER_SECONDS = 60.0
BUNDLE = "TESTS_BUNDLE"
"""Variable with the folder of the bundle that a server's pages are to have, in the place of the plain modules."""
BOOT_ID_FILE = "TESTS_BOOT_ID_FILE"
"""Variable with a file whose content is the boot id of the machine that a server is to take itself to be on."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CLONE_NEWNS = 0x00020000
_access = contextlib.ExitStack()
"""Contexts that a fork enters for as long as it lasts."""


class ForkedCommand:
    """A process that calls `function` ("module:name") with words, in a group of its own; as subprocess.Popen is used.

    It exits with what the function returns, as a command does with what its `main` returns.
    """

    def __init__(
        self,
        function: str,
        *words: str,
        argv: list[str],
        env: Mapping[str, str],
        streams: tuple[IO[str], IO[str]] | None = None,
        folder: Path | None = None,
        fds: Sequence[int] = (),
    ) -> None:
        """It works in `folder`; standard output and error go to `streams`, else where `communicate` reads them.

        Descriptors `fds` go along, their numbers in it as the last words.
        """
        self._out, self._err = streams or (_stream(), _stream())
        request = {
            "function": function,
            "words": words,
            "argv": argv,
            "env": dict(env),
            "cwd": str(folder or os.getcwd()),
        }
        fork_socket = _prepared().ask(request, [self._out.fileno(), self._err.fileno(), *fds])
        self._fork = fork_server.ForkedProcess(fork_socket, ANSWER_SECONDS)
        self.pid = self._fork.pid

    @property
    def returncode(self) -> int | None:
        return self._fork.poll()

    def poll(self) -> int | None:
        return self._fork.poll()

    def wait(self, timeout: float | None = None) -> int:
        if not self._fork.ends_within(timeout):
            raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
        return self._fork.wait()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to its streams."""
        self.wait(timeout)
        texts = []
        for stream in (self._out, self._err):
            stream.seek(0)
            texts.append(stream.read())
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        self._fork.signal(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        if hasattr(self, "_fork"):  # not where it never began
            self._fork.close()
        self._out.close()
        self._err.close()


def _stream() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


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
        return run(list(words[:-1]), int(words[-1]))


def worker(*words: str) -> int:
    """A worker that does not wait for what it runs when it is asked to end."""
    from scandock.workers import worker as module

    module.DRAIN_SECONDS = 0.2
    return module.main(list(words))


def serve(dropped: str) -> int:
    """`scandock serve` whose web and worker processes are forks of it, with passwords that cost nothing."""
    from scandock.cli import main as command
    from scandock.testing.server import make_app
    from scandock.web import app
    from scandock.web.pages.assets import use_bundle
    from scandock.workers import supervisor
    from tests.crash.dropped_syncs import drop_syncs

    if BOOT_ID_FILE in os.environ:
        _enter_machine(os.environ[BOOT_ID_FILE])
    if dropped:
        drop_syncs(dropped)
    _access.enter_context(passwords.use_hasher(QUICK))
    if BUNDLE in os.environ:
        _access.enter_context(use_bundle(Path(os.environ[BUNDLE])))
    app.create_app = make_app  # type: ignore[assignment]  # whose routes the prepared process has worked out
    supervisor.serve = functools.partial(supervisor.serve, start=_ForkedChild)
    return command()


def _enter_machine(boot_id_file: str) -> None:
    """Bind the file over the machine's boot id, in a mount namespace of this process and of those that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for words in (["--make-rprivate", "/"], ["--bind", boot_id_file, BOOT_ID]):
        subprocess.run(["mount", *words], check=True, stdin=subprocess.DEVNULL)
    owner.boot_id.cache_clear()  # the prepared process has asked for the machine's


class _ForkedChild:
    """A child of a supervisor (`scandock.workers.supervised_process.ChildProcess`) that is a fork of it."""

    def __init__(self, words: Sequence[str], _fds: Sequence[int]) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _run_module(*words[2:])  # behind: python -m

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _run_module(module: str, *words: str) -> NoReturn:
    """Run a module as `python -m` does, and end."""

    def run() -> int:
        importlib.reload(passwords)  # whose thread has stayed behind
        _access.enter_context(passwords.use_hasher(QUICK))
        code: int | None = importlib.import_module(module).main(list(words))
        return code or 0

    end_process(run)


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

    def ask(self, request: dict[str, Any], fds: list[int]) -> socket.socket:
        with self._lock:
            return fork_server.request_fork(self._wire, json.dumps(request).encode(), fds)

    def close(self) -> None:
        self._wire.close()
        self._process.wait()


@functools.cache
def _prepared() -> _Prepared:
    return _Prepared()


def _prepare() -> None:
    """Import what forks need, by having it done once, so that they find the statements of the catalog compiled."""
    from scandock.cli import main as command
    from scandock.testing.dialects import share_compiled_statements
    from scandock.testing.readers import thread_readers
    from scandock.testing.server import InProcessServer
    from tests.crash.archives import Study, write_zip

    share_compiled_statements()
    for module in PREPARED:
        importlib.import_module(module)
    nobody, arguments = open(os.devnull, "w", encoding="utf-8"), sys.argv  # noqa: SIM115
    with tempfile.TemporaryDirectory(prefix="scandock-prepared-") as folder, nobody, thread_readers():
        data = Path(folder, "data")
        archive = write_zip(Path(folder, "a.zip"), Study(1, 1, count=2, side=8).entries("S"))
        project = ["--project", "P", "--create-project", "--json"]
        for words in (["import", str(archive), *project], ["import", str(archive), *project], ["check"]):
            sys.argv = ["scandock", *words, "--data", str(data)]
            with contextlib.redirect_stdout(nobody), contextlib.redirect_stderr(nobody):
                if command() != 0:
                    raise RuntimeError(f"Nothing could be prepared: {sys.argv}.")
        with InProcessServer(data) as server, server.client() as client:
            client.get("/healthz").raise_for_status()
    sys.argv = arguments


def _run(request: dict[str, Any]) -> int:
    from scandock.model import crash_points

    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    importlib.reload(crash_points)  # which reads where it is to die from the environment when it is imported
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
    gc.set_threshold(50_000, 20, 20)  # forks are short
    message = fork_server.serve(socket.socket(fileno=int(words[0])), own_group=True)
    if message is not None:
        request, (out, err, *more) = message
        for stream, standard in ((out, 1), (err, 2)):
            os.dup2(stream, standard)
            os.close(stream)
        values = json.loads(request)
        values["words"] += map(str, more)
        end_process(functools.partial(_run, values))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A fork server: a process that has imported what is needed, and forks a process for each request.

Importing modules takes a process from a tenth of a second to most of one; a fork of a process that has them shares
them. A server has no thread, no database connection and no file of DATA open when it forks. It dies with its worker,
and its forks with it (`server_keeper.py`). There are two: of attempts at imports (`attempt_server.py`), and of the
readers of those (`reader_server.py`).

On the wire, a socket of SOCK_SEQPACKET: a server that was started says READY; a request is any text with descriptors,
the last of them a socket for that fork alone, on which come `P` and its process number with a descriptor of the process
(pidfd_open(2), Linux 5.3), and then `C` and its exit code, minus the signal's number where one ended it; or `E` and an
errno where it could not be forked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from collections.abc import Sequence

from scandock.model.readiness import wait_readable

READY = b"ready"
MAX_REQUEST = 1_000_000
"""Bytes of a request."""
_MOST_DESCRIPTORS = 8
ANSWER_SECONDS = 10.0
"""For a fork to begin, less than a lease lasts: longer takes only a server that is stopped, which is given up."""


class ForkedProcess:
    """A process that a server has forked, as it is seen by who asked for it."""

    def __init__(self, wire: socket.socket, seconds: float) -> None:
        """Waits for it to begin. Raises EOFError where it never will, OSError where nobody knows."""
        self._wire = wire
        self._code: int | None = None
        wire.settimeout(seconds)
        message, fds, _, _ = socket.recv_fds(wire, 100, 1)
        wire.settimeout(None)
        if message[:1] == b"E":
            raise EOFError(f"No process could be forked: {os.strerror(int(message[1:]))}.")
        if message[:1] != b"P":
            raise EOFError("The fork server has ended.")
        if not fds:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self.pid = int(message[1:])
        self._process = fds[0]
        self.server_died = False
        """Known once it has ended: it was killed by the death of its server."""

    def ends_within(self, seconds: float | None) -> bool:
        """Wait at most so long for its end; whether that came."""
        return self._code is not None or bool(wait_readable([self._wire.fileno()], seconds))

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self.wait() if self.ends_within(0) else None

    def wait(self) -> int:
        """Its exit code; minus the signal's number where one ended it. To be called by one thread."""
        if self._code is None:
            if self._wire.fileno() not in wait_readable([self._wire.fileno(), self._process]):
                self._wire.settimeout(ANSWER_SECONDS)  # it has ended, and a server that is not stopped says how
            message = b""
            with contextlib.suppress(TimeoutError):
                message = self._wire.recv(100)
            if not message:  # the server died, and takes its forks with it
                wait_readable([self._process])
            self.server_died = not message
            self._code = int(message[1:]) if message else -signal.SIGKILL
        return self._code

    def signal(self, number: int) -> None:
        """Nothing where it has ended; never to another that has its number since."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def close(self) -> None:
        self._wire.close()
        if self._process >= 0:
            os.close(self._process)
            self._process = -1


def request_fork(wire: socket.socket, request: bytes, fds: Sequence[int] = (), *, waits: bool = True) -> socket.socket:
    """Ask a server for a fork, with descriptors for it; the socket on which `ForkedProcess` listens. Raises OSError.

    `waits`: until it has room for another request, should others have filled its wire.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            socket.send_fds(wire, [request], [*fds, theirs.fileno()], 0 if waits else socket.MSG_DONTWAIT)
        except OSError:
            ours.close()
            raise
    return ours


def serve(wire: socket.socket, *, own_group: bool = False) -> tuple[bytes, list[int]] | None:
    """Fork for each request until who asks is gone.

    In a fork: the request, and the descriptors that came with it; in the server itself, at the end: None. With
    `own_group` each fork leads a process group.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in wait_readable([wire.fileno(), *running]):
            if ready != wire.fileno():
                _report_exit(*running.pop(ready), ready)
                continue
            try:
                request, fds, _, _ = socket.recv_fds(wire, MAX_REQUEST, _MOST_DESCRIPTORS)
            except ConnectionResetError:  # who asks was killed, and had not read that the server is ready
                return None
            if not request:
                return None
            client = socket.socket(fileno=fds.pop())
            pid = _fork(client)
            if pid == 0:
                for descriptor, (_, other) in running.items():
                    os.close(descriptor)
                    other.close()
                wire.close()
                _report_start(client, own_group=own_group)
                return request, fds
            for descriptor in fds:
                os.close(descriptor)
            if pid is not None:
                running[os.pidfd_open(pid)] = (pid, client)


def _fork(client: socket.socket) -> int | None:
    """As os.fork; None where the machine has no room for another process, which is told."""
    try:
        return os.fork()
    except OSError as error:
        with client, contextlib.suppress(OSError):
            client.send(b"E%d" % (error.errno or 0))
        return None


def _report_start(client: socket.socket, *, own_group: bool) -> None:
    """In a fork: say that it runs. It ends where nobody hears that."""
    if own_group:
        os.setsid()
    try:
        me = os.pidfd_open(os.getpid())
        with client:
            socket.send_fds(client, [b"P%d" % os.getpid()], [me])
    except OSError:
        os._exit(1)
    os.close(me)


def _report_exit(pid: int, client: socket.socket, descriptor: int) -> None:
    """Say how a fork ended."""
    os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with client, contextlib.suppress(OSError):
        client.send(b"C%d" % code)


def can_fork() -> bool:
    """Whether the system has descriptors of processes, by which forks are known."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return False
    return True

"""Connections that send what no HTTP library would: any bytes, from any address of the loopback, or too slowly."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

Answers = Counter[str]
"""How requests were answered: a status, `closed` (the server ended the connection), `open` (it did nothing), or what an
attack says of its own."""
CLOSED, OPEN = "closed", "open"
PATIENCE = 60.0
"""Seconds that an attacker waits for an answer to what it has sent."""
PIECE = 256 * 1024


class Deadline:
    """When an attack is to end."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        return not self.left


class Connection:
    """A TCP connection to the server at `port` of 127.0.0.1, from another address."""

    def __init__(self, port: int, address: str, *, receive_buffer: int | None = None) -> None:
        """With `receive_buffer`, the kernel takes no more than about so many bytes that nobody reads."""
        self._socket = socket.socket()
        try:
            self._socket.settimeout(PATIENCE)
            if receive_buffer is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._socket.bind((address, 0))
            self._socket.connect(("127.0.0.1", port))
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, seconds: float = PATIENCE) -> bool:
        """Send all of it; False where the server answers or closes before its end, or takes nothing for so long."""
        left = memoryview(data)
        while left:
            readable, writable, _ = select.select([self._socket], [self._socket], [], seconds)
            if readable or not writable:
                return False
            try:
                left = left[self._socket.send(left[:PIECE]) :]
            except BlockingIOError:
                continue
            except OSError:
                return False
        return True

    def send_each(self, pieces: Iterable[bytes], deadline: Deadline) -> bool:
        """Send pieces until the deadline; False where the server answers or closes before."""
        for piece in pieces:
            if deadline.is_over:
                return True
            if not self.send(piece, max(1.0, deadline.left)):
                return False
        return True

    def is_answered(self) -> bool:
        """Whether something came, or the server closed the connection."""
        return bool(select.select([self._socket], [], [], 0.0)[0])

    def read(self, seconds: float, most: int = PIECE) -> bytes | None:
        """What comes within so many seconds: nothing at the connection's end, None where nothing came."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return None
        try:
            return self._socket.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def status(self, seconds: float = PATIENCE) -> str:
        """How the server answers: the status, or that it closed the connection or left it open."""
        line, end = b"", Deadline(seconds)
        while b"\n" not in line:
            data = self.read(end.left)
            if not data:
                return OPEN if data is None else CLOSED
            line += data
        return line.split(b" ", 2)[1].decode()

    def read_all(self) -> bytes:
        """Everything until the server closes the connection; for answers to `Connection: close`."""
        parts = []
        while data := self.read(PATIENCE):
            parts.append(data)
        return b"".join(parts)


def repeat(
    once: Callable[[], str], deadline: Deadline, *, at_once: int = 1, least: int = 1, most: int | None = None
) -> Answers:
    """Do something again and again, in so many threads: `least` times, then until the deadline or `most` times.

    A connection that the server does not take is `refused`.
    """
    answers: Answers = Counter()
    turns = itertools.count() if most is None else iter(range(most))

    def work() -> None:
        for turn in turns:
            try:
                answers[once()] += 1
            except OSError:
                answers["refused"] += 1
                time.sleep(0.05)
            if deadline.is_over and turn + at_once >= least:
                return

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(work) for _ in range(at_once)]:
            done.result()
    return answers


def in_turn(each: Sequence[Callable[[], str]], deadline: Deadline, *, at_once: int = 1) -> Answers:
    """Do each of several things, then again and again until the deadline."""
    turns = itertools.count()
    return repeat(lambda: each[next(turns) % len(each)](), deadline, at_once=at_once, least=len(each))


def hold(connections: list[Connection], drip: bytes, deadline: Deadline, pause: float = 1.0) -> Answers:
    """Send `drip` on each connection every `pause` seconds until the deadline; how each was answered until then."""
    answers: Answers = Counter()
    waiting = list(connections)
    while waiting and not deadline.is_over:
        kept = []
        for one in waiting:
            if one.send(drip, 0.0) if drip else not one.is_answered():
                kept.append(one)
            else:
                answers[one.status(1.0)] += 1
        waiting = kept
        time.sleep(min(pause, deadline.left))
    for one in waiting:
        answers[one.status(0.0)] += 1
    return answers


def close_all(connections: Iterable[Connection]) -> None:
    for one in connections:
        with contextlib.suppress(OSError):
            one.close()

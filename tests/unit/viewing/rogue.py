"""A decoder as `scandock.viewing.decoder`, that also does what a hostile file might make one do, or waits."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time
from typing import Any

from scandock.viewing import decoder
from scandock.viewing.decoder_messages import Message


def _echo(_: Message) -> Any:
    """Answers at once, without the libraries that pictures need."""
    return {}, b""


def _hold(asked: Message) -> Any:
    """Answers once the other end of the pipe that it is given is closed."""
    os.read(asked.files[0], 1)
    return {}, b""


def _crash(_: Message) -> Any:
    ctypes.string_at(0)


def _hang(_: Message) -> Any:
    while True:
        time.sleep(60)


def _spin(_: Message) -> Any:
    while True:
        pass


def _drip(asked: Message) -> Any:
    """Begins an answer of a mebibyte (`exchange.receive`), and sends it byte by byte."""
    end = socket.socket(fileno=int(sys.argv[2]))
    end.sendall(struct.pack("<IQ", 1024**2, 0))
    while True:
        end.sendall(b" ")
        time.sleep(0.01)


def _garbage(_: Message) -> Any:
    os.write(int(sys.argv[2]), b"\xff" * 64)
    os._exit(0)


def _eat(_: Message) -> Any:
    return {"kept": len(bytearray(8 * 1024**3))}, b""


def _write(_: Message) -> Any:
    with open("/tmp/scandock-rogue-was-here", "wb") as file:
        file.write(b"x" * 4096)
    return {}, b""


def _large(asked: Message) -> Any:
    return {}, b"x" * asked.said["bytes"]


decoder.VERBS.update(
    large=_large,
    spin=_spin,
    echo=_echo,
    hold=_hold,
    crash=_crash,
    hang=_hang,
    drip=_drip,
    garbage=_garbage,
    eat=_eat,
    write=_write,
)

if __name__ == "__main__":
    decoder.main(int(sys.argv[1]), int(sys.argv[2]))

"""Ports for what has to be told its own before it listens."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 10_240, 32_000
"""Below those that the system gives to whoever asks for any, so that no other test's connection takes one meanwhile."""
_NUMBERS = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A port at which nobody listens, whatever the address; another one each time."""
    for number in _NUMBERS:
        port = _FIRST + number % (_LAST - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError

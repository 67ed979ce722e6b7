"""Ports for what has to be told its own before it listens."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

_FIRST, _LAST = 10_240, 32_000
"""Below those that the system gives to whoever asks for any, so that no other test's connection takes one meanwhile."""
_NUMBERS = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A port at which nobody listens, whatever the address, and which no other process of the tests was given.

    Not even while nobody listens there, as between a kill and the next start: a socket by its name stays open in this
    process until it ends.
    """
    for number in _NUMBERS:
        port = _FIRST + number % (_LAST - _FIRST)
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as probe:
            claim.bind(f"\0scandock-tests-port-{port}")
            probe.bind(("", port))
            claim.detach()
            return port
        claim.close()
    raise AssertionError

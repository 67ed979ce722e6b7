"""Trying again and again for a while, where what is in the way is soon over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


def tries(seconds: float, pause: float, wait: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """A turn of a loop for each try, `pause` seconds apart; it ends once a try has ended after `seconds`.

    Who succeeds leaves the loop; behind it, nothing has.
    """
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            return
        wait(pause)

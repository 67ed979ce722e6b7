"""Slowing down who guesses passwords: by name and address together, by name, by address.

Kept in the memory of the web process where it is the only one that checks passwords over the network; a restart forgets
it. On PostgreSQL web hosts share the counters (`shared_throttle`). Each is a bucket of failures that may still be made
and fills up again with time. A failure is taken from it before the password is looked at and given back when it was
right, so that guesses side by side count too.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from scandock.access.clock import monotonic
from scandock.model.dataclass import dataclass
from scandock.model.errors import Coded

MAX_KEYS: Final = 50_000


class Throttled(Coded):
    """Too many wrong passwords: 429, with the seconds after which another try counts."""

    CODE = "too_many_logins"
    STATUS = 429
    MEANING = "Too many wrong passwords (429); `Retry-After` says when the next try counts."
    SENTENCE = "Too many wrong passwords were sent."
    REMEDY = "Wait {seconds} seconds; whoever runs the server can set a new password."

    def __init__(self, seconds: int) -> None:
        self._fill({"seconds": seconds})
        self.retry_after = seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """How many failures in a row, and the seconds after which one more is allowed."""

    burst: int
    seconds: float


PAIR: Final = Rate(8, 15.0)
NAME: Final = Rate(50, 6.0)
ADDRESS: Final = Rate(50, 3.0)
"""A name is given more than a pair: who guesses from elsewhere must not lock its owner out at once."""


class Throttle:
    """The counters."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many names, addresses and pairs of them are counted."""
        return len(self._buckets)

    def begin(self, name: str, address: str) -> None:
        """Take a try for `name` from `address`; raises Throttled where there is none left, which takes nothing."""
        keys = bucket_keys(name, address)
        with self._lock:
            now = self._clock()
            left = [self._left(key, rate, now) for key, rate in keys]
            wait = max((1 - have) * rate.seconds for have, (_, rate) in zip(left, keys, strict=True))
            if wait > 0:
                raise throttled_for(wait)
            for have, (key, _) in zip(left, keys, strict=True):
                self._put(key, have - 1, now)

    def good(self, name: str, address: str) -> None:
        """Give back what `begin` took: the password was right."""
        with self._lock:
            now = self._clock()
            for key, rate in bucket_keys(name, address):
                self._put(key, min(rate.burst, self._left(key, rate, now) + 1), now)

    def _left(self, key: tuple[str, ...], rate: Rate, now: float) -> float:
        have, at = self._buckets.get(key, (float(rate.burst), now))
        return min(float(rate.burst), have + (now - at) / rate.seconds)

    def _put(self, key: tuple[str, ...], have: float, now: float) -> None:
        self._buckets[key] = (have, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)


def throttled_for(seconds: float) -> Throttled:
    """The refusal of who has to wait for so long."""
    return Throttled(max(1, math.ceil(seconds)))


def bucket_keys(name: str, address: str) -> list[tuple[tuple[str, ...], Rate]]:
    """The buckets that a try counts in, each with its rate."""
    who, where = name.casefold()[:256], network_of(address)
    return [(("pair", who, where), PAIR), (("name", who), NAME), (("address", where), ADDRESS)]


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the /64, as one machine has all of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)

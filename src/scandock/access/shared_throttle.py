"""Counting wrong passwords for all web hosts together, in the catalog on PostgreSQL; by the same rates as `throttle`.

A bucket is one moment: when the last failure in it counts no more. A failure moves it on by the seconds of its rate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from scandock.access.clock import now_ms
from scandock.access.throttle import Rate, bucket_keys, throttled_for
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import login_failure

_DIGEST_BYTES: Final = 16


class _Bucket(NamedTuple):
    """Sorted by its key, as hosts take the rows in one order."""

    key: bytes
    rate: Rate

    @property
    def step(self) -> int:
        """Milliseconds of one failure."""
        return int(self.rate.seconds * 1000)

    @property
    def most(self) -> int:
        """Milliseconds until a full bucket is empty."""
        return self.rate.burst * self.step


class SharedThrottle:
    """The counters of all hosts. `begin` and `good` are those of `throttle.Throttle`; Fault where the catalog fails."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def begin(self, name: str, address: str) -> None:
        """Take a try for `name` from `address`; raises Throttled where there is none left, which takes nothing."""
        buckets = _buckets(name, address)
        with self._catalog.read() as connection:  # whoever guesses on writes nothing
            now = now_ms(connection)
            rows = connection.execute(select(login_failure).where(login_failure.c.key.in_([b.key for b in buckets])))
            forgiven = {row.key: row.forgiven for row in rows}
        _check(buckets, [_moved(bucket, forgiven.get(bucket.key, now), now) for bucket in buckets], now)
        with self._catalog.write() as connection:
            now = now_ms(connection)
            _check(buckets, [_move(connection, bucket, now, bucket.step) for bucket in buckets], now)

    def good(self, name: str, address: str) -> None:
        """Give back what `begin` took: the password was right."""
        with self._catalog.write() as connection:
            now = now_ms(connection)
            for bucket in _buckets(name, address):
                _move(connection, bucket, now, -bucket.step)


def forget_forgiven(catalog: Catalog) -> int:
    """Remove the rows of failures that count no more; how many."""
    if catalog.sqlite:
        return 0
    with catalog.write() as connection:
        return connection.execute(delete(login_failure).where(login_failure.c.forgiven < catalog.now())).rowcount


def _buckets(name: str, address: str) -> list[_Bucket]:
    return sorted(_Bucket(_digest(key), rate) for key, rate in bucket_keys(name, address))


def _digest(key: tuple[str, ...]) -> bytes:
    """What a bucket is called: a name may be a password in the wrong field, and is not written down."""
    text = "\0".join(key).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()[:_DIGEST_BYTES]


def _moved(bucket: _Bucket, forgiven: int, now: int) -> int:
    """When a bucket is empty that takes one failure more; what lies further ahead is of a clock that was."""
    return min(max(forgiven, now), now + bucket.most) + bucket.step


def _move(connection: Connection, bucket: _Bucket, now: int, step: int) -> int:
    """Take a failure, or (a negative `step`) give one back; when the bucket is empty then."""
    statement = insert(login_failure).values(key=bucket.key, forgiven=max(now, now + step))
    forgiven = func.least(func.greatest(login_failure.c.forgiven, now), now + bucket.most) + step
    return int(
        connection.execute(
            statement.on_conflict_do_update(index_elements=[login_failure.c.key], set_={"forgiven": forgiven})
            .returning(login_failure.c.forgiven)
        ).scalar_one()
    )  # fmt: skip


def _check(buckets: Sequence[_Bucket], forgiven: Sequence[int], now: int) -> None:
    """Raise Throttled where a bucket has more than it takes, so that nothing of this transaction holds."""
    wait = max(at - now - bucket.most for at, bucket in zip(forgiven, buckets, strict=True))
    if wait > 0:
        raise throttled_for(wait / 1000)

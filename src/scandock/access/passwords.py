"""Passwords: argon2id, checked one at a time, a good one remembered for a minute without being kept."""

from __future__ import annotations

import hashlib
import secrets
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scandock.access.clock import monotonic
from scandock.access.errors import PasswordUnfit
from scandock.model.dataclass import dataclass

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 3
LANES: Final = 1
"""Above the least that OWASP names for argon2id (19 MiB, 2 passes, 1 lane), and little beside what ten uploads take."""

MIN_LENGTH: Final = 8
"""Characters of a password that somebody chooses for themselves."""
MAX_LENGTH: Final = 4096
REMEMBER_SECONDS: Final = 60.0
MAX_REMEMBERED: Final = 4096

HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
_hasher = HASHER
_thread: Final = ThreadPoolExecutor(1, "passwords")
"""All checks are made here, one at a time: each takes its memory for its while, and the allocator keeps it for the
thread that freed it. Requests come by way of `password_queue`, so that few of them wait here at once."""


@contextmanager
def use_hasher(hasher: PasswordHasher) -> Iterator[None]:
    """Hash and check with another hasher within the context, for the whole process.

    For tests, where the cost of each login would count (`scandock.testing.quick_passwords`). No setting leads here.
    """
    global _hasher  # noqa: PLW0603  one for the process: hashes are made in a thread that all requests share
    before, _hasher = _hasher, hasher
    try:
        yield
    finally:
        _hasher = before


def check_new(password: str, *, least: int = MIN_LENGTH) -> None:
    """Raises Usage `password_unfit` for a password that can't be taken.

    An administrator may set a shorter one than people choose for themselves (`least` 1): theirs is to know.
    """
    if len(password) < least:
        raise PasswordUnfit(f"A password has at least {least} characters.", "Choose a longer one.")
    if len(password) > MAX_LENGTH or "\0" in password:
        raise PasswordUnfit(f"A password has at most {MAX_LENGTH} characters, and no zero byte.")


def hash_password(password: str) -> str:
    """The argon2id hash, with its parameters and salt. Takes 0.1 s: never inside a transaction."""
    return _thread.submit(_hasher.hash, _bytes(password)).result()


def verify(stored: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; takes as long where there is none (no such account)."""
    if len(password) > MAX_LENGTH:
        password, stored = "", None
    try:
        _thread.submit(_hasher.verify, stored or _dummy_hash(_hasher), _bytes(password)).result()
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made by other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _bytes(password: str) -> bytes:
    """One spelling of each letter (NFC, RFC 8265), whichever keyboard it was typed on."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@cache
def _dummy_hash(hasher: PasswordHasher) -> str:
    """A hash that no password fits, which costs a check as much as any other of this hasher."""
    return _thread.submit(hasher.hash, secrets.token_hex(16)).result()


@dataclass(frozen=True, slots=True)
class _CachedLogin:
    account_id: int
    epoch: int
    until: float


class PasswordCache:
    """Good logins of the last minute, by a keyed hash of name and password: neither is kept.

    The account's row is read all the same, and what was remembered of an older epoch no longer counts.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._good: OrderedDict[bytes, _CachedLogin] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, name: str, password: str, account_id: int, epoch: int) -> None:
        with self._lock:
            self._good[self.digest(name, password)] = _CachedLogin(account_id, epoch, self._clock() + REMEMBER_SECONDS)
            while len(self._good) > MAX_REMEMBERED:
                self._good.popitem(last=False)

    def knows(self, name: str, password: str, account_id: int, epoch: int) -> bool:
        digest = self.digest(name, password)
        with self._lock:
            good = self._good.get(digest)
            if good is None:
                return False
            if good.until > self._clock() and (good.account_id, good.epoch) == (account_id, epoch):
                return True
            del self._good[digest]
            return False

    def digest(self, name: str, password: str) -> bytes:
        """What a name and a password are called here: a keyed hash of both."""
        text = f"{len(name)}:{name}:{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()

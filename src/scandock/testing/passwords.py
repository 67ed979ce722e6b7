"""Passwords whose check costs no time."""

from __future__ import annotations

from contextlib import AbstractContextManager

from argon2 import PasswordHasher

from scandock.access.passwords import use_hasher

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""The least that argon2 takes: 8 KiB, some 30 microseconds."""


def quick_passwords() -> AbstractContextManager[None]:
    """Hash passwords by argon2id at its least cost within the context, in this process alone."""
    return use_hasher(QUICK)

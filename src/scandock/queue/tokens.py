"""Ids that are made without asking anybody: tokens of leases, UUIDs of uploads and sessions."""

from __future__ import annotations

import os
import time


def new_token() -> str:
    return os.urandom(8).hex()


def new_uuid() -> str:
    """A UUIDv7 (RFC 9562): sorts by time."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    version_and_variant = 0xF << 76 | 0b11 << 62
    value = (milliseconds << 80 | random) & ~version_and_variant | 0x7 << 76 | 0b10 << 62
    text = f"{value:032x}"  # as uuid.UUID writes it, whose module takes 3 ms that readers wait for
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

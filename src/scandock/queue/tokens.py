"""Ids that are made without asking anybody: tokens of leases, UUIDs of uploads and sessions."""

from __future__ import annotations

import secrets
import time
import uuid


def new_token() -> str:
    return secrets.token_hex(8)


def new_uuid() -> str:
    """A UUIDv7 (RFC 9562): sorts by time."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=value))

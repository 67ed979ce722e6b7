"""Who runs an import: boot, process and its start time, so that a dead owner on this host is known at once."""

from __future__ import annotations

import json
import os
import platform
from functools import cache


@cache
def boot_id() -> str:
    """Changes with every start of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _started(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def this_owner(server: int | None = None) -> str:
    """The process at hand, as text for the catalog; with the process of the server that it is a worker of."""
    pid = os.getpid()
    facts: dict[str, object] = {"host": platform.node(), "boot": boot_id(), "pid": pid, "started": _started(pid)}
    if server is not None:
        facts["server"] = {"pid": server, "started": _started(server)}
    return json.dumps(facts)


def server_is_gone(owner: str) -> bool:
    """Whether the server that an owner worked for is dead for certain: then nothing is held against its imports."""
    try:
        facts = json.loads(owner)
        if facts["host"] != platform.node():
            return False
        if facts["boot"] != boot_id():
            return True
        return bool(_started(int(facts["server"]["pid"])) != facts["server"]["started"])
    except (ValueError, KeyError, TypeError):
        return False


def is_mine(owner: str) -> bool:
    """Whether an owner is this very process."""
    mine = json.loads(this_owner())
    try:
        facts = json.loads(owner)
        return all(facts[key] == value for key, value in mine.items())
    except (ValueError, KeyError, TypeError):
        return False


def is_gone(owner: str) -> bool | None:
    """True: dead for certain. False: alive. None: on another host, only the lease can tell."""
    try:
        facts = json.loads(owner)
        host, boot, pid, started = facts["host"], facts["boot"], int(facts["pid"]), facts["started"]
    except (ValueError, KeyError, TypeError):
        return None
    if host != platform.node():
        return None
    if boot != boot_id():
        return True
    return bool(_started(pid) != started)

"""Who runs an import: boot, process and its start time, so that a dead owner on this host is known at once.

Containers may share a host's name and DATA, but not its process numbers: who is in another PID namespace can't be seen.

Where several hosts may work on a catalog (PostgreSQL), each has an id (`Catalog.host`), and its name says nothing:
machines are cloned with theirs. There what ran before this machine's last start is the lease's to tell, too. Where the
catalog is a file (SQLite), there is one machine, and whatever ran before its last start is gone.
"""

from __future__ import annotations

import json
import os
import platform
from functools import cache
from typing import Final

_STOPPED: Final = (b"T", b"t", b"Z", b"X")
"""Stopped by a signal or a debugger; dead."""


@cache
def boot_id() -> str:
    """Changes with every start of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


@cache
def _pid_namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def start_time(pid: int) -> int | None:
    try:
        return int(_stat(pid)[19])
    except (OSError, IndexError, ValueError):
        return None


def _stat(pid: int) -> list[bytes]:
    """proc_pid_stat(5) from the third field on: state, parent ..., the 22nd is the start time."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def this_owner(server: int | None = None, *, place: str = "", host: str = "") -> str:
    """The process at hand, as text for the catalog; with the process of the server that it is a worker of.

    `place`: of the catalog (`Catalog.place`), so that nobody is taken to work on a copy of it. `host`: `Catalog.host`.
    """
    pid = os.getpid()
    facts: dict[str, object] = {
        "host": platform.node(), "boot": boot_id(), "space": _pid_namespace(), "pid": pid, "started": start_time(pid),
    }  # fmt: skip
    if server is not None:
        facts["server"] = {"pid": server, "started": start_time(server)}
    return add_catalog(json.dumps(facts), place=place, host=host)


def add_catalog(owner: str, *, place: str, host: str) -> str:
    """An owner that has no catalog of its own, as one that works on this one (`Catalog.place`, `Catalog.host`)."""
    facts = json.loads(owner)
    if place:
        facts["catalog"] = place
    if host:
        facts["host_id"] = host
    return json.dumps(facts)


def is_elsewhere(owner: str, place: str) -> bool:
    """Whether an owner on this machine works on another catalog for certain, of which the one at hand is a copy."""
    try:
        facts = json.loads(owner)
        here = (facts["host"], facts["boot"], facts["space"]) == (platform.node(), boot_id(), _pid_namespace())
        return here and bool(place) and facts["catalog"] != place
    except (ValueError, KeyError, TypeError):
        return False


def is_other_host(owner: str, host: str) -> bool:
    """Whether an owner is of another host than this one (`Catalog.host`), by their ids alone.

    An owner that was written by a version without such ids is not taken for another host's.
    """
    try:
        return bool(host) and json.loads(owner).get("host_id", host) != host
    except (ValueError, AttributeError):
        return False


def host_of(owner: str) -> str:
    """The id of an owner's host; empty where it has none."""
    try:
        return str(json.loads(owner).get("host_id", ""))
    except (ValueError, AttributeError):
        return ""


def is_server_gone(owner: str, host: str = "") -> bool:
    """Whether the server that an owner worked for is dead for certain: then nothing is held against its imports.

    `host`: `Catalog.host`.
    """
    try:
        facts = json.loads(owner)
        if (facts.get("host_id") != host) if host else (facts["host"] != platform.node()):
            return False
        if facts["boot"] != boot_id():
            return True
        if facts["space"] != _pid_namespace():
            return False
        return bool(start_time(int(facts["server"]["pid"])) != facts["server"]["started"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def is_mine(owner: str) -> bool:
    """Whether an owner is this very process."""
    mine = json.loads(this_owner())
    try:
        facts = json.loads(owner)
        return all(facts[key] == value for key, value in mine.items())
    except (ValueError, KeyError, TypeError):
        return False


def is_gone(owner: str, host: str = "") -> bool | None:
    """True: dead for certain. False: alive. None: on another host or in another container, only the lease can tell.

    `host`: `Catalog.host`; with one, so is it for what ran before the machine's last start, as that may be another one.
    """
    try:
        facts = json.loads(owner)
        name, boot, space = facts["host"], facts["boot"], facts["space"]
        pid, started = int(facts["pid"]), facts["started"]
    except (ValueError, KeyError, TypeError):
        return None
    if name != platform.node():
        return None
    if boot != boot_id():
        return None if host else True
    if space != _pid_namespace():
        return None
    return bool(start_time(pid) != started)


def has_ended(owner: str, host: str = "") -> bool | None:
    """As `is_gone`, and True of a process of this host that has ended and is only still to be reaped.

    Also of one that a server of this very host had before the machine's last start: a host has one server.
    """
    gone = is_gone(owner, host)
    try:
        facts = json.loads(owner)
        if gone is None and host and facts.get("host_id") == host and facts["boot"] != boot_id():
            return True
        if gone is not False:
            return gone
        return _stat(int(facts["pid"]))[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True
    except (ValueError, KeyError, AttributeError):
        return gone


def is_running(owner: str) -> bool:
    """Whether it is a process of this host that lives and isn't stopped: slow, perhaps, but not lost."""
    if is_gone(owner) is not False:
        return False
    try:
        return _stat(int(json.loads(owner)["pid"]))[0] not in _STOPPED
    except (OSError, IndexError):
        return False

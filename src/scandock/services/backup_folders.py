"""Folders of backups: each backup is a folder there, named by its time; one is made at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final

from scandock.model.dataclass import dataclass
from scandock.services.data_errors import BackupRunning
from scandock.store import backups

FORMAT: Final = 1
DESCRIPTION_FILE: Final = "backup.json"
PARTIAL: Final = "unfinished"
"""Name of a backup that is being made, or was when its command was ended: the next one goes on with it."""
LOCK: Final = ".lock"
_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """A backup that was made."""

    path: str
    trees: int
    copied: int
    """Trees whose files were copied; those of all others are shared with the backup before."""
    bytes: int
    """Bytes that were copied."""
    damaged: list[str] = field(default_factory=list)
    """Names of trees and files that are not in DATA as they were stored; they are in the backup as they are."""


@contextmanager
def lock_target(target: str) -> Iterator[None]:
    """Be the only backup to a folder. Usage `backup_running`."""
    fd = os.open(os.path.join(target, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupRunning(target) from None
    else:
        yield
    finally:
        os.close(fd)


def list_finished_backups(target: str) -> list[str]:
    """Paths of the finished backups in a folder, the oldest first."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(name for name in os.listdir(target) if name != PARTIAL)
        return [
            path for name in names if os.path.isfile(os.path.join(path := os.path.join(target, name), DESCRIPTION_FILE))
        ]
    return []


def finish_backup(path: str, target: str, before: str, facts: Mapping[str, object]) -> str:
    """Give a backup its description and its name, all of it on disk; its path then. `before`: that of the last one."""
    with open(os.path.join(path, DESCRIPTION_FILE), "w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=2) + "\n")
    backups.sync_all(path)
    name = _free_name(target, before)
    os.rename(path, name)
    backups.sync_all(target)
    return name


def _free_name(target: str, before: str) -> str:
    """A path in a folder of backups, by the time, that sorts behind those of all before; `before` is the last one's."""
    last = os.path.basename(before)
    stamp = datetime.now(UTC).strftime(_STAMP)
    name, n = stamp, 0
    while name <= last or os.path.lexists(os.path.join(target, name)):
        n += 1
        name = f"{max(stamp, last.partition('-')[0])}-{n:04d}"
    return os.path.join(target, name)


def read_description(backup: str) -> dict[str, Any]:
    """What the file of a backup says of it."""
    with open(os.path.join(backup, DESCRIPTION_FILE), encoding="utf-8") as file:
        facts: dict[str, Any] = json.load(file)
    return facts

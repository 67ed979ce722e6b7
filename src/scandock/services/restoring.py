"""A backup put into a new data folder: the files first and the catalog last, then all of it is checked."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from scandock.model.import_types import Progress
from scandock.queue.leases import release_all
from scandock.services.backing_up import WHAT, Told, finished_backups
from scandock.services.catalog_copies import check_restorable, put_back_catalog
from scandock.services.checking import Finding, check
from scandock.services.data_errors import BackupMissing, BackupNewer, RestoreNotEmpty
from scandock.services.opening import open_data_catalog
from scandock.store import backups
from scandock.store.local import LocalStore
from scandock.store.paths import TO_DELETE
from scandock.store.root import FOLDERS

if TYPE_CHECKING:
    from scandock.services.settings import Settings

FORMAT = 1


def restore(backup: str, data: str, settings: Settings, on_progress: Told | None = None) -> list[Finding]:
    """Restore a backup, or the newest of a folder of them, into a new or empty folder; what `check` finds there.

    Usage `backup_missing`, `restore_not_empty`, `restore_other_catalog`, `backup_newer`. A Fault leaves a folder that
    is no data folder yet.
    """
    source = find_backup(backup)
    data = os.path.abspath(data)
    if os.path.isdir(data) and os.listdir(data):
        raise RestoreNotEmpty(f"{data} is not empty.", "Name a new or an empty folder.")
    check_restorable(source, settings.database_url)
    store = LocalStore(data)
    store.prepare()
    begun, done = time.monotonic(), [0, 0]

    def tell(size: int) -> None:
        done[0] += 1
        done[1] += size
        if on_progress is not None:
            seconds = time.monotonic() - begun
            on_progress(Progress(stage="reading", entries_done=done[0], bytes_done=done[1], seconds=seconds))

    for folder in FOLDERS:
        if folder != TO_DELETE and os.path.isdir(os.path.join(source, folder)):
            with backups.OpenFolder(os.path.join(source, folder)) as there:
                backups.copy_folder(there, os.path.join(data, folder), tell)
    backups.sync_all(data)
    try:
        put_back_catalog(source, data, settings.database_url)
    except OSError as error:
        raise backups.copy_fault(error, data) from error
    _disown(data, settings)
    backups.sync_all(data)
    store.close()
    return check(data, settings, on_progress)


def _disown(data: str, settings: Settings) -> None:
    """Let nobody own the imports and operations that went on: who did may live on this machine, and has another folder.

    The database is this folder's from now on, and not that of the one that the backup was made of.
    """
    catalog = open_data_catalog(data, settings, adopts=True)
    try:
        with catalog.write() as connection:
            release_all(connection)
    finally:
        catalog.dispose()


def find_backup(path: str) -> str:
    """The backup that a path names: itself, or the newest in it. Usage `backup_missing`, `backup_newer`."""
    path = os.path.abspath(path)
    every = [path] if os.path.isfile(os.path.join(path, WHAT)) else finished_backups(path)
    if not every:
        raise BackupMissing(path)
    with open(os.path.join(every[-1], WHAT), encoding="utf-8") as file:
        facts = json.load(file)
    if facts.get("format") != FORMAT:
        raise BackupNewer(every[-1])
    return every[-1]

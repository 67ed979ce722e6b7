"""A backup put into a new data folder: the files first and the catalog last, then all of it is checked."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from scandock.model.import_types import Progress
from scandock.queue.leases import release_all
from scandock.services.backup import ProgressCallback
from scandock.services.backup_folders import DESCRIPTION_FILE, FORMAT, list_finished_backups, read_description
from scandock.services.catalog_copies import check_empty_folder, check_restorable, restore_catalog
from scandock.services.consistency_check import Finding, check_data
from scandock.services.data_catalog import open_data_catalog
from scandock.services.data_errors import BackupMissing, BackupNewer, RestoreOtherBucket
from scandock.store import backups
from scandock.store.opening import open_store
from scandock.store.paths import TO_DELETE
from scandock.store.root import FOLDERS

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def restore_backup(
    backup: str, data: str, settings: Settings, on_progress: ProgressCallback | None = None
) -> list[Finding]:
    """Restore a backup, or the newest of a folder of them, into a new or empty folder; what `check` finds there.

    Usage `backup_missing`, `restore_not_empty`, `restore_other_catalog`, `backup_newer`. A Fault leaves a folder that
    is no data folder yet; of a site in a bucket, what the same restore goes on with.
    """
    source = find_backup(backup)
    data = os.path.abspath(data)
    store_of_backup = read_description(source).get("store")
    if (store_of_backup is None) != (settings.store is None):
        raise RestoreOtherBucket(settings.store or data, store_of_backup or "a data folder")
    if settings.store is not None:
        from scandock.services.bucket_backup import restore_bucket_site

        return restore_bucket_site(source, data, settings)
    check_empty_folder(data)
    check_restorable(source, settings.database_url)
    store = open_store(data)
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
            with backups.OpenFolder(os.path.join(source, folder)) as open_folder:
                backups.copy_folder(open_folder, os.path.join(data, folder), tell)
    backups.sync_all(data)
    try:
        restore_catalog(source, data, settings.database_url)
    except OSError as error:
        raise backups.copy_fault(error, data) from error
    _release_owners(data, settings)
    backups.sync_all(data)
    store.close()
    return check_data(data, settings, on_progress)


def _release_owners(data: str, settings: Settings) -> None:
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
    backups_found = [path] if os.path.isfile(os.path.join(path, DESCRIPTION_FILE)) else list_finished_backups(path)
    if not backups_found:
        raise BackupMissing(path)
    if read_description(backups_found[-1]).get("format") != FORMAT:
        raise BackupNewer(backups_found[-1])
    return backups_found[-1]

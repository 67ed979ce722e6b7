"""Backups of a site whose files are in a bucket: its catalog, and what the bucket has to keep for it.

No file is copied. What a catalog names stays in the bucket for SCANDOCK_GARBAGE_DAYS after it was deleted, so one that
is restored within these days finds all of it; later it does where the bucket keeps versions, or is copied.
"""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from scandock import __version__
from scandock.catalog.tables import session, shelf
from scandock.catalog.unfinished_restore import UnfinishedRestore
from scandock.queue.leases import release_all
from scandock.services.backup_folders import (
    FORMAT,
    PARTIAL,
    BackupResult,
    finish_backup,
    list_finished_backups,
    lock_target,
    read_description,
)
from scandock.services.catalog_copies import (
    DUMP,
    check_empty_folder,
    check_restorable,
    copy_catalog,
    end_marked_restore,
    restore_marked_catalog,
)
from scandock.services.consistency_check import Finding
from scandock.services.data_catalog import open_data_catalog
from scandock.services.data_errors import RestoreOtherBucket
from scandock.services.store_opening import open_data_store
from scandock.store import backups

if TYPE_CHECKING:
    from scandock.services.settings import Settings

RULE: Final = (
    "The files are in the bucket {store}. Restored until {until}, this catalog finds all that it names there; later it"
    " needs the versions or the copy of the bucket from then. No rule of the bucket may delete objects before, but for"
    " one that aborts incomplete multipart uploads after 7 days."
)


def back_up_bucket_site(data: str, settings: Settings, target: str) -> BackupResult:
    """Copy the catalog into a new folder below `target`, with what belongs to it; servers may run.

    Usage `backup_running`, `catalog_other_version`; Fault where the catalog or the bucket fails.
    """
    backups.make_private(target)
    with lock_target(target), closing(open_data_store(data, settings)) as store:
        path = os.path.join(target, PARTIAL)
        backups.remove(path)
        backups.make_private(path)
        made = datetime.now(UTC)
        with copy_catalog(data, settings.database_url, path) as connection:
            trees = sum(
                connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (session, shelf)
            )
        store.check_areas(lambda *_: True)
        until = made + timedelta(days=settings.garbage_days)
        facts = {
            "format": FORMAT,
            "version": __version__,
            "catalog": "postgresql",
            "made": _stamp(made),
            "trees": trees,
            "store": settings.store,
            "store_owner": store.owner(),
            "rule": RULE.format(store=settings.store, until=_stamp(until)),
        }
        finished = list_finished_backups(target)
        final = finish_backup(path, target, finished[-1] if finished else "", facts)
    return BackupResult(path=final, trees=trees, copied=0, bytes=os.path.getsize(os.path.join(final, DUMP)))


def restore_bucket_site(source: str, data: str, settings: Settings) -> list[Finding]:
    """Put the catalog of a backup into an empty database, and let it have the bucket; what is not there of it.

    What was stored since the backup is deleted after SCANDOCK_GARBAGE_DAYS: nothing names it any more.
    The catalog that had the bucket before has it no more: nothing that still works with it deletes anything, and it
    can't be opened again. Until the end nobody else opens the new one (Usage `restore_unfinished`); killed before, the
    same restore goes on. Usage `restore_other_bucket` where the bucket isn't that of the backup, before anything is
    changed.
    """
    facts = read_description(source)
    restore = UnfinishedRestore(source, facts["made"], data)
    if not check_restorable(source, settings.database_url, restore):
        check_empty_folder(data)
    assert settings.database_url is not None  # where a backup is a dump
    with closing(open_data_store(data, settings)) as store:
        owner = store.owner()
        if owner.partition(".")[0] != facts["store_owner"].partition(".")[0]:
            raise RestoreOtherBucket(str(settings.store), facts["store"])
        store.prepare()
        restore_marked_catalog(restore, settings.database_url)
        catalog = open_data_catalog(data, settings, restores=True)  # which brings it up to this version
        try:
            census = store.census()
            with catalog.write() as connection:
                release_all(connection)
            store.succeed(owner)
            store.make_areas(lambda *_: True)
            store.delete_unnamed(census.unnamed)  # not before: the bucket was another catalog's
        finally:
            catalog.dispose()
        end_marked_restore(settings.database_url)
    return [Finding("missing", key, "The bucket does not have this object.") for key in census.missing]


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

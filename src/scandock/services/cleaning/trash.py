"""The trash: sessions that were deleted long ago, and files that others took the place of."""

from __future__ import annotations

from sqlalchemy import delete, select

from scandock.access.principal import SYSTEM
from scandock.catalog.assessors import forget_assessors
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import trashed
from scandock.catalog.tables import project
from scandock.model.durations import DAY_MS, DAY_SECONDS
from scandock.publishing.row_cleanup import delete_tree_rows
from scandock.services.audit import AuditAction, record
from scandock.services.cleaning.cleaner import Cleaner, HasStore
from scandock.store.port import Store


def empty_trash(catalog: Catalog, store: Store, days: float, *, now: float | None = None) -> list[str]:
    """Give up what was deleted more than `days` ago, rows and files; gives the sessions' UUIDs."""
    moment = catalog.read_now() / 1000 if now is None else now
    with catalog.read() as connection:
        over = connection.execute(
            select(trashed.c.uuid, trashed.c.tree_id, project.c.name)
            .join(project, project.c.id == trashed.c.project_id)
            .where(trashed.c.deleted <= (moment - days * DAY_SECONDS) * 1000)
        ).all()
    for row in over:
        with catalog.write() as connection:
            deleted = connection.execute(delete(trashed).where(trashed.c.uuid == row.uuid)).rowcount
            if deleted:
                forget_assessors(connection, [row.uuid])
                record(connection, SYSTEM, AuditAction.PURGE, "session", row.uuid, project=row.name)
        delete_tree_rows(catalog, row.tree_id)
    store.purge(days * DAY_SECONDS, now=moment)
    return [row.uuid for row in over]


def _kept_ms(data: HasStore) -> int:
    return data.settings.trash_days * DAY_MS


TRASH: Cleaner[HasStore] = Cleaner(
    what="sessions and replaced files in the trash",
    kept_ms=_kept_ms,
    clean=lambda data, age: len(empty_trash(data.catalog, data.store, age / DAY_MS)),
)
REPLACED: Cleaner[HasStore] = Cleaner(
    what="files in the trash, without the rows of sessions",
    kept_ms=_kept_ms,
    clean=lambda data, age: len(data.store.purge(age / 1000, now=data.catalog.read_now() / 1000)),
)
"""What the command `import` does after each import: it has replaced files, and may be the only one to run there."""

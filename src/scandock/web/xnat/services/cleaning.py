"""What the dialect has taken away in the background: keys of imports, and files of the inbox (`services/cleaning`)."""

from __future__ import annotations

import gzip
import json
from typing import Final

from sqlalchemy import delete, or_, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import inbox_import, tracked
from scandock.catalog.tables import upload
from scandock.model.durations import DAY_MS
from scandock.model.verdicts import UNFINISHED, ImportState, Verdict
from scandock.services.cleaning.cleaner import Cleaner, HasCatalog, HasServerState
from scandock.store.local import LocalStore
from scandock.web.xnat.services.inbox_folders import find_inbox_path, remove_files

KEYS_KEPT_MS: Final = 31 * DAY_MS
"""How long a key is known, as in the original; of an import that goes on, longer."""
_REMOVABLE: Final = frozenset({Verdict.STORED, Verdict.DUPLICATE, Verdict.RESOURCE, Verdict.JUNK})


def delete_expired_keys(catalog: Catalog, age: int) -> int:
    """Forget keys by which imports are followed that were named so long ago, unless their import goes on."""
    running = select(upload.c.id).where(upload.c.state.in_(UNFINISHED))
    with catalog.write() as connection:
        return connection.execute(
            delete(tracked).where(
                tracked.c.created < catalog.now() - age,
                or_(tracked.c.upload_id.is_(None), tracked.c.upload_id.not_in(running)),
            )
        ).rowcount


def clean_inbox(catalog: Catalog, store: LocalStore, folders: tuple[str, ...]) -> int:
    """Remove what was placed of folders that were to be removed; how many folders were looked at.

    Files stay that are newer than their import, by this machine's clock.
    """
    query = (
        select(inbox_import.c.number, inbox_import.c.path, inbox_import.c.created, upload.c.uuid)
        .join(upload, upload.c.id == inbox_import.c.upload_id)
        .where(inbox_import.c.cleanup, inbox_import.c.cleaned.is_(None), upload.c.state == ImportState.PLACED)
    )
    with catalog.read() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        inbox_path = find_inbox_path(folders, row.path)
        if inbox_path is not None:
            remove_files(inbox_path, _list_stored_files(store, row.uuid), row.created * 1_000_000)
        with catalog.write() as connection:
            connection.execute(
                update(inbox_import).where(inbox_import.c.number == row.number).values(cleaned=catalog.now())
            )
    return len(rows)


def _list_stored_files(store: LocalStore, uuid: str) -> list[str]:
    """The files of a folder of which nothing was left out, by the receipt of its import."""
    removable: dict[str, bool] = {}
    try:
        receipt = store.open_receipt(uuid)
    except FileNotFoundError:
        return []
    with receipt, gzip.GzipFile(fileobj=receipt) as lines:
        for line in lines:
            entry = json.loads(line)
            name = entry["path"].partition("!")[0]
            removable[name] = removable.get(name, True) and entry["verdict"] in _REMOVABLE
    return [name for name, all_removable in removable.items() if all_removable]


KEY_CLEANER: Cleaner[HasCatalog] = Cleaner(
    what="keys by which XNAT's clients follow an import",
    kept_ms=lambda _server: KEYS_KEPT_MS,
    clean=lambda server, age: delete_expired_keys(server.catalog, age),
)
INBOX_CLEANER: Cleaner[HasServerState] = Cleaner(
    what="files of the inbox that an import has placed and was told to remove",
    kept_ms=lambda _server: 0,
    clean=lambda server, _age: clean_inbox(server.catalog, server.store, server.settings.inbox_folders),
)
DIALECT_CLEANERS: Final[tuple[Cleaner[HasServerState], ...]] = (KEY_CLEANER, INBOX_CLEANER)
"""In the order of their turn, behind those of the server."""

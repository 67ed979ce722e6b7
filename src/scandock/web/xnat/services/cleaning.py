"""What the dialect has taken away in the background: keys of imports, and files of the inbox (`services/cleaning`)."""

from __future__ import annotations

import gzip
import json
from typing import Final

from sqlalchemy import delete, func, or_, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.sealed_texts import SEALED
from scandock.catalog.server_tables import inbox_import, tracked
from scandock.catalog.tables import upload
from scandock.model.durations import DAY_MS
from scandock.model.entry import ordinal
from scandock.model.verdicts import UNFINISHED, ImportState, Verdict
from scandock.rules.privacy import SitePrivacy
from scandock.rules.privacy_policy import Level
from scandock.rules.shown_names import ShownNames, is_hidden
from scandock.services.cleaning.cleaner import Cleaner, HasCatalog, HasServerState
from scandock.services.door_names import read_sealed
from scandock.services.privacy_source import current_privacy
from scandock.store.port import Store
from scandock.web.xnat.services.inbox_folders import InboxPath, find_inbox_path, list_files, remove_files

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


def clean_inbox(catalog: Catalog, store: Store, folders: tuple[str, ...]) -> int:
    """Remove what was placed of folders that were to be removed; how many folders were looked at.

    Files stay that are newer than their import, by the clock of their file system.
    """
    query = (
        select(
            inbox_import.c.number,
            inbox_import.c.path,
            func.coalesce(inbox_import.c.before, inbox_import.c.created * 1_000_000).label("before"),
            upload.c.uuid,
            upload.c.archive,
        )
        .join(upload, upload.c.id == inbox_import.c.upload_id)
        .where(inbox_import.c.cleanup, inbox_import.c.cleaned.is_(None), upload.c.state == ImportState.PLACED)
    )
    with catalog.read() as connection:
        rows = connection.execute(query).all()
        paths = [read_sealed(connection, row.path) for row in rows]
        privacy = current_privacy(connection) if any(is_hidden(row.archive) for row in rows) else None
    for row, path in zip(rows, paths, strict=True):
        inbox_path = find_inbox_path(folders, path)
        if inbox_path is not None:
            before = int(row.before)
            removable = _read_stored_files(store, row.uuid)
            if is_hidden(row.archive):
                removable = _find_names(privacy, inbox_path, removable, before)
            remove_files(inbox_path, [name for name, whole in removable.items() if whole], before)
        values: dict[str, object] = {"cleaned": catalog.now()}
        if row.path.startswith(SEALED):
            values["path"] = ""
        with catalog.write() as connection:
            connection.execute(update(inbox_import).where(inbox_import.c.number == row.number).values(**values))
    return len(rows)


def _read_stored_files(store: Store, uuid: str) -> dict[str, bool]:
    """The files of a folder, and whether nothing of each was left out, by the receipt of its import."""
    removable: dict[str, bool] = {}
    try:
        receipt = store.open_receipt(uuid)
    except FileNotFoundError:
        return removable
    with receipt, gzip.GzipFile(fileobj=receipt) as lines:
        for line in lines:
            entry = json.loads(line)
            name = entry["path"].partition("!")[0]
            removable[name] = removable.get(name, True) and entry["verdict"] in _REMOVABLE
    return removable


def _find_names(
    privacy: SitePrivacy | None, inbox_path: InboxPath, shown: dict[str, bool], before: int
) -> dict[str, bool]:
    """The same by their names, in place of what a receipt calls them; none where the folder has changed since."""
    packed = list_files(inbox_path, before)
    if privacy is None or packed is None or len(packed) != len(shown):
        return {}
    levels: tuple[Level, ...] = ("drop", "hash")
    found = {}
    for index, name in enumerate(packed):
        names = {ShownNames(level=level, key=privacy.site.key).path(ordinal(b"", index), name) for level in levels}
        found[name] = any(shown.get(called, False) for called in names)
    return found


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

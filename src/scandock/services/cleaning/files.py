"""Files that are needed no more: those of the inbox that were placed, and pictures."""

from __future__ import annotations

import gzip
import json
from typing import Final

from sqlalchemy import select, update

from scandock.catalog.engine import Catalog, in_parts
from scandock.catalog.server_tables import damage, inbox_import, verification
from scandock.catalog.tables import session, upload
from scandock.model.verdicts import ImportState, Verdict
from scandock.services.cleaning.cleaner import Cleaner, OfServer
from scandock.services.decoding import Pictures
from scandock.services.inbox_folders import find_place, remove
from scandock.services.pictures import ROUND, tree_key
from scandock.store.local import LocalStore

_REMOVABLE: Final = frozenset({Verdict.STORED, Verdict.DUPLICATE, Verdict.RESOURCE, Verdict.JUNK})


def empty_inbox(catalog: Catalog, store: LocalStore, folders: tuple[str, ...]) -> int:
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
        place = find_place(folders, row.path)
        if place is not None:
            remove(place, _placed(store, row.uuid), row.created * 1_000_000)
        with catalog.write() as connection:
            connection.execute(
                update(inbox_import).where(inbox_import.c.number == row.number).values(cleaned=catalog.now())
            )
    return len(rows)


def _placed(store: LocalStore, uuid: str) -> list[str]:
    """The files of a folder of which nothing was left out, by the receipt of its import."""
    good: dict[str, bool] = {}
    try:
        packed = store.open_receipt(uuid)
    except FileNotFoundError:
        return []
    with packed, gzip.GzipFile(fileobj=packed) as lines:
        for line in lines:
            one = json.loads(line)
            name = one["path"].partition("!")[0]
            good[name] = good.get(name, True) and one["verdict"] in _REMOVABLE
    return [name for name, all_placed in good.items() if all_placed]


def tidy_pictures(pictures: Pictures, catalog: Catalog) -> int:
    """Forget what is kept of trees that stand no more, and what is too much. Returns how many trees it was.

    And of those with damage, and of rounds of verification before: it may have been made of damaged bytes.
    """

    def standing(keys: list[str]) -> list[str]:
        found: list[str] = []
        uuids = {key.partition("-")[2] for key in keys}
        for some in in_parts(sorted(uuids)):
            with catalog.read() as connection:
                rows = connection.execute(
                    select(session.c.tree_id, session.c.uuid, ROUND.label("round"))
                    .outerjoin(verification, verification.c.tree_id == session.c.tree_id)
                    .where(session.c.uuid.in_(some), session.c.tree_id.not_in(select(damage.c.tree_id)))
                ).all()
            found += [tree_key(row.tree_id, row.uuid, row.round) for row in rows]
        return found

    return pictures.cache.tidy(standing)


INBOX: Cleaner[OfServer] = Cleaner(
    what="files of the inbox that an import has placed and was told to remove",
    kept_ms=lambda _site: 0,
    clean=lambda site, _age: empty_inbox(site.catalog, site.store, site.settings.inbox_folders),
)
PICTURES: Cleaner[OfServer] = Cleaner(
    what="pictures of sessions that stand no more, and the longest unused of too many",
    clean=lambda site, _age: tidy_pictures(site.pictures, site.catalog),
    every_seconds=300.0,
)

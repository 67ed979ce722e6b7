"""What a web process cleans: ended logins and tokens, manifests, pictures of trees that are gone; the list of all."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, select

from scandock.access import logins, tokens
from scandock.access.shared_throttle import forget_forgiven
from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.server_tables import damage, download_manifest, verification
from scandock.catalog.tables import session
from scandock.model import request_limits
from scandock.model.durations import DAY_MS
from scandock.services.cleaning.cleaner import Cleaner, HasCatalog, HasServerState
from scandock.services.cleaning.uploads import ABANDONED_UPLOADS, ENDED_SPOOLS, FAILED_ORIGINALS, IDLE_UPLOADS
from scandock.services.decoding import Pictures
from scandock.services.dicomweb_objects import DicomwebCache
from scandock.services.dicomweb_packs import pack_tree
from scandock.services.event_order import forget_other_transactions
from scandock.services.pictures import ROUND, make_tree_key
from scandock.services.received_studies import end_left_associations
from scandock.services.receiver_states import end_associations_of_silent_hosts

MANIFESTS_KEPT_MS: Final = request_limits.MANIFEST_DAYS * DAY_MS


def delete_ended_access(catalog: Catalog) -> int:
    """Take away logins and tokens that have ended: they are refused anyway, while the clock says that they are over."""
    with catalog.write() as connection:
        return logins.purge(connection) + tokens.purge(connection)


def delete_old_manifests(catalog: Catalog, age: int) -> int:
    """Forget manifests of downloads that were asked for so long ago."""
    with catalog.write() as connection:
        old = download_manifest.c.created < catalog.now() - age
        return connection.execute(delete(download_manifest).where(old)).rowcount


ENDED_ACCESS: Cleaner[HasCatalog] = Cleaner(
    what="logins and tokens that have ended",
    kept_ms=lambda _site: 0,
    clean=lambda site, _age: delete_ended_access(site.catalog),
)
LOGIN_FAILURES: Cleaner[HasCatalog] = Cleaner(
    what="counts of wrong passwords that count no more", clean=lambda site, _age: forget_forgiven(site.catalog)
)
MANIFESTS: Cleaner[HasCatalog] = Cleaner(
    what="manifests of downloads",
    kept_ms=lambda _site: MANIFESTS_KEPT_MS,
    clean=lambda site, age: delete_old_manifests(site.catalog, age),
)


def tidy_pictures(pictures: Pictures, catalog: Catalog) -> int:
    """Forget what is kept of trees that stand no more, and what is too much. Returns how many trees it was.

    And of those with damage, and of rounds of verification before: it may have been made of damaged bytes.
    """

    def standing(keys: list[str]) -> list[str]:
        keys_kept: list[str] = []
        uuids = {key.partition("-")[2] for key in keys}
        for part in split_values(sorted(uuids)):
            with catalog.read() as connection:
                rows = connection.execute(
                    select(session.c.tree_id, session.c.uuid, ROUND.label("round"))
                    .outerjoin(verification, verification.c.tree_id == session.c.tree_id)
                    .where(session.c.uuid.in_(part), session.c.tree_id.not_in(select(damage.c.tree_id)))
                ).all()
            keys_kept += [make_tree_key(row.tree_id, row.uuid, row.round) for row in rows]
        return keys_kept

    return pictures.cache.tidy(standing)


def tidy_packs(dicomweb: DicomwebCache, catalog: Catalog) -> int:
    """Forget the metadata of trees that stand no more, and of objects that are damaged. Returns how many trees it was.

    What is known to be damaged may have been so when its metadata were read.
    """
    damaged: dict[str, set[int]] = {}

    def standing(keys: list[str]) -> list[str]:
        keys_kept: list[str] = []
        uuids = {key.partition("-")[2] for key in keys}
        for part in split_values(sorted(uuids)):
            with catalog.read() as connection:
                rows = connection.execute(
                    select(session.c.tree_id, session.c.uuid, damage.c.file_n)
                    .outerjoin(damage, damage.c.tree_id == session.c.tree_id)
                    .where(session.c.uuid.in_(part))
                ).all()
            keys_kept += {pack_tree(row.tree_id, row.uuid) for row in rows}
            for row in rows:
                if row.file_n is not None:
                    damaged.setdefault(pack_tree(row.tree_id, row.uuid), set()).add(row.file_n)
        return keys_kept

    gone = dicomweb.packs.cache.tidy(standing)
    for tree, numbers in damaged.items():
        dicomweb.packs.drop_damaged(tree, numbers)
    return gone


PICTURES: Cleaner[HasServerState] = Cleaner(
    what="pictures and metadata of sessions that stand no more, and the longest unused of too many pictures",
    clean=lambda site, _age: tidy_pictures(site.pictures, site.catalog) + tidy_packs(site.dicomweb, site.catalog),
    every_seconds=300.0,
    of_host=True,
)


GONE_RECEIVERS: Cleaner[HasCatalog] = Cleaner(
    what="associations of receivers that are gone, from those that are open",
    clean=lambda site, _age: end_left_associations(site.catalog) + end_associations_of_silent_hosts(site.catalog),
)


COPIED_EVENTS: Cleaner[HasCatalog] = Cleaner(
    what="numbers of another server's transactions, which came with a copy of its database",
    clean=lambda site, _age: forget_other_transactions(site.catalog),
)


SERVER_CLEANERS: Final[tuple[Cleaner[HasServerState], ...]] = (
    ABANDONED_UPLOADS,
    IDLE_UPLOADS,
    FAILED_ORIGINALS,
    ENDED_SPOOLS,
    ENDED_ACCESS,
    LOGIN_FAILURES,
    MANIFESTS,
    PICTURES,
    GONE_RECEIVERS,
    COPIED_EVENTS,
)

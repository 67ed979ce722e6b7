"""Rows that have had their time: logins and tokens, and what XNAT's clients asked to be remembered."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, or_, select

from scandock.access import logins, tokens
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import download_manifest, tracked
from scandock.catalog.tables import upload
from scandock.model import request_limits
from scandock.model.durations import DAY_MS
from scandock.model.verdicts import UNFINISHED
from scandock.services.cleaning.cleaner import Cleaner, OfCatalog

KEYS_KEPT_MS: Final = 31 * DAY_MS
"""How long a key is known, as in the original; of an import that goes on, longer."""
MANIFESTS_KEPT_MS: Final = request_limits.MANIFEST_DAYS * DAY_MS


def purge_ended(catalog: Catalog) -> int:
    """Take away logins and tokens that have ended: they are refused anyway, while the clock says that they are over."""
    with catalog.write() as connection:
        return logins.purge(connection) + tokens.purge(connection)


def forget_keys(catalog: Catalog, age: int) -> int:
    """Forget keys by which imports are followed that were named so long ago, unless their import goes on."""
    going_on = select(upload.c.id).where(upload.c.state.in_(UNFINISHED))
    with catalog.write() as connection:
        return connection.execute(
            delete(tracked).where(
                tracked.c.created < catalog.now() - age,
                or_(tracked.c.upload_id.is_(None), tracked.c.upload_id.not_in(going_on)),
            )
        ).rowcount


def forget_manifests(catalog: Catalog, age: int) -> int:
    """Forget manifests of downloads that were asked for so long ago."""
    with catalog.write() as connection:
        old = download_manifest.c.created < catalog.now() - age
        return connection.execute(delete(download_manifest).where(old)).rowcount


ENDED_ACCESS: Cleaner[OfCatalog] = Cleaner(
    what="logins and tokens that have ended",
    kept_ms=lambda _site: 0,
    clean=lambda site, _age: purge_ended(site.catalog),
)
KEYS: Cleaner[OfCatalog] = Cleaner(
    what="keys by which XNAT's clients follow an import",
    kept_ms=lambda _site: KEYS_KEPT_MS,
    clean=lambda site, age: forget_keys(site.catalog, age),
)
MANIFESTS: Cleaner[OfCatalog] = Cleaner(
    what="manifests of downloads",
    kept_ms=lambda _site: MANIFESTS_KEPT_MS,
    clean=lambda site, age: forget_manifests(site.catalog, age),
)

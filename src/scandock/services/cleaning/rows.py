"""Rows that have had their time: logins and tokens, and manifests of downloads."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete

from scandock.access import logins, tokens
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import download_manifest
from scandock.model import request_limits
from scandock.model.durations import DAY_MS
from scandock.services.cleaning.cleaner import Cleaner, OfCatalog

MANIFESTS_KEPT_MS: Final = request_limits.MANIFEST_DAYS * DAY_MS


def purge_ended(catalog: Catalog) -> int:
    """Take away logins and tokens that have ended: they are refused anyway, while the clock says that they are over."""
    with catalog.write() as connection:
        return logins.purge(connection) + tokens.purge(connection)


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
MANIFESTS: Cleaner[OfCatalog] = Cleaner(
    what="manifests of downloads",
    kept_ms=lambda _site: MANIFESTS_KEPT_MS,
    clean=lambda site, age: forget_manifests(site.catalog, age),
)

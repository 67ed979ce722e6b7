"""What an administrator is told of the bucket that a site's files are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.catalog.stored_bytes import StoredBytes, read_stored_bytes
from scandock.services.data_catalog import open_data_catalog

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def read_store_status(data: str, settings: Settings) -> StoredBytes | None:
    """How much is in the bucket; None where files are in the data folder. Fault where the catalog fails."""
    if settings.store is None:
        return None
    catalog = open_data_catalog(data, settings)
    try:
        with catalog.read() as connection:
            return read_stored_bytes(connection)
    finally:
        catalog.dispose()

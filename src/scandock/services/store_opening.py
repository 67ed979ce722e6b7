"""The store of a data folder, as the settings have it: that folder itself, or a bucket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scandock.store.opening import open_store

if TYPE_CHECKING:
    from scandock.services.settings import Settings
    from scandock.store.port import Store

DAY_MS = 24 * 60 * 60 * 1000


def open_data_store(data: str, settings: Settings) -> Store:
    """The store that imports of a data folder go to; costs nothing and touches nothing. Usage `store_unfit`."""
    if settings.store is None:
        return open_store(os.path.abspath(data))
    url = settings.database_url
    if url is None or url.startswith("sqlite"):
        from scandock.services.data_errors import StoreUnfit

        raise StoreUnfit(settings.store)
    from scandock.publishing.object_rows import PostgresObjectRows
    from scandock.store.opening import open_bucket

    name, _, prefix = settings.store.removeprefix("s3://").partition("/")
    return open_bucket(
        os.path.abspath(data),
        PostgresObjectRows(url),
        name=name,
        prefix=prefix,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        garbage_ms=round(settings.garbage_days * DAY_MS),
        upload_memory=settings.upload_memory_bytes,
    )

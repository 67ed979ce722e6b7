"""The store of a data folder, as the settings have it: that folder itself, or a bucket."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, cast

from scandock.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from scandock.services.settings import Settings
    from scandock.store.port import Store
    from scandock.store.s3_rows import ObjectRows

DAY_MS = 24 * 60 * 60 * 1000


def open_data_store(data: str, settings: Settings) -> Store:
    """The store that imports of a data folder go to; costs nothing and touches nothing. Usage `store_unfit`."""
    if settings.store is None:
        return open_store(os.path.abspath(data))
    url = settings.database_url
    if url is None or url.startswith("sqlite"):
        from scandock.services.data_errors import StoreUnfit

        raise StoreUnfit(settings.store)
    from scandock.store.opening import open_bucket

    name, _, prefix = settings.store.removeprefix("s3://").partition("/")
    return open_bucket(
        os.path.abspath(data),
        cast("ObjectRows", _DeferredRows(url)),
        name=name,
        prefix=prefix,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        garbage_ms=round(settings.garbage_days * DAY_MS),
        upload_memory=settings.upload_memory_bytes,
    )


class _DeferredRows:
    """`PostgresObjectRows`, made once somebody asks it for something: readers start before SQLAlchemy is loaded."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._made: ObjectRows | None = None

    def __reduce__(self) -> tuple[Callable[[str], _DeferredRows], tuple[str]]:
        return _DeferredRows, (self._url,)

    def __getattr__(self, name: str) -> object:
        return getattr(self._rows(), name)

    def _rows(self) -> ObjectRows:
        with self._lock:
            if self._made is None:
                from scandock.publishing.object_rows import PostgresObjectRows

                self._made = PostgresObjectRows(self._url)
            return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

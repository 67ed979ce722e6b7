"""Which store a data folder has: the one place that knows more of a store than its port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.store.local import LocalStore

if TYPE_CHECKING:
    from scandock.store.port import Store
    from scandock.store.s3_rows import ObjectRows


def open_store(data: str) -> Store:
    """The store of a data folder; costs nothing and touches nothing. Any process may open it by the same folder."""
    return LocalStore(data)


def open_bucket(
    data: str,
    rows: ObjectRows,
    *,
    name: str,
    prefix: str,
    endpoint: str | None,
    region: str,
    garbage_ms: int,
    upload_memory: int,
) -> Store:
    """The store of a bucket, with a data folder of this host to work in; the last two as `S3Store` has them.

    Costs nothing and touches nothing. A process that has used one does not fork.
    """
    from scandock.store.bucket import Bucket
    from scandock.store.s3_store import S3Store

    bucket = Bucket(name, prefix, endpoint=endpoint, region=region)
    return S3Store(data, bucket, rows, garbage_ms=garbage_ms, upload_memory=upload_memory)

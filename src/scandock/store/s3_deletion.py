"""What is deleted from a bucket, and by whom: the catalog alone that its marker names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.store.errors import StoreOther

if TYPE_CHECKING:
    from scandock.store.bucket import Bucket
    from scandock.store.s3_rows import ObjectRows

MARKER: Final = "v1/store"


def read_marker(bucket: Bucket) -> str | None:
    """Whose bucket it is; None where there is no marker. Fault `store_failed`."""
    try:
        return bucket.get(MARKER).decode("ascii", "replace")
    except FileNotFoundError:
        return None


def check_owner(bucket: Bucket, rows: ObjectRows) -> None:
    """Fault `store_other` where a catalog that was restored has the bucket by now, or it is gone.

    Asked before anything is deleted: a server may run on that knows nothing of the other catalog.
    """
    identity = rows.bound_identity()
    if identity is None:
        return
    marker = read_marker(bucket)
    if marker is None:
        raise StoreOther(bucket.url, "no store")
    if marker != identity.marker:
        raise StoreOther(bucket.url, "the store of another catalog")


def delete_due(bucket: Bucket, rows: ObjectRows, *, most: int = 1000) -> int:
    """Delete objects whose time has come, and say how many: 0 where no more have. Fault as `check_owner`."""
    keys = rows.due(most)
    if keys:
        check_owner(bucket, rows)
        bucket.delete(keys)
        rows.deleted(keys)
    return len(keys)

"""What is refused before a byte of an upload is taken: too large, too many at once (space: `reservations.py`)."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from scandock.services import upload_errors
from scandock.services.byte_sizes import format_bytes


def check_size(size: int | None, max_bytes: int) -> None:
    """Raise SizeTooLarge where an upload has, or says that it will have, more bytes than one may."""
    if size is not None and size > max_bytes:
        raise upload_errors.SizeTooLarge(size, format_bytes(max_bytes))


def check_uploads(connection: Connection, account_id: int, max_uploads: int) -> None:
    """Raise UploadsTooMany where an account has as many unfinished uploads as it may."""
    count = connection.execute(
        select(func.count())
        .select_from(reception)
        .join(upload, upload.c.id == reception.c.upload_id)
        .where(
            reception.c.account_id == account_id,
            # what receivers take for it is nobody's upload, and single objects are handed over before there are many
            reception.c.door.not_in(("dimse", "gradual")),
            upload.c.state == ImportState.RECEIVING,
        )
    ).scalar_one()
    if count >= max_uploads:
        raise upload_errors.UploadsTooMany(count)

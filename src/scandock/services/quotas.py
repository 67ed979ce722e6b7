"""What is refused before a byte of an upload is taken: too large, too many at once (space: `reservations.py`)."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.errors import Usage
from scandock.model.verdicts import ImportState
from scandock.services.byte_sizes import format_bytes


def check_size(size: int | None, most: int) -> None:
    """Usage `upload_too_large` where an upload has, or says that it will have, more bytes than one may."""
    if size is not None and size > most:
        raise Usage(
            "upload_too_large",
            f"The upload has {size:,} bytes; one may have {format_bytes(most)}.",
            "Send it in parts, or have the limit raised (SCANDOCK_MAX_UPLOAD_BYTES).",
        )


def check_uploads(connection: Connection, account_id: int, most: int) -> None:
    """Usage `uploads_too_many` where an account has as many unfinished uploads as it may."""
    count = connection.execute(
        select(func.count())
        .select_from(reception)
        .join(upload, upload.c.id == reception.c.upload_id)
        .where(reception.c.account_id == account_id, upload.c.state == ImportState.RECEIVING)
    ).scalar_one()
    if count >= most:
        raise Usage(
            "uploads_too_many",
            f"{count} of your uploads are under way, which is as many as one account may have.",
            "Wait until one of them is done, or give one up: GET /api/v1/uploads lists them,"
            " DELETE /api/v1/uploads/{id} gives up.",
        )

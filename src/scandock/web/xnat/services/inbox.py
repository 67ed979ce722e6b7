"""Imports of folders of the server (xnat-behaviour.md 1.3, `inbox`): packed into an upload like any other.

What is asked is kept in a row; how it goes follows from its upload. A folder's files are removed once all of them are
placed for certain, and then only those that were: whatever an import left out stays where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import insert, select, update

from scandock.access.principal import AccessDenied, Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, inbox_import
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.verdicts import ImportState
from scandock.services import upload_errors
from scandock.services.door_names import ReceptionPrivacy, read_sealed
from scandock.services.imports import read_import, read_import_request
from scandock.services.privacy_source import current_privacy
from scandock.services.receiving import UploadOffer, UploadReceiver
from scandock.services.spool_writer import SpoolWriter
from scandock.web.xnat.errors import InboxEmpty, InboxUnknown
from scandock.web.xnat.services.inbox_folders import InboxPath, pack_tar, read_file_clock
from scandock.web.xnat.services.outcomes import make_outcome

_STATUS: Final = {
    ImportState.RECEIVING: "Trying", ImportState.RECEIVED: "Queued", ImportState.RUNNING: "Importing",
}  # fmt: skip
_UNEXPECTED: Final = "A fault in the program ended the reading of the folder; the server's log has more."
_NO_IMPORT: Final = "No import came of it: the server was ended while it read the folder, or the import was deleted."


def begin_import(
    receiving: UploadReceiver,
    offer: UploadOffer,
    inbox_path: InboxPath,
    *,
    cleanup: bool,
    parameters: Mapping[str, str],
) -> tuple[int, IncomingUpload]:
    """Record that a folder is to be imported; its number, and the upload that its files will be. As any upload."""
    incoming_upload = receiving.begin(offer)
    with receiving.catalog.read() as connection:
        kept = ReceptionPrivacy.at_door(current_privacy(connection), offer.projects)
    values = {
        "account_id": offer.account_id,
        "upload_id": incoming_upload.upload_id,
        "path": kept.sealed(inbox_path.path),
        "cleanup": cleanup,
        "asked": json.dumps(dict(parameters)),
        "created": receiving.catalog.now(),
        "before": read_file_clock(inbox_path) if cleanup else None,
    }
    with receiving.catalog.write() as connection:
        primary_key = connection.execute(insert(inbox_import).values(**values)).inserted_primary_key
    assert primary_key is not None
    return primary_key[0], incoming_upload


def pack_folder(
    receiving: UploadReceiver,
    incoming_upload: IncomingUpload,
    inbox_path: InboxPath,
    principal: Principal,
    request: RequestInfo,
    stop: Callable[[], bool],
) -> None:
    """Pack a folder into its upload, and let the import begin; where that fails, the row says why. Takes a while."""
    try:
        spooling = _Spooling(receiving, incoming_upload, stop)
        try:
            if not pack_tar(inbox_path, spooling):
                raise InboxEmpty
        except OSError as error:
            raise InboxUnknown(
                "The folder can't be read.", "Let the server's account read it, then ask again."
            ) from error
        received = spooling.end()
        if not receiving.accept(incoming_upload, received, principal, request):
            raise upload_errors.FolderCancelled
    except Exception as error:
        reason = error.public_text if isinstance(error, ScandockError) else _UNEXPECTED
        with receiving.catalog.write() as connection:
            connection.execute(
                update(inbox_import).where(inbox_import.c.upload_id == incoming_upload.upload_id).values(message=reason)
            )
        receiving.discard(incoming_upload)
        raise


class _Spooling:
    """Takes what is packed, as a spool does; `end` makes it durable."""

    def __init__(self, receiving: UploadReceiver, incoming_upload: IncomingUpload, stop: Callable[[], bool]) -> None:
        self._most = receiving.limits.upload_bytes
        self._stop = stop
        self._spool = SpoolWriter(
            receiving.store.spool(incoming_upload.uuid),
            mark=lambda received: receiving.mark(incoming_upload, received),
            ended=upload_errors.FolderCancelled,
        )

    def write(self, data: bytes, /) -> int:
        if self._stop():
            raise upload_errors.FolderStopped
        if self._spool.written + len(data) > self._most:
            raise upload_errors.FolderTooLarge
        self._spool.write(memoryview(data))
        return len(data)

    def end(self) -> int:
        return self._spool.sync()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxStatus:
    """How an import of a folder goes."""

    number: int
    username: str
    path: str
    status: str
    resolution: str
    cleanup: bool
    asked: dict[str, str]
    created: int
    changed: int


def read_status(catalog: Catalog, principal: Principal, number: int) -> InboxStatus | None:
    """How it goes; None where there is none of that number, or it is another's."""
    with catalog.read() as connection:
        row = connection.execute(
            select(inbox_import, upload.c.uuid, upload.c.finished, account.c.name)
            .join(account, account.c.id == inbox_import.c.account_id)
            .outerjoin(upload, upload.c.id == inbox_import.c.upload_id)
            .where(inbox_import.c.number == number)
        ).first()
        path = "" if row is None else read_sealed(connection, row.path)
    if row is None or (row.account_id != principal.account_id and not principal.admin):
        return None
    status, resolution = _read_outcome(catalog, principal, row.uuid, row.message)
    return InboxStatus(
        number=number,
        username=row.name,
        path=path,
        status=status,
        resolution=resolution,
        cleanup=row.cleanup,
        asked=json.loads(row.asked),
        created=row.created,
        changed=row.cleaned or row.finished or row.created,
    )


def _read_outcome(catalog: Catalog, principal: Principal, uuid: str | None, message: str) -> tuple[str, str]:
    if uuid is None or message:
        return "Failed", message or _NO_IMPORT
    try:
        read = read_import(catalog, principal, uuid)
        outcome = None if read.state in _STATUS else make_outcome(read, read_import_request(catalog, principal, uuid))
    except AccessDenied:
        return "Failed", _NO_IMPORT
    if outcome is None:
        return _STATUS[read.state], ""
    return ("Completed", " ".join(outcome.uris)) if outcome.good else ("Failed", outcome.text)

"""A user's cached files (xnat-behaviour.md 1.9): uploads whose bytes are kept, and whose import nobody has asked for.

A file of the cache is an upload whose row of `cached_file` says so, `receiving` until an import of it is asked for
(`src`). That accepts this very upload, so no byte is copied; it is in the cache no more then. Those that nobody asks
for expire.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, insert, or_, select, update

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.sealed_texts import SEALED
from scandock.catalog.server_tables import cached_file, reception
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.request_errors import RequestInvalid
from scandock.model.verdicts import ImportState
from scandock.services.audit import AuditAction
from scandock.services.door_names import ReceptionPrivacy, read_sealed
from scandock.services.privacy_source import current_privacy
from scandock.services.receiving import AuditWriter, UploadOffer, UploadReceiver, make_audit_writer

MAX_NAME: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file of the cache, whole."""

    uuid: str
    upload_id: int
    resource: str
    name: str
    size: int
    created: int


def begin_file(receiving: UploadReceiver, offer: UploadOffer, resource: str, name: str) -> IncomingUpload:
    """Record that a file comes; the limits are those of uploads. Usage and Fault as of any upload."""
    for text in (resource, name):
        if not text.strip("/. ") or len(text) > MAX_NAME or not text.isprintable():
            raise RequestInvalid(f"{text[:40]!r} is no name of a file.", "Name it by letters and digits.")
    incoming_upload = receiving.begin(offer)
    with receiving.catalog.write() as connection:
        kept = ReceptionPrivacy.at_door(current_privacy(connection), offer.projects)
        names = {"resource": kept.sealed(resource), "name": kept.sealed(name)}
        values = {"account_id": offer.account_id, **names}
        connection.execute(insert(cached_file).values(upload_id=incoming_upload.upload_id, **values))
    return incoming_upload


def publish_file(
    receiving: UploadReceiver,
    incoming_upload: IncomingUpload,
    principal: Principal,
    request: RequestInfo,
    received: int,
) -> bool:
    """Show a file whose bytes are all on disk, synced, in place of one of the same name.

    False where it is not receiving any more: somebody cancelled it.
    """
    catalog = receiving.catalog
    with catalog.write() as connection:
        if not receiving.lock(connection, incoming_upload):
            return False
        expires = catalog.now() + receiving.limits.lasts_ms
        connection.execute(
            update(reception)
            .where(reception.c.upload_id == incoming_upload.upload_id)
            .values(received=received, size=received, expires=expires)
        )
        is_this_file = cached_file.c.upload_id == incoming_upload.upload_id
        connection.execute(update(cached_file).where(is_this_file).values(whole=True))
        row = connection.execute(select(cached_file.c.resource, cached_file.c.name).where(is_this_file)).one()
        files = _read_files(connection, incoming_upload.account_id, *_unseal(connection, row.resource, row.name))
        replaced = [file for file in files if file.upload_id < incoming_upload.upload_id]
        make_audit_writer(AuditAction.CACHE_PUT, principal, request, {"bytes": received}, kind="file")(
            connection, incoming_upload
        )
    for file in replaced:
        _discard_upload(receiving, file.uuid)
    return True


def list_files(connection: Connection, account_id: int, resource: str | None = None) -> list[CachedFile]:
    """An account's files, of one resource or of all; of those of one name the newest."""
    newest = {(file.resource, file.name): file for file in _read_files(connection, account_id, resource)}
    return [file for _, file in sorted(newest.items())]


def find_file(connection: Connection, account_id: int, resource: str, name: str) -> CachedFile | None:
    """An account's file; None where there is none."""
    files = _read_files(connection, account_id, resource, name)
    return files[-1] if files else None


def find_importing_upload(connection: Connection, account_id: int, resource: str, name: str) -> str | None:
    """The import that has taken a file of this name out of the cache, the newest; None where none has."""
    rows = connection.execute(
        select(upload.c.uuid, cached_file.c.resource, cached_file.c.name)
        .join(cached_file, cached_file.c.upload_id == upload.c.id)
        .where(
            cached_file.c.account_id == account_id, _is_maybe(cached_file.c.resource, resource),
            _is_maybe(cached_file.c.name, name), cached_file.c.whole, upload.c.state != ImportState.RECEIVING,
        )
        .order_by(upload.c.id.desc())
    )  # fmt: skip
    return next((row.uuid for row in rows if _unseal(connection, row.resource, row.name) == (resource, name)), None)


def remove_files(
    receiving: UploadReceiver, principal: Principal, request: RequestInfo, resource: str, name: str | None = None
) -> int:
    """Remove a file, or all of a resource, and their bytes; how many there were."""
    assert principal.account_id is not None
    with receiving.catalog.read() as connection:
        files = _read_files(connection, principal.account_id, resource, name)
    return sum(
        _discard_upload(
            receiving,
            file.uuid,
            make_audit_writer(AuditAction.CACHE_DELETE, principal, request, {"bytes": file.size}, kind="file"),
        )
        for file in files
    )


def import_file(
    receiving: UploadReceiver, file: CachedFile, offer: UploadOffer, principal: Principal, request: RequestInfo
) -> bool:
    """Have a file imported as `offer` says; False where it is not there any more."""
    incoming_upload = receiving.find(file.uuid)
    if incoming_upload is None:
        return False
    return receiving.accept(incoming_upload, file.size, principal, request, offer)


def _discard_upload(receiving: UploadReceiver, uuid: str, note: AuditWriter | None = None) -> bool:
    incoming_upload = receiving.find(uuid)
    return incoming_upload is not None and receiving.discard(incoming_upload, note)


def _read_files(
    connection: Connection, account_id: int, resource: str | None = None, name: str | None = None
) -> list[CachedFile]:
    """Whole files of an account's cache, the oldest first; of one resource, of one name. Their names may be sealed."""
    query = _select_files(account_id)
    if resource is not None:
        query = query.where(_is_maybe(cached_file.c.resource, resource))
    if name is not None:
        query = query.where(_is_maybe(cached_file.c.name, name))
    files = [_from_row(connection, row) for row in connection.execute(query)]
    return [file for file in files if resource in (None, file.resource) and name in (None, file.name)]


def _is_maybe(column: Column[str], text: str) -> ColumnElement[bool]:
    """That a column has a text, or something sealed, which only its reader can compare."""
    return or_(column == text, column.startswith(SEALED))


def _select_files(account_id: int) -> Select[tuple[str, int, int, str, str, int]]:
    """Whole files of an account's cache, the oldest first."""
    return (
        select(
            upload.c.uuid, upload.c.id, upload.c.created, cached_file.c.resource, cached_file.c.name,
            reception.c.received,
        )
        .join(cached_file, cached_file.c.upload_id == upload.c.id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .where(
            cached_file.c.account_id == account_id, cached_file.c.whole, upload.c.state == ImportState.RECEIVING
        )
        .order_by(upload.c.id)
    )  # fmt: skip


def _from_row(connection: Connection, row: Row[tuple[str, int, int, str, str, int]]) -> CachedFile:
    resource, name = _unseal(connection, row.resource, row.name)
    return CachedFile(
        uuid=row.uuid,
        upload_id=row.id,
        resource=resource,
        name=name,
        size=row.received,
        created=row.created,
    )


def _unseal(connection: Connection, resource: str, name: str) -> tuple[str, str]:
    """Resource and name as they were given."""
    return read_sealed(connection, resource), read_sealed(connection, name)

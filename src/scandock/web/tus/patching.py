"""The bytes of one PATCH (or of a POST that brings some): appended, checked, synced, and the end accepted."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import Request

from scandock.access.principal import Principal
from scandock.model.errors import Fault, ScandockError
from scandock.rules.permissions import Action
from scandock.services import upload_errors
from scandock.services.imports import find_import
from scandock.services.lost_uploads import end_lost_upload, is_upload_lost
from scandock.web.receiving.raw import content_length
from scandock.web.receiving.spooler import Spooler
from scandock.web.receiving.stream import read_pieces
from scandock.web.security import check_upload, reauthenticate_request, request_info
from scandock.web.tus.errors import ChecksumDiffers, LengthExceeded, UploadLocked
from scandock.web.tus.locks import Writer
from scandock.web.tus.protocol import Checksum

if TYPE_CHECKING:
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.web.deps import ServerState


async def append(
    server: ServerState,
    request: Request,
    principal: Principal,
    incoming_upload: IncomingUpload,
    writer: Writer,
    checksum: Checksum | None,
) -> int:
    """Take the body's bytes behind those that are there; the new offset.

    What came in before a broken connection, or before somebody else took over, is kept; with a checksum all of it is
    kept, or nothing.
    """
    assert incoming_upload.size is not None
    check_length(request, incoming_upload.size - incoming_upload.received, incoming_upload.size)
    if content_length(request) != 0:
        await server.run(server.receiving.reserve_again, incoming_upload)
    spooling = _make_spooler(server, incoming_upload, writer, checksum)
    try:
        async with aclosing(read_pieces(request, server.receiving.limits.idle_seconds, writer)) as body:
            async for data in body:
                if spooling.received + len(data) > incoming_upload.size:  # in chunks, of no stated length
                    raise LengthExceeded(incoming_upload.size)
                server.metrics.received.inc(len(data))
                await spooling.feed(data)
                writer.came = spooling.received
        if checksum is not None:
            await spooling.finish()
            if not spooling.matches(checksum.wanted):
                raise ChecksumDiffers
    except BaseException as error:
        await asyncio.shield(
            asyncio.ensure_future(_leave(server, incoming_upload, spooling, keep_bytes=checksum is None, cause=error))
        )
        raise
    return await _keep(server, request, principal, incoming_upload, spooling)


def _make_spooler(
    server: ServerState, incoming_upload: IncomingUpload, writer: Writer, checksum: Checksum | None
) -> Spooler:
    assert incoming_upload.size is not None

    def mark(received: int) -> bool:
        return server.receiving.mark(incoming_upload, received)

    def ended() -> ScandockError:
        return _why_ended(server, incoming_upload)

    def keep_reserved(_received: int) -> bool:
        return server.receiving.keep_reserved(incoming_upload)

    return Spooler(
        server.spool_threads,
        writer.spool or server.store.spool(incoming_upload.uuid),
        offset=incoming_upload.received,
        max_bytes=incoming_upload.size,
        mark=mark if checksum is None else keep_reserved,
        digest=checksum.digest() if checksum is not None else None,
        ended=ended,
    )


def _why_ended(server: ServerState, incoming_upload: IncomingUpload) -> ScandockError:
    """Why nothing more can be noted of an upload: it ended, or another host's request has replaced this one."""
    current = server.receiving.find(incoming_upload.uuid)
    if current is not None and current.receiving and current.writer != incoming_upload.writer:
        return UploadLocked()
    return upload_errors.CancelledMeanwhile()


async def _keep(
    server: ServerState, request: Request, principal: Principal, incoming_upload: IncomingUpload, spooling: Spooler
) -> int:
    """Sync what came, and note it; the last byte makes the upload accepted, in one transaction with its offset."""
    try:
        received = await spooling.finish()
    except Fault as error:
        await _leave(server, incoming_upload, spooling, keep_bytes=True, cause=error)
        raise
    if received == incoming_upload.size:
        try:
            principal = await reauthenticate_request(request, principal)
            await server.read(_check_right, server, principal, incoming_upload)
        except ScandockError:
            await server.run(server.receiving.mark, incoming_upload, received)
            raise
        is_kept = await server.run(server.receiving.accept, incoming_upload, received, principal, request_info(request))
    else:
        is_kept = await server.run(server.receiving.mark, incoming_upload, received)
    if not is_kept:
        raise await server.read(_why_ended, server, incoming_upload)
    return received


async def finish(
    server: ServerState, request: Request, principal: Principal, incoming_upload: IncomingUpload
) -> IncomingUpload:
    """Accept an upload whose bytes are all there: the request of its last ones was refused, as by a login that ended
    meanwhile, and no further bytes will come that could have it accepted.

    Its owner's next request that may does it, with the rights of an upload's end; anything else leaves it as it is.
    """
    if (
        not incoming_upload.receiving
        or incoming_upload.received != incoming_upload.size
        or incoming_upload.account_id != principal.account_id
    ):
        return incoming_upload
    if incoming_upload.uuid in server.locks:  # the request of the last bytes is at its own end
        return incoming_upload
    with contextlib.suppress(UploadLocked):  # so it is, on another host
        async with server.locks.write(incoming_upload.uuid) as writer:
            mine = replace(incoming_upload, writer=writer.token)
            await _keep(server, request, principal, mine, _make_spooler(server, mine, writer, None))
    return await server.read(server.receiving.find, incoming_upload.uuid) or incoming_upload


async def check_bytes(server: ServerState, incoming_upload: IncomingUpload) -> None:
    """Usage `upload_lost` (410) where bytes that were kept are gone: it ends, and no client goes on without end.

    For who holds the upload's lock.
    """
    if await server.run(is_upload_lost, server.receiving, incoming_upload):
        await server.run(end_lost_upload, server.receiving, incoming_upload)
        raise upload_errors.UploadLost(incoming_upload.received)


def _check_right(server: ServerState, principal: Principal, incoming_upload: IncomingUpload) -> None:
    """Raise AccessDenied where the right to upload has gone while the bytes came."""
    with server.catalog.read() as connection:
        import_record = find_import(connection, principal, incoming_upload.uuid, Action.IMPORT_CANCEL)
        check_upload(principal, connection, import_record.project)


async def _leave(
    server: ServerState, incoming_upload: IncomingUpload, spooling: Spooler, *, keep_bytes: bool, cause: BaseException
) -> None:
    """After an error: note what the spool has. A failed sync loses all of it, and the next request begins anew."""
    is_lost = isinstance(cause, Fault) and cause.code == "sync_failed"
    try:
        if keep_bytes and not is_lost:
            await server.run(server.receiving.mark, incoming_upload, await _keep_written(spooling, cause))
        else:
            await spooling.settle()
    except ScandockError as error:
        is_lost = is_lost or error.code == "sync_failed"
    if is_lost:
        await server.run(server.receiving.mark, incoming_upload, 0)


async def _keep_written(spooling: Spooler, cause: BaseException) -> int:
    """What the spool has of all that came; once it has failed, of what was written."""
    if not isinstance(cause, Fault):
        try:
            return await spooling.finish()
        except Fault as error:
            if error.code == "sync_failed":
                raise
    return await spooling.sync_written()


def check_length(request: Request, max_bytes: int, size: int) -> None:
    """Raise LengthExceeded where the body is to have more than `max_bytes` bytes, of an upload of `size`."""
    if (content_length(request) or 0) > max_bytes:
        raise LengthExceeded(size)

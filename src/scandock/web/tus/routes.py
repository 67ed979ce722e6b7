"""tus 1.0 at /api/v1/uploads: an upload's id is its import's id, and the last byte lets the import begin."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.access.principal import Principal, raise_denied
from scandock.model.incoming_upload import IncomingUpload
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.shown_names import is_hidden
from scandock.services import upload_errors
from scandock.services.audit import AuditAction
from scandock.services.import_errors import DiscardedTooLate, ImportUnknown
from scandock.services.imports import find_import
from scandock.services.logs import bind_upload
from scandock.services.lost_uploads import is_upload_lost
from scandock.services.receiving import make_audit_writer
from scandock.services.unfinished_uploads import Unfinished, UnfinishedUpload, list_unfinished_uploads
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.deps import ServerState, server_state
from scandock.web.json_lists import ListOf
from scandock.web.receiving.upload_fields import check_misspelled, clean_filename, make_offer
from scandock.web.request_context import list_response
from scandock.web.security import Caller, SignedIn, check_upload, request_info
from scandock.web.tus import errors
from scandock.web.tus.locks import UploadLocks, Writer
from scandock.web.tus.patching import append, check_bytes, check_length, finish
from scandock.web.tus.protocol import (
    ALGORITHMS,
    EXTENSIONS,
    VERSION,
    Checksum,
    check_body,
    check_version,
    http_date,
    parse_checksum,
    parse_metadata,
    parse_number,
)
from scandock.web.v1.openapi_keywords import location_keywords

router = APIRouter(prefix=urls.API_UPLOADS, tags=["uploads (tus 1.0)"])


def _answer(status: int, **headers: str | int | None) -> Response:
    """An answer without a body; headers are named with underscores."""
    header_values = {name.replace("_", "-"): str(value) for name, value in headers.items() if value is not None}
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **header_values})


@router.options("", status_code=204, summary="What this server can do", response_class=Response)
@router.options("/{upload}", include_in_schema=False)
async def capabilities(request: Request) -> Response:
    """Version, extensions, checksums and the largest upload."""
    return _answer(
        204,
        Tus_Version=VERSION,
        Tus_Extension=EXTENSIONS,
        Tus_Checksum_Algorithm=",".join(ALGORITHMS),
        Tus_Max_Size=server_state(request).receiving.limits.upload_bytes,
    )


@router.get(
    "", summary="Your uploads that have not come to an outcome, the newest first", response_model=ListOf[Unfinished]
)
async def unfinished(request: Request, principal: SignedIn) -> Response:
    """What to go on with: `offset` bytes are kept; `fingerprint` is what the client put into `Upload-Metadata`.

    Those of the state `receiving` want more bytes; of those that are `received` or `running` the outcome is still to
    come. The key `receiving` is true while a request brings bytes: it was not cut, some client sends it right now, and
    `arrived` bytes are there, of which `offset` are kept for certain.
    """
    server = server_state(request)
    uploads = await server.read(list_unfinished_uploads, server.catalog, principal)
    return list_response(_unfinished_record(server.locks, upload_record) for upload_record in uploads)


def _unfinished_record(locks: UploadLocks, upload_record: UnfinishedUpload) -> Unfinished:
    writer = locks.find_receiving(upload_record.uuid)
    is_written_elsewhere = upload_record.is_written and upload_record.uuid not in locks
    metadata = parse_metadata(upload_record.metadata)
    if is_hidden(upload_record.filename):  # who sends it may know what they have called it
        filename = metadata.get("filename", metadata.get("name", ""))
        upload_record = replace(upload_record, filename=clean_filename(filename))
    return Unfinished.of(
        upload_record,
        arrived=upload_record.received if writer is None else max(upload_record.received, writer.came),
        receiving=writer is not None or is_written_elsewhere,
        fingerprint=metadata.get("fingerprint"),
    )


@router.post("", summary="Make an upload", response_class=Response, **location_keywords())
@receives_upload
async def create(request: Request, principal: SignedIn) -> Response:
    """`Upload-Length`, and in `Upload-Metadata` the names of `POST /api/v1/imports`; a body is its first bytes."""
    server = server_state(request)
    check_version(request.headers)
    if "upload-length" not in request.headers and request.headers.get("upload-defer-length"):
        raise errors.LengthMissing
    size = parse_number(request.headers, "Upload-Length")
    chunks = "transfer-encoding" in request.headers
    has_first_bytes = "content-type" in request.headers and (
        chunks or request.headers.get("content-length", "0") != "0"
    )
    if has_first_bytes:
        check_body(request.headers)
        check_length(request, size, size)
    checksum = parse_checksum(request.headers.get("upload-checksum"))
    incoming_upload = await server.run(_begin, server, request, principal, size)
    bind_upload(incoming_upload.uuid)
    offset = incoming_upload.received
    if not incoming_upload.known and (has_first_bytes or size == 0):
        offset = await _first_bytes(server, request, principal, incoming_upload, checksum)
    return _answer(
        201,
        Location=urls.root_of(request.scope) + urls.api_upload(incoming_upload.uuid),
        Upload_Offset=offset,
        Upload_Expires=_expiry(incoming_upload, offset),
    )


async def _first_bytes(
    server: ServerState,
    request: Request,
    principal: Principal,
    incoming_upload: IncomingUpload,
    checksum: Checksum | None,
) -> int:
    """What a creation brings along. Where that fails, the client never hears of the upload: it goes, unless its
    idempotency key or its fingerprint finds it again.
    """
    try:
        async with server.locks.write(incoming_upload.uuid) as writer:
            mine = replace(incoming_upload, writer=writer.token)
            return await append(server, request, principal, mine, writer, checksum)
    except BaseException:
        if not request.headers.get("idempotency-key") and "fingerprint" not in parse_metadata(incoming_upload.metadata):
            await asyncio.shield(asyncio.ensure_future(server.run(server.receiving.discard, incoming_upload)))
        raise


def _begin(server: ServerState, request: Request, principal: Principal, size: int) -> IncomingUpload:
    raw = request.headers.get("upload-metadata", "")
    fields = parse_metadata(raw)
    check_misspelled(fields)
    fields.setdefault("filename", fields.get("name", ""))
    with server.catalog.read() as connection:
        offer = make_offer(
            connection,
            principal,
            fields,
            door="tus",
            size=size,
            key=request.headers.get("idempotency-key"),
            metadata=raw,
        )
    note = make_audit_writer(AuditAction.UPLOAD_BEGIN, principal, request_info(request), {"bytes": size, "door": "tus"})
    return server.receiving.begin(offer, note)


def _expiry(incoming_upload: IncomingUpload, offset: int) -> str | None:
    return (
        None
        if incoming_upload.expires is None or offset == incoming_upload.size
        else http_date(incoming_upload.expires)
    )


def find_upload(server: ServerState, principal: Principal, uuid: str, *, own: bool = False) -> IncomingUpload:
    """An upload. Raises UploadExpired, UploadLost or CancelledBefore where it ended before it was whole.

    `own`: nobody else's, whoever asks.
    """
    incoming_upload = server.receiving.find(uuid)  # first: one that ends meanwhile has ended for what is read after it
    with server.catalog.read() as connection:
        import_record = find_import(connection, principal, uuid, Action.IMPORT_CANCEL)
        if incoming_upload is None or import_record.door != "tus":
            raise ImportUnknown("There is no resumable upload of that id.", "Check the id.")
        if import_record.project is not None and not import_record.accepted:
            check_upload(principal, connection, import_record.project)
    if own and incoming_upload.account_id != principal.account_id:
        raise_denied(AccessDecision.FORBIDDEN)
    if incoming_upload.expired or incoming_upload.code == upload_errors.UploadExpired.CODE:
        raise upload_errors.UploadExpired
    if incoming_upload.code == upload_errors.UploadLost.CODE:
        raise upload_errors.UploadLost(incoming_upload.received)
    if not incoming_upload.receiving and not import_record.accepted:
        raise upload_errors.CancelledBefore
    return incoming_upload


@router.head("/{upload}", summary="How far an upload is", response_class=Response)
async def offset_of(request: Request, upload: str, principal: Caller) -> Response:
    """`Upload-Offset`: bytes that are on disk for certain. Where those are all, its import begins now at the latest."""
    server = server_state(request)
    check_version(request.headers)
    incoming_upload = await server.read(find_upload, server, principal, upload)
    # In a thread that neither writers nor uploads share: whoever asks for an offset waits for nobody's lock.
    if upload not in server.locks and await asyncio.to_thread(is_upload_lost, server.receiving, incoming_upload):
        with contextlib.suppress(errors.UploadLocked):  # another host has the bytes in hand, and its own look at them
            async with server.locks.write(upload):
                await check_bytes(server, await server.read(find_upload, server, principal, upload))
    incoming_upload = await finish(server, request, principal, incoming_upload)
    return _answer(
        200,
        Upload_Offset=incoming_upload.received,
        Upload_Length=incoming_upload.size,
        Upload_Metadata=incoming_upload.metadata or None,
        Upload_Expires=_expiry(incoming_upload, incoming_upload.received),
        Cache_Control="no-store",
    )


@router.patch("/{upload}", status_code=204, summary="Go on with an upload", response_class=Response)
@receives_upload
async def go_on(request: Request, upload: str, principal: Caller) -> Response:
    """The bytes from `Upload-Offset` on; `Upload-Checksum` where they are to be checked."""
    server = server_state(request)
    check_version(request.headers)
    check_body(request.headers)
    offset = parse_number(request.headers, "Upload-Offset")
    checksum = parse_checksum(request.headers.get("upload-checksum"))
    await server.read(partial(find_upload, server, principal, upload, own=True))
    async with server.locks.write(upload) as writer:
        incoming_upload = await server.read(partial(find_upload, server, principal, upload, own=True))
        incoming_upload = replace(incoming_upload, writer=writer.token)
        if offset != incoming_upload.received:
            raise errors.OffsetDiffers(incoming_upload.received, offset)
        await check_bytes(server, incoming_upload)
        received = await _receive_bytes(server, request, principal, incoming_upload, writer, checksum)
    current_upload = await server.read(server.receiving.find, upload)
    return _answer(
        204,
        Upload_Offset=received,
        Upload_Expires=None if current_upload is None else _expiry(current_upload, received),
    )


async def _receive_bytes(
    server: ServerState,
    request: Request,
    principal: Principal,
    incoming_upload: IncomingUpload,
    writer: Writer,
    checksum: Checksum | None,
) -> int:
    if incoming_upload.receiving:
        return await append(server, request, principal, incoming_upload, writer, checksum)
    if request.headers.get("content-length", "") not in ("", "0"):
        raise errors.BytesComplete
    return incoming_upload.received  # the answer to the last bytes was lost on its way


@router.delete("/{upload}", status_code=204, summary="Give an upload up", response_class=Response)
async def terminate(request: Request, upload: str, principal: Caller) -> Response:
    """Nothing stays of it. 409 once all its bytes are there: then its import can be cancelled."""
    server = server_state(request)
    check_version(request.headers)
    await server.read(find_upload, server, principal, upload)
    async with server.locks.write(upload, stop=True) as writer:
        incoming_upload = await server.read(find_upload, server, principal, upload)
        incoming_upload = replace(incoming_upload, writer=writer.token)
        note = make_audit_writer(
            AuditAction.UPLOAD_DELETE,
            principal,
            request_info(request),
            {"bytes": incoming_upload.received, "door": "tus"},
        )
        if not await server.run(server.receiving.discard, incoming_upload, note):
            raise DiscardedTooLate
    return _answer(204)


@router.post("/{upload}", include_in_schema=False, response_class=Response)
@receives_upload
async def overridden(request: Request, upload: str, principal: Caller) -> Response:
    """`X-HTTP-Method-Override`, for clients behind what lets POST through alone."""
    method = request.headers.get("x-http-method-override", "").upper()
    routes = {"PATCH": go_on, "DELETE": terminate, "HEAD": offset_of}
    if method not in routes:
        raise errors.OverrideMissing
    return await routes[method](request, upload, principal)

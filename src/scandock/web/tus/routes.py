"""tus 1.0 at /api/v1/uploads: an upload's id is its import's id, and the last byte lets the import begin."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.access.principal import Principal, raise_denied
from scandock.model.json_records import ListOf
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import upload_errors
from scandock.services.audit import AuditAction
from scandock.services.import_errors import DiscardedTooLate, ImportUnknown
from scandock.services.imports import find_import
from scandock.services.logs import bind_upload
from scandock.services.lost_uploads import is_upload_lost
from scandock.services.receiving import IncomingUpload, make_audit_writer
from scandock.services.unfinished_uploads import Unfinished, UnfinishedUpload, list_unfinished_uploads
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.deps import ServerState, server_state
from scandock.web.receiving.upload_fields import check_foreign, offer_of
from scandock.web.request_context import listed
from scandock.web.security import Caller, SignedIn, check_upload, info_of
from scandock.web.tus import errors
from scandock.web.tus.locks import Writer
from scandock.web.tus.patching import append, check_bytes, check_length, finish
from scandock.web.tus.protocol import (
    ALGORITHMS,
    EXTENSIONS,
    VERSION,
    Checksum,
    check_body,
    check_version,
    http_date,
    number,
    parse_checksum,
    parse_metadata,
)
from scandock.web.v1.describing import located

router = APIRouter(prefix=urls.API_UPLOADS, tags=["uploads (tus 1.0)"])


def _answer(status: int, **headers: str | int | None) -> Response:
    """An answer without a body; headers are named with underscores."""
    said = {name.replace("_", "-"): str(value) for name, value in headers.items() if value is not None}
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **said})


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
    site = server_state(request)
    found = await site.read(list_unfinished_uploads, site.catalog, principal)
    writers = {one.uuid: site.locks.bringing(one.uuid) for one in found}
    return listed(_shown(one, writers[one.uuid]) for one in found)


def _shown(one: UnfinishedUpload, writer: Writer | None) -> Unfinished:
    return Unfinished.of(
        one,
        arrived=one.received if writer is None else max(one.received, writer.came),
        receiving=writer is not None,
        fingerprint=parse_metadata(one.metadata).get("fingerprint"),
    )


@router.post("", summary="Make an upload", response_class=Response, **located())
@receives_upload
async def create(request: Request, principal: SignedIn) -> Response:
    """`Upload-Length`, and in `Upload-Metadata` the names of `POST /api/v1/imports`; a body is its first bytes."""
    site = server_state(request)
    check_version(request.headers)
    if "upload-length" not in request.headers and request.headers.get("upload-defer-length"):
        raise errors.LengthMissing
    size = number(request.headers, "Upload-Length")
    chunks = "transfer-encoding" in request.headers
    brings = "content-type" in request.headers and (chunks or request.headers.get("content-length", "0") != "0")
    if brings:
        check_body(request.headers)
        check_length(request, size, size)
    checksum = parse_checksum(request.headers.get("upload-checksum"))
    incoming_upload = await site.run(_begin, site, request, principal, size)
    bind_upload(incoming_upload.uuid)
    offset = incoming_upload.received
    if not incoming_upload.known and (brings or size == 0):
        offset = await _first_bytes(site, request, principal, incoming_upload, checksum)
    return _answer(
        201,
        Location=urls.root_of(request.scope) + urls.api_upload(incoming_upload.uuid),
        Upload_Offset=offset,
        Upload_Expires=_expiry(incoming_upload, offset),
    )


async def _first_bytes(
    site: ServerState,
    request: Request,
    principal: Principal,
    incoming_upload: IncomingUpload,
    checksum: Checksum | None,
) -> int:
    """What a creation brings along. Where that fails, the client never hears of the upload: it goes, unless its
    idempotency key or its fingerprint finds it again.
    """
    try:
        async with site.locks.write(incoming_upload.uuid) as writer:
            return await append(site, request, principal, incoming_upload, writer, checksum)
    except BaseException:
        if not request.headers.get("idempotency-key") and "fingerprint" not in parse_metadata(incoming_upload.metadata):
            await asyncio.shield(asyncio.ensure_future(site.run(site.receiving.discard, incoming_upload)))
        raise


def _begin(site: ServerState, request: Request, principal: Principal, size: int) -> IncomingUpload:
    raw = request.headers.get("upload-metadata", "")
    fields = parse_metadata(raw)
    check_foreign(fields)
    fields.setdefault("filename", fields.get("name", ""))
    with site.catalog.read() as connection:
        offer = offer_of(
            connection,
            principal,
            fields,
            door="tus",
            size=size,
            key=request.headers.get("idempotency-key"),
            metadata=raw,
        )
    note = make_audit_writer(AuditAction.UPLOAD_BEGIN, principal, info_of(request), {"bytes": size, "door": "tus"})
    return site.receiving.begin(offer, note)


def _expiry(incoming_upload: IncomingUpload, offset: int) -> str | None:
    return (
        None
        if incoming_upload.expires is None or offset == incoming_upload.size
        else http_date(incoming_upload.expires)
    )


def find_upload(site: ServerState, principal: Principal, uuid: str, *, own: bool = False) -> IncomingUpload:
    """An upload. Raises UploadExpired, UploadLost or CancelledBefore where it ended before it was whole.

    `own`: nobody else's, whoever asks.
    """
    incoming_upload = site.receiving.find(uuid)  # first: one that ends meanwhile has ended for what is read after it
    with site.catalog.read() as connection:
        found = find_import(connection, principal, uuid, Action.IMPORT_CANCEL)
        if incoming_upload is None or found.door != "tus":
            raise ImportUnknown("There is no resumable upload of that id.", "Check the id.")
        if found.project is not None and not found.accepted:
            check_upload(principal, connection, found.project)
    if own and incoming_upload.account_id != principal.account_id:
        raise_denied(AccessDecision.FORBIDDEN)
    if incoming_upload.expired or incoming_upload.code == upload_errors.UploadExpired.CODE:
        raise upload_errors.UploadExpired
    if incoming_upload.code == upload_errors.UploadLost.CODE:
        raise upload_errors.UploadLost(incoming_upload.received)
    if not incoming_upload.receiving and not found.accepted:
        raise upload_errors.CancelledBefore
    return incoming_upload


@router.head("/{upload}", summary="How far an upload is", response_class=Response)
async def offset_of(request: Request, upload: str, principal: Caller) -> Response:
    """`Upload-Offset`: bytes that are on disk for certain. Where those are all, its import begins now at the latest."""
    site = server_state(request)
    check_version(request.headers)
    incoming_upload = await site.read(find_upload, site, principal, upload)
    # In a thread that neither writers nor uploads share: whoever asks for an offset waits for nobody's lock.
    if upload not in site.locks and await asyncio.to_thread(is_upload_lost, site.receiving, incoming_upload):
        async with site.locks.write(upload):
            await check_bytes(site, await site.read(find_upload, site, principal, upload))
    incoming_upload = await finish(site, request, principal, incoming_upload)
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
    site = server_state(request)
    check_version(request.headers)
    check_body(request.headers)
    offset = number(request.headers, "Upload-Offset")
    checksum = parse_checksum(request.headers.get("upload-checksum"))
    await site.read(partial(find_upload, site, principal, upload, own=True))
    async with site.locks.write(upload) as writer:
        incoming_upload = await site.read(partial(find_upload, site, principal, upload, own=True))
        if offset != incoming_upload.received:
            raise errors.OffsetDiffers(incoming_upload.received, offset)
        await check_bytes(site, incoming_upload)
        received = await _taken(site, request, principal, incoming_upload, writer, checksum)
    again = await site.read(site.receiving.find, upload)
    return _answer(204, Upload_Offset=received, Upload_Expires=None if again is None else _expiry(again, received))


async def _taken(
    site: ServerState,
    request: Request,
    principal: Principal,
    incoming_upload: IncomingUpload,
    writer: Writer,
    checksum: Checksum | None,
) -> int:
    if incoming_upload.receiving:
        return await append(site, request, principal, incoming_upload, writer, checksum)
    if request.headers.get("content-length", "") not in ("", "0"):
        raise errors.BytesComplete
    return incoming_upload.received  # the answer to the last bytes was lost on its way


@router.delete("/{upload}", status_code=204, summary="Give an upload up", response_class=Response)
async def terminate(request: Request, upload: str, principal: Caller) -> Response:
    """Nothing stays of it. 409 once all its bytes are there: then its import can be cancelled."""
    site = server_state(request)
    check_version(request.headers)
    await site.read(find_upload, site, principal, upload)
    async with site.locks.write(upload, stop=True):
        incoming_upload = await site.read(find_upload, site, principal, upload)
        note = make_audit_writer(
            AuditAction.UPLOAD_DELETE, principal, info_of(request), {"bytes": incoming_upload.received, "door": "tus"}
        )
        if not await site.run(site.receiving.discard, incoming_upload, note):
            raise DiscardedTooLate
    return _answer(204)


@router.post("/{upload}", include_in_schema=False, response_class=Response)
@receives_upload
async def overridden(request: Request, upload: str, principal: Caller) -> Response:
    """`X-HTTP-Method-Override`, for clients behind what lets POST through alone."""
    wanted = request.headers.get("x-http-method-override", "").upper()
    routes = {"PATCH": go_on, "DELETE": terminate, "HEAD": offset_of}
    if wanted not in routes:
        raise errors.OverrideMissing
    return await routes[wanted](request, upload, principal)

"""The DICOM objects of one request, as one upload: a stored zip that the import takes as any other archive.

Each object is looked at as it comes: what is none, or is of another study than the address names, is left out before
it is written. So the entries of the zip, and the lines of its receipt, are the objects that were taken, in their order.

One object that goes to the prearchive as it is becomes no upload of its own: it is kept as those of XNAT's
gradual-DICOM are (`gradual.py`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Final

from fastapi import Request

from scandock.access.principal import Principal
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import is_project_id
from scandock.services.logs import bind_upload
from scandock.services.project_errors import UploadProjectHidden
from scandock.services.quotas import check_size
from scandock.services.receiving import Door, UploadOffer
from scandock.services.sent_objects import FIRST_HEAD, SentObject, read_sent_object
from scandock.services.stow_errors import (
    ContentCodingUnsupported,
    NoPart,
    NoPartReadable,
    ObjectsTooMany,
    ObjectTypeUnsupported,
    RelatedBoundaryMissing,
    RelatedCut,
)
from scandock.services.upload_errors import UploadCut
from scandock.services.zip_stream import ZipWriter
from scandock.web.deps import ServerState
from scandock.web.receiving.gradual import OBJECTS_NAME, GradualBody, KeptObject, one_piece, read_object_form
from scandock.web.receiving.raw import content_length
from scandock.web.receiving.related import DICOM, MULTIPART, PartEvent, PartEventKind, RelatedReader, parse_media_type
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_body import UploadBody
from scandock.web.receiving.upload_fields import make_offer
from scandock.workers.gradual_routing import RoutedObject, is_object_known

MAX_OBJECTS: Final = request_limits.STORED_OBJECTS
ARCHIVE_NAME: Final = "dicomweb.zip"
_REQUEST: Final = ImportRequest(overwrite="append")
_ANY_BINARY: Final = ("", DICOM, "application/octet-stream")
"""Media types of parts that may be objects: many clients do not say it of each."""


_BeginUpload = Callable[[], Awaitable[UploadBody]]


@dataclass(frozen=True, slots=True)
class ReceivedObjects:
    """What a request brought."""

    uuid: str | None
    """The upload of those that were taken; None where that is none of them."""
    objects: tuple[SentObject, ...]


class _Objects:
    """Objects on their way from a body's parts to the spool."""

    def __init__(self, server: ServerState, study_uid: str, begin: _BeginUpload) -> None:
        self._server = server
        self._study_uid = study_uid
        self._begin = begin
        self._zip = ZipWriter()
        self._head = bytearray()
        self._next_look = FIRST_HEAD
        self._sent: SentObject | None = None
        self._is_binary = True
        self.objects: list[SentObject] = []
        self.body: UploadBody | None = None

    async def take(self, event: PartEvent) -> None:
        """Take the next thing that came."""
        if event.kind is PartEventKind.BEGIN:
            self.begin(event.media_type)
        elif event.kind is PartEventKind.DATA:
            await self.add(event.data)
        else:
            await self.end()

    def begin(self, media_type: str) -> None:
        if len(self.objects) == MAX_OBJECTS:
            raise count_exceeded(RequestLimit.PARTS, ObjectsTooMany(MAX_OBJECTS))
        self._head.clear()
        self._next_look = FIRST_HEAD
        self._sent = None
        self._is_binary = media_type in _ANY_BINARY

    async def add(self, data: memoryview) -> None:
        if self._sent is not None:
            await self._write(data)
            return
        self._head += data
        if len(self._head) >= self._next_look:
            await self._look(whole=False)

    async def end(self) -> None:
        if self._sent is None:
            await self._look(whole=True)
        assert self._sent is not None
        self.objects.append(self._sent)
        if self._sent.failure is None and self.body is not None:
            await self.body.feed(self._zip.end())

    async def finish(self) -> None:
        """End the zip. NoPart and NoPartReadable, where nothing that came is an object."""
        if not self.objects:
            raise NoPart
        if all(sent.failure is not None and not sent.sop_uid for sent in self.objects):
            raise NoPartReadable(len(self.objects))
        if self.body is not None:
            await self.body.feed(self._zip.finish())

    async def _look(self, *, whole: bool) -> None:
        """Find out which object it is, if the bytes at hand tell."""
        head = self._head if self._is_binary else bytearray()
        sent = await self._server.look(
            read_sent_object, head, whole=whole or not self._is_binary, study_uid=self._study_uid
        )
        if sent == "more":
            self._next_look = 4 * len(self._head)
            return
        self._sent = sent
        if sent.failure is None:
            if self.body is None:
                self.body = await self._begin()
            await self.body.feed(self._zip.begin(sent.entry_name))
            await self._write(self._head)
        self._head.clear()

    async def _write(self, data: memoryview | bytearray) -> None:
        if self._sent is not None and self._sent.failure is None and self.body is not None:
            self._zip.add(data)
            await self.body.feed(memoryview(data))


async def receive_objects(
    server: ServerState,
    request: Request,
    principal: Principal,
    project: str | None,
    study_uid: str,
    build_study: Callable[[str], Awaitable[object]],
) -> ReceivedObjects | KeptObject:
    """Receive the objects of a request, of one study alone where `study_uid` names it; their import begins.

    Or the one object, where its import is left for later. `build_study` has what was kept of a study be imported.
    Raises AccessDenied, and Usage for what is no request to store (400, 413, 415).
    """
    if project is not None and not is_project_id(project):  # as Unassigned, which headers alone route to
        raise UploadProjectHidden(
            f"There is no project {project}, or you may not upload to it.",
            "Name one that exists, or have it created first.",
        )
    size = content_length(request)

    def make(uploader: Principal, door: Door, name: str, stated: int | None) -> UploadOffer:
        fields = {"filename": name, "project": project or ""}
        with server.catalog.read() as connection:
            return make_offer(connection, uploader, fields, _REQUEST, door=door, size=stated)

    make_upload = partial(make, door="dicomweb", name=ARCHIVE_NAME, stated=size)
    await server.read(make_upload, principal)  # before a byte is read
    _check_coding(request.headers.get("content-encoding", ""))
    boundary = _find_boundary(*parse_media_type(request.headers.get("content-type", "")))
    reader = RelatedReader(boundary) if boundary is not None else None
    check_size(size, server.receiving.limits.upload_bytes)
    async with AsyncExitStack() as stack:
        uuid: str | None = None

        async def begin() -> UploadBody:
            nonlocal uuid
            upload = await server.run(lambda: server.receiving.begin(make_upload(principal)))
            uuid = upload.uuid
            bind_upload(upload.uuid)
            return await stack.enter_async_context(UploadBody(server, request, principal, upload))

        source = await stack.enter_async_context(aclosing(read_body(server, request)))
        make_body = partial(
            GradualBody,
            server,
            request,
            principal,
            partial(make, door="gradual", name=OBJECTS_NAME, stated=None),
            check=partial(_is_told_at_once, server, study_uid, build_study),
        )
        kept, pieces = await _keep_one(make_body, source, size, boundary)
        if kept is not None:
            return kept
        body = await stack.enter_async_context(aclosing(pieces))
        objects = _Objects(server, study_uid, begin)
        await (_read_parts(reader, body, objects) if reader is not None else _read_single(body, objects, size))
        await objects.finish()
        if objects.body is not None:
            await objects.body.accept(make_upload)
        return ReceivedObjects(uuid, tuple(objects.objects))


async def _keep_one(
    make_body: Callable[[AsyncIterator[bytes], int | None], GradualBody],
    source: AsyncIterator[bytes],
    size: int | None,
    boundary: bytes | None,
) -> tuple[KeptObject | None, AsyncGenerator[bytes, None]]:
    """The object of a body that has one, where its import is left for later; else the whole body, for the import.

    Of a multipart body as far as that is small: whether another object follows is known at its end. Raises as
    `GradualBody.receive`, and RelatedUnreadable.
    """
    if boundary is None:
        body = make_body(source, size)
        return await body.receive(), body.pieces()
    form = await read_object_form(source, partial(_find_only_part, boundary))
    kept = None
    if form.file is not None:
        async with aclosing(one_piece(form.file)) as part:
            kept = await make_body(part, len(form.file)).receive()
    return kept, form.pieces(source)


def _find_only_part(boundary: bytes, body: bytes) -> bytes | None:
    """The one part of a multipart body, where it may be an object. Raises RelatedUnreadable."""
    reader = RelatedReader(boundary)
    events = reader.push(body)
    media_types = [event.media_type for event in events if event.kind is PartEventKind.BEGIN]
    if not reader.ended or len(media_types) != 1 or media_types[0] not in _ANY_BINARY:
        return None
    return b"".join(event.data for event in events if event.kind is PartEventKind.DATA)


async def _is_told_at_once(
    server: ServerState, study_uid: str, build_study: Callable[[str], Awaitable[object]], routed: RoutedObject
) -> bool:
    """Whether all is known of an object that its import would tell, as far as its own header says.

    Where an object of its UID, or of another patient in its study, has come just now, that is imported first: what
    becomes of both is then decided by their order.
    """
    sent = routed.sent
    if study_uid not in ("", sent.study_uid):
        return False
    if server.gradual.is_at_odds(routed):
        await build_study(sent.study_uid)
        return False
    return not await server.read(is_object_known, server.catalog, sent, server.gradual.open_uploads)


def _find_boundary(media_type: str, options: dict[str, str]) -> bytes | None:
    """The boundary of a multipart body; None where the body is one object. Raises ObjectTypeUnsupported."""
    if media_type == DICOM:
        return None
    root = options.get("type", DICOM).lower()
    if media_type != MULTIPART:
        raise ObjectTypeUnsupported(media_type or "a body that does not say its type")
    if root != DICOM:
        raise ObjectTypeUnsupported(f"{MULTIPART} of {root}")
    if "boundary" not in options:
        raise RelatedBoundaryMissing
    return options["boundary"].encode("latin-1")


def _check_coding(codings: str) -> None:
    """ContentCodingUnsupported."""
    if any(coding.strip().lower() not in ("", "identity") for coding in codings.split(",")):
        raise ContentCodingUnsupported(codings)


async def _read_parts(reader: RelatedReader, body: AsyncIterator[bytes], objects: _Objects) -> None:
    async for piece in body:
        for event in reader.push(piece):
            await objects.take(event)
    if not reader.ended:
        raise RelatedCut


async def _read_single(body: AsyncIterator[bytes], objects: _Objects, size: int | None) -> None:
    objects.begin(DICOM)
    received = 0
    async for piece in body:
        received += len(piece)
        await objects.add(memoryview(piece))
    if size is not None and received != size:
        raise UploadCut
    await objects.end()

"""The DICOM objects of one request, as one upload: a stored zip that the import takes as any other archive.

Each object is looked at as it comes: what is none, or is of another study than the address names, is left out before
it is written. So the entries of the zip, and the lines of its receipt, are the objects that were taken, in their order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from scandock.access.principal import Principal
from scandock.model import request_limits
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import is_project_id
from scandock.services.logs import bind_upload
from scandock.services.project_errors import UploadProjectHidden
from scandock.services.quotas import check_size
from scandock.services.receiving import UploadOffer
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
from scandock.web.receiving.raw import content_length
from scandock.web.receiving.related import DICOM, MULTIPART, PartEvent, PartEventKind, RelatedReader, parse_media_type
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_body import UploadBody
from scandock.web.receiving.upload_fields import make_offer

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
        """End the zip."""
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
    server: ServerState, request: Request, principal: Principal, project: str | None, study_uid: str = ""
) -> ReceivedObjects:
    """Receive the objects of a request, of one study alone where `study_uid` names it; their import begins.

    Raises AccessDenied, and Usage for what is no request to store (400, 413, 415).
    """
    if project is not None and not is_project_id(project):  # as Unassigned, which headers alone route to
        raise UploadProjectHidden(
            f"There is no project {project}, or you may not upload to it.",
            "Name one that exists, or have it created first.",
        )
    size = content_length(request)
    fields = {"filename": ARCHIVE_NAME, "project": project or ""}

    def make(uploader: Principal) -> UploadOffer:
        with server.catalog.read() as connection:
            return make_offer(connection, uploader, fields, _REQUEST, door="dicomweb", size=size)

    await server.read(make, principal)  # before a byte is read
    _check_coding(request.headers.get("content-encoding", ""))
    media_type, options = parse_media_type(request.headers.get("content-type", ""))
    reader = _make_reader(media_type, options)
    check_size(size, server.receiving.limits.upload_bytes)
    async with AsyncExitStack() as stack:
        uuid: str | None = None

        async def begin() -> UploadBody:
            nonlocal uuid
            upload = await server.run(lambda: server.receiving.begin(make(principal)))
            uuid = upload.uuid
            bind_upload(upload.uuid)
            return await stack.enter_async_context(UploadBody(server, request, principal, upload))

        objects = _Objects(server, study_uid, begin)
        body = await stack.enter_async_context(aclosing(read_body(server, request)))
        if reader is not None:
            await _read_parts(reader, body, objects)
        else:
            await _read_single(body, objects, size)
        if not objects.objects:
            raise NoPart
        if all(sent.failure is not None and not sent.sop_uid for sent in objects.objects):
            raise NoPartReadable(len(objects.objects))
        await objects.finish()
        if objects.body is not None:
            await objects.body.accept(make)
        return ReceivedObjects(uuid, tuple(objects.objects))


def _make_reader(media_type: str, options: dict[str, str]) -> RelatedReader | None:
    """What reads the body; None where it is one object."""
    if media_type == DICOM:
        return None
    root = options.get("type", DICOM).lower()
    if media_type != MULTIPART:
        raise ObjectTypeUnsupported(media_type or "a body that does not say its type")
    if root != DICOM:
        raise ObjectTypeUnsupported(f"{MULTIPART} of {root}")
    if "boundary" not in options:
        raise RelatedBoundaryMissing
    return RelatedReader(options["boundary"].encode("latin-1"))


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

"""One DICOM object as the body of a request, which is answered once it is on disk: its session is built later.

What only an import can tell of is left to it: what is no object, or is not to stand in the prearchive, or is left out
by an import filter. Where the answer names the stored object (STOW-RS), also what is de-identified, or comes to a
session that is held, or has the UID of an object that is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import Request

from scandock.access.principal import Principal
from scandock.services import upload_errors
from scandock.services.gradual_uploads import GradualPlace, GradualSender, PlaceReserved, PlaceUnknown
from scandock.services.quotas import check_size
from scandock.services.receiving import UploadOffer
from scandock.services.sent_objects import FIRST_HEAD, make_entry_name
from scandock.store.port import ObjectFile
from scandock.web.receiving.multipart import FormReader
from scandock.web.receiving.upload_fields import FieldDialect
from scandock.web.security import reauthenticate_request, request_info
from scandock.workers import gradual_routing
from scandock.workers.gradual_routing import RoutedObject
from scandock.workers.gradual_uploads import GradualKey

if TYPE_CHECKING:
    from scandock.store.port import ObjectSpool
    from scandock.web.deps import ServerState
    from scandock.workers.context import WorkerContext

IN_MEMORY: Final = 1024 * 1024
"""Bytes of an object that are kept in memory until all have come; a larger one goes to a file of its own at once."""
_HEADER_BYTES: Final = 2_048
"""Most that an object takes in its upload beside its own bytes."""

OBJECTS_NAME: Final = "DICOM objects"
"""What an upload of single objects is called, each of which is an entry of it."""
RESERVED_SECONDS: Final = 0.1
RESERVED_WAITS: Final = 30
"""How often it is waited for an import that is being placed and has the label that a study is to get."""

OfferMaker = Callable[[Principal], UploadOffer]
ObjectCheck = Callable[[RoutedObject], Awaitable[bool]]


class KeptObject(NamedTuple):
    """An object that is on disk."""

    uri: str
    """Of its session, which is built later."""
    routed: RoutedObject


class GradualBody:
    """The body of one request. `receive` keeps its object, or leaves the body to the import (`pieces`)."""

    def __init__(
        self,
        server: ServerState,
        request: Request,
        principal: Principal,
        make_offer: OfferMaker,
        body: AsyncIterator[bytes],
        size: int | None,
        check: ObjectCheck | None = None,
    ) -> None:
        """`size`: the bytes that are to come; None where the client does not say.

        `check`: given where the answer says how the object is stored; the import says it of objects that do not pass.
        """
        self._server = server
        self._request = request
        self._principal = principal
        self._make_offer = make_offer
        self._body = body
        self._size = size
        self._check = check
        self._head = bytearray()
        self._has_ended = False
        self._most = min(server.receiving.limits.upload_bytes - _HEADER_BYTES, server.settings.max_entry_bytes)
        """Bytes that an object may have, so that its import takes it."""

    async def receive(self) -> KeptObject | None:
        """The object, once it is on disk; None where the import is to take the body (`pieces`).

        AccessDenied and Usage as `make_offer`; UploadCut, BytesTooMany; Fault of the disk or the catalog.
        """
        server = self._server
        size = self._size
        check_size(size, server.receiving.limits.upload_bytes)
        offer = await server.read(self._make_offer, self._principal)  # before a byte is read
        if size is not None and size > self._most:
            return None
        routing = await server.read(gradual_routing.open_routing, server.catalog, server.settings, offer.request)
        if routing is None:
            return None
        if size is None:
            await self._read_until(IN_MEMORY)  # of what ends within it the length is known, so that a cut one is seen
            if self._check is not None and not self._has_ended:
                return None
        routed = await self._read_object(routing)
        if routed is None or (self._check is not None and not await self._check(routed)):
            return None
        is_open = self._check is None and server.gradual.is_open(_make_key(offer, routed))
        place = None if is_open else await self._find_place(routing, offer, routed)
        if not is_open and place is None:
            return None
        await self._read_until(IN_MEMORY)
        if len(self._head) > self._most:
            return None
        name = make_entry_name(routed.sent.sop_uid if routing.upload_privacy.policy.is_open else "")
        if self._has_ended:
            data = bytes(self._head)
            self._check_whole(size, len(data))
            return await self._keep(routing, routed, place, len(data), lambda spool: spool.append(name, [data]))
        file = await server.spool(server.store.open_object, name, bytes(self._head))
        try:
            received = await self._write(file)
            self._check_whole(size, received)
            return await self._keep(routing, routed, place, received, lambda spool: spool.append_file(file))
        finally:
            await server.spool(file.close)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The whole body, for the import."""
        yield bytes(self._head)
        if not self._has_ended:
            async for piece in self._body:
                yield piece

    async def _read_object(self, routing: WorkerContext) -> RoutedObject | None:
        """What the object is, by as many of its first bytes as that takes; None where the import alone can tell."""
        routed = None
        for count in (FIRST_HEAD, IN_MEMORY):
            if routed is None and not self._has_ended:
                await self._read_until(count)
                head = bytes(self._head)
                size = len(head) if self._has_ended else self._size
                routed = await self._server.look(gradual_routing.read_object, routing, head, size)
        return routed

    async def _read_until(self, count: int) -> None:
        """Read on, until so many bytes have come or the body ends."""
        while not self._has_ended and len(self._head) < count:
            piece = await anext(self._body, None)
            if piece is None:
                self._has_ended = True
            else:
                self._head += piece

    async def _write(self, file: ObjectFile) -> int:
        """Write what is still to come of an object; the bytes of all of it."""
        block, received = bytearray(), len(self._head)
        self._head.clear()
        async for piece in self._body:
            received += len(piece)
            if received > self._most:
                raise upload_errors.BytesTooMany(self._most)
            block += piece
            if len(block) >= IN_MEMORY:
                await self._server.spool(file.write, memoryview(bytes(block)))
                block.clear()
        await self._server.spool(file.write, memoryview(bytes(block)))
        return received

    async def _find_place(
        self, routing: WorkerContext, offer: UploadOffer, routed: RoutedObject
    ) -> GradualPlace | None:
        """Where the session stands; None where the import alone can tell."""
        find = partial(gradual_routing.find_place, is_told=self._check is not None)
        return await self._server.read(find, self._server.catalog, routing, offer.account_id, routed.study)

    async def _keep(
        self,
        routing: WorkerContext,
        routed: RoutedObject,
        place: GradualPlace | None,
        size: int,
        write: Callable[[ObjectSpool], int],
    ) -> KeptObject:
        """Have it on disk. Who sends is looked up anew, as the right may be gone meanwhile.

        `place`: None where an upload took such objects.
        """
        server = self._server
        principal = await reauthenticate_request(self._request, self._principal)
        offer = await server.read(self._make_offer, principal)
        key = _make_key(offer, routed)
        told = routed if self._check is not None else None
        refused, waits = None, 0
        while True:
            try:
                uri = await server.spool(server.gradual.append, key, size + _HEADER_BYTES, write, told)
            except PlaceUnknown:
                place = place or await self._find_place(routing, offer, routed)
                if place is None:
                    raise upload_errors.CancelledMeanwhile from None
                sender = GradualSender(
                    address=request_info(self._request).address,
                    offer=offer,
                    place=place,
                    is_sure=place == refused or waits == RESERVED_WAITS,
                )
                try:
                    await server.run(server.gradual.begin, key, sender)
                except PlaceReserved:
                    waits += 1
                    await asyncio.sleep(RESERVED_SECONDS)
                except PlaceUnknown:
                    refused = place
                place = None  # another one may stand elsewhere
                continue
            server.metrics.received.inc(size)
            return KeptObject(uri, routed)

    @staticmethod
    def _check_whole(size: int | None, received: int) -> None:
        if size is not None and size != received:
            raise upload_errors.UploadCut


async def one_piece(data: bytes) -> AsyncGenerator[bytes, None]:
    """A body that has come whole."""
    yield data


class ObjectForm(NamedTuple):
    """The first bytes of a body that is a form, which are all of it where that has a small file."""

    body: bytes
    file: bytes | None
    """What its one file has; None where it has none, or where the form is too large to be kept in memory."""

    async def pieces(self, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The whole body, `rest` behind what was read of it."""
        yield self.body
        async for piece in rest:
            yield piece


async def read_object_form(body: AsyncIterator[bytes], find_file: Callable[[bytes], bytes | None]) -> ObjectForm:
    """A form with one object as its file, as far as it is small; `find_file` finds that. Usage as from `find_file`."""
    data = bytearray()
    async for piece in body:
        data += piece
        if len(data) > IN_MEMORY:
            return ObjectForm(bytes(data), None)
    return ObjectForm(bytes(data), find_file(bytes(data)))


def find_form_file(boundary: bytes, dialect: FieldDialect, body: bytes) -> bytes | None:
    """The file of a form (multipart/form-data); None where it has none. Usage as from `FormReader`."""
    reader = FormReader(boundary, dialect=dialect)
    events = reader.push(body)
    file = b"".join(value for kind, value in events if kind == "bytes" and isinstance(value, bytes))
    return file if reader.ended and file else None


def _make_key(offer: UploadOffer, routed: RoutedObject) -> GradualKey:
    return GradualKey(offer.account_id, offer.request.to_json(), routed.study.key, routed.modality)

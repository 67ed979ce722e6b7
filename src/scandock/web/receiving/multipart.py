"""The archive as one file part of a multipart/form-data body (RFC 7578), parsed as it comes and never kept twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import field
from typing import Final

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from scandock.access.principal import Principal
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.rules.mapping import decode_mapping
from scandock.rules.notices import printable
from scandock.services import upload_errors
from scandock.services.logs import bind_upload
from scandock.services.receiving import UploadOffer
from scandock.web.deps import ServerState
from scandock.web.receiving.limits import FIELD_BYTES, mapping_too_large
from scandock.web.receiving.raw import API_FIELDS, content_length
from scandock.web.receiving.repeated_upload import RepeatedUpload
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_body import UploadBody
from scandock.web.receiving.upload_fields import FieldDialect, make_offer

MAX_PARTS: Final = request_limits.UPLOAD_PARTS


@dataclass(slots=True)
class Part:
    """A part that is being read: a field, or (`filename` is set, as it is not the mapping's) the archive."""

    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)
    begun: bool = False
    """Whether it counts as a file: at its headers, or (`FieldDialect.empty_files` off) at its first byte."""

    @property
    def is_archive(self) -> bool:
        return self.filename is not None and self.name != "mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFields:
    """Fields of a page's form beside those of the API."""

    names: frozenset[str]
    check: Callable[[Mapping[str, str]], None]
    """Asked with those that stand before the archive, before a byte of it is kept; raises AccessDenied."""
    translate: Callable[[Mapping[str, str], Mapping[str, str]], Mapping[str, str]]
    """What they say in the API's words, beside the fields of the API; it goes before fields of the same name."""


class FormReader:
    """Push parser: `push` what came, then take `events`: ("archive", name), ("bytes", view), ("end", None)."""

    def __init__(
        self,
        boundary: bytes,
        own_names: frozenset[str] = frozenset(),
        dialect: FieldDialect = API_FIELDS,
        *,
        several: bool = False,
    ) -> None:
        """`own_names` are names of fields that go to `others`; `several`: the body may have several files."""
        self._many = several
        self._dialect = dialect
        self.fields: dict[str, str] = {}
        self.others: dict[str, str] = {}
        self._own = own_names
        self.ended = False
        self._archives = 0
        self._parts = 0
        self._part = Part()
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._events: list[tuple[str, bytes | str]] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_end": self._all,
            },
        )

    def push(self, data: bytes) -> list[tuple[str, bytes | str]]:
        """What one piece of the body brought, in order. Raises MultipartDamaged."""
        self._events = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise upload_errors.MultipartUnreadable from error
        return self._events

    # -- the parser's calls --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            error = upload_errors.PartsTooMany(MAX_PARTS)
            raise count_exceeded(RequestLimit.PARTS, error)
        self._part = Part()
        self._headers = {}

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data":
            raise upload_errors.DispositionMissing
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            self._part.filename = options[b"filename"].decode("utf-8", "replace")
        if self._part.is_archive and self._dialect.empty_files:
            self._begin_file()

    def _begin_file(self) -> None:
        self._part.begun = True
        self._archives += 1
        if self._archives > 1 and not self._many:
            raise upload_errors.ArchivesSeveral
        self._events.append(("archive", self._part.filename or ""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_archive:
            if start < end:
                if not self._part.begun:
                    self._begin_file()
                self._events.append(("bytes", data[start:end]))
            return
        self._part.data += data[start:end]
        if len(self._part.data) > FIELD_BYTES:
            if self._part.name == "mapping":
                raise mapping_too_large()
            raise upload_errors.FieldTooLarge(printable(self._part.name), FIELD_BYTES)

    def _end(self) -> None:
        part = self._part
        if part.is_archive:
            if part.begun:
                self._events.append(("end", ""))
            return
        raw = bytes(part.data)
        value = decode_mapping(raw) if part.name == "mapping" else raw.decode("utf-8", "replace")
        if part.name in self._own:
            self.others[part.name] = value
        else:
            self.fields = self._dialect.parse([*self.fields.items(), (part.name, value)], "form")

    def _all(self) -> None:
        self.ended = True


def parse_boundary(request: Request) -> bytes:
    """The boundary that the request states. Raises Usage."""
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary: bytes = options.get(b"boundary", b"")
    if not boundary:
        raise upload_errors.BoundaryMissing
    return boundary


async def receive_multipart(
    server: ServerState,
    request: Request,
    principal: Principal,
    page_fields: PageFields | None = None,
    dialect: FieldDialect = API_FIELDS,
    pieces: AsyncGenerator[bytes, None] | None = None,
) -> str:
    """Receive the archive of a multipart body; its id, once its bytes are kept. `page_fields`: the form is a page's.

    `pieces`: the body, where that was begun to be read.
    """
    query = dialect.parse(request.query_params.multi_items(), "query")
    key = request.headers.get("idempotency-key")
    try:
        reader = FormReader(
            parse_boundary(request), page_fields.names if page_fields is not None else frozenset(), dialect
        )
    except FormParserError as error:
        raise upload_errors.MultipartUnreadable from error
    name = ""

    def ask(uploader: Principal) -> UploadOffer:
        dialect.check_agreement(query, reader.fields)
        page_values = page_fields.translate(reader.others, reader.fields) if page_fields is not None else {}
        fields, import_request = dialect.translate({"filename": name, **reader.fields, **page_values, **query})
        with server.catalog.read() as connection:
            return make_offer(
                connection, uploader, fields, import_request, door="multipart", size=content_length(request), key=key
            )

    await server.read(ask, principal)  # what the query names is known before a byte is read
    incoming_upload: IncomingUpload | None = None
    async with AsyncExitStack() as stack:
        body = await stack.enter_async_context(aclosing(pieces or read_body(server, request)))
        receiver: UploadBody | RepeatedUpload | None = None
        async for piece in body:
            for kind, value in reader.push(piece):
                if kind == "archive":
                    name = str(value)
                    if page_fields is not None:
                        page_fields.check(reader.others)
                    incoming_upload = await server.run(lambda: server.receiving.begin(ask(principal)))
                    bind_upload(incoming_upload.uuid)
                    if incoming_upload.known:
                        receiver = RepeatedUpload(server, incoming_upload)
                    else:
                        upload_body = UploadBody(server, request, principal, incoming_upload, keyed=bool(key))
                        receiver = await stack.enter_async_context(upload_body)
                elif kind == "bytes" and receiver is not None:
                    assert isinstance(value, bytes)
                    await receiver.feed(value)
        if not reader.ended:
            raise upload_errors.MultipartCut
        if receiver is None or incoming_upload is None:
            raise upload_errors.ArchiveMissing
        if isinstance(receiver, RepeatedUpload):
            await receiver.end(await server.read(ask, principal))
        else:
            await receiver.accept(ask)
    return incoming_upload.uuid

"""/api/v1/imports/{id}/receipt: what became of every entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import IO, Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from scandock.access.principal import Principal, RequestInfo
from scandock.services.audit import AuditAction, record
from scandock.services.imports import find_import
from scandock.services.receipts import Format, check_verdicts, lines, open_receipt
from scandock.web.deps import ServerState, server_state
from scandock.web.openapi import binary_response
from scandock.web.security import Caller, request_info

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])

_TYPES: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


@router.get(
    "/{id}/receipt",
    summary="The receipt of an import",
    response_class=StreamingResponse,
    responses=binary_response("application/x-ndjson", "text/csv"),
)
async def receipt(
    request: Request,
    id: str,  # noqa: A002  the route's own name
    principal: Caller,
    format: Annotated[Format, Query()] = "jsonl",  # noqa: A002
    verdict: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """One line for each entry; with `verdict` (which may come again) those of some verdicts alone."""
    server = server_state(request)
    verdicts = check_verdicts(
        [each_verdict for text in verdict or () for each_verdict in text.split(",") if each_verdict]
    )
    packed_file = await server.run(_open, server, principal, id, format, request_info(request))
    headers = {"Content-Disposition": f'attachment; filename="receipt-{id}.{format}"'}
    if format == "jsonl" and not verdicts and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return StreamingResponse(_iterate(server, _read_raw(packed_file)), 200, headers, _TYPES[format])
    return StreamingResponse(_iterate(server, lines(packed_file, format, verdicts)), 200, headers, _TYPES[format])


def _open(server: ServerState, principal: Principal, uuid: str, format: Format, info: RequestInfo) -> IO[bytes]:  # noqa: A002
    """The receipt, once the audit tells that somebody takes it."""
    with server.catalog.read() as connection:
        import_record = find_import(connection, principal, uuid)
    packed_file = open_receipt(server.store, uuid)
    try:
        with server.catalog.write() as connection:
            record(
                connection, principal, AuditAction.DOWNLOAD, "import", uuid,
                project=import_record.project or "", request=info, details={"receipt": format},
            )  # fmt: skip
    except BaseException:
        packed_file.close()
        raise
    return packed_file


def _takes_gzip(request: Request) -> bool:
    """Whether the receipt may go out as it lies, so that nothing is unpacked here."""
    accepted = [part.partition(";") for part in request.headers.get("accept-encoding", "").lower().split(",")]
    return any(
        name.strip() == "gzip" and "q=0" not in parameters.replace(" ", "").split(";")
        for name, _, parameters in accepted
    )


def _read_raw(packed_file: IO[bytes]) -> Iterator[bytes]:
    with packed_file:
        while piece := packed_file.read(256 * 1024):
            yield piece


async def _iterate(server: ServerState, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each made in a thread."""
    try:
        while (piece := await server.spool(next, pieces, None)) is not None:
            if piece:
                yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()

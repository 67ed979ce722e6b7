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
from scandock.web.openapi import binary
from scandock.web.security import Caller, info_of

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])

_TYPES: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


@router.get(
    "/{id}/receipt",
    summary="The receipt of an import",
    response_class=StreamingResponse,
    responses=binary("application/x-ndjson", "text/csv"),
)
async def receipt(
    request: Request,
    id: str,  # noqa: A002  the route's own name
    principal: Caller,
    format: Annotated[Format, Query()] = "jsonl",  # noqa: A002
    verdict: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """One line for each entry; with `verdict` (which may come again) those of some verdicts alone."""
    site = server_state(request)
    wanted = check_verdicts([one for given in verdict or () for one in given.split(",") if one])
    packed = await site.run(_open, site, principal, id, format, info_of(request))
    headers = {"Content-Disposition": f'attachment; filename="receipt-{id}.{format}"'}
    if format == "jsonl" and not wanted and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return StreamingResponse(_each(site, _raw(packed)), 200, headers, _TYPES[format])
    return StreamingResponse(_each(site, lines(packed, format, wanted)), 200, headers, _TYPES[format])


def _open(site: ServerState, principal: Principal, uuid: str, format: Format, info: RequestInfo) -> IO[bytes]:  # noqa: A002
    """The receipt, once the audit tells that somebody takes it."""
    with site.catalog.read() as connection:
        found = find_import(connection, principal, uuid)
    packed = open_receipt(site.store, uuid)
    try:
        with site.catalog.write() as connection:
            record(
                connection, principal, AuditAction.DOWNLOAD, "import", uuid,
                project=found.project or "", request=info, details={"receipt": format},
            )  # fmt: skip
    except BaseException:
        packed.close()
        raise
    return packed


def _takes_gzip(request: Request) -> bool:
    """Whether the receipt may go out as it lies, so that nothing is unpacked here."""
    accepted = [one.partition(";") for one in request.headers.get("accept-encoding", "").lower().split(",")]
    return any(name.strip() == "gzip" and "q=0" not in rest.replace(" ", "").split(";") for name, _, rest in accepted)


def _raw(packed: IO[bytes]) -> Iterator[bytes]:
    with packed:
        while piece := packed.read(256 * 1024):
            yield piece


async def _each(site: ServerState, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each made in a thread."""
    try:
        while (piece := await site.spool(next, pieces, None)) is not None:
            if piece:
                yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()

"""/api/v1/uploads/{upload}/mapping: where the studies of an upload go, while its bytes still come.

A mapping of hundreds of studies is too long for `Upload-Metadata`: headers have a bound at most proxies.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.access.principal import Principal, RequestInfo
from scandock.rules.mapping import MappingRow, decode_mapping, parse_mapping
from scandock.services.audit import AuditAction
from scandock.services.import_errors import MappedTooLate
from scandock.services.receiving import make_audit_writer
from scandock.web.bodies import limit_body
from scandock.web.deps import ServerState, server_state
from scandock.web.receiving.limits import FIELD_BYTES, mapping_too_large
from scandock.web.security import Caller, check_upload, reauthenticate_request, request_info
from scandock.web.tus.routes import find_upload

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads (tus 1.0)"])


@router.put("/{upload}/mapping", status_code=204, summary="Say where an upload's studies go", response_class=Response)
@limit_body(FIELD_BYTES, mapping_too_large)
async def give(request: Request, upload: str, principal: Caller) -> Response:
    """The body is the mapping, CSV or JSON; it takes the place of an earlier one. 409 once all bytes are there."""
    server = server_state(request)
    await server.read(_check, server, principal, upload)
    text = decode_mapping(await request.body())
    principal = await reauthenticate_request(request, principal)
    await server.run(_keep, server, principal, upload, text, request_info(request))
    return Response(status_code=204)


def _check(server: ServerState, principal: Principal, upload: str) -> None:
    find_upload(server, principal, upload, own=True)


def _keep(server: ServerState, principal: Principal, upload: str, text: str, info: RequestInfo) -> None:
    incoming_upload = find_upload(server, principal, upload, own=True)
    rows: Sequence[MappingRow] = ()
    if text.strip():
        rows = parse_mapping(text, "")
        with server.catalog.read() as connection:
            for name in dict.fromkeys(row.project for row in rows if row.project):
                check_upload(principal, connection, name)
    projects = {row.project for row in rows if row.project}
    note = make_audit_writer(AuditAction.MAPPING_SET, principal, info, {"rows": len(rows)})
    if not server.receiving.set_mapping(incoming_upload, text if text.strip() else "", projects, note):
        raise MappedTooLate

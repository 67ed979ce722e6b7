"""Manifests for XNAT's Desktop Client, which downloads what they name: of a session, or of a project's sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.sessions import archived_uuid
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.downloads import content_disposition
from scandock.services.manifests import (
    Listed,
    Selection,
    build_parts,
    read_project_rows,
    read_session_rows,
    write_manifest,
)
from scandock.services.session_errors import SessionsMissing
from scandock.web.buffered_documents import buffered_document
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()


@router.get("/projects/{project}/manifest")
async def project_manifest(context: PageContext, project: str) -> Response:
    """Of all archived sessions."""
    return await _manifest(context, project, lambda c: read_project_rows(c, context.service_context.principal, project))


@router.get("/projects/{project}/sessions/{label}/manifest")
async def session_manifest(context: PageContext, project: str, label: str) -> Response:
    """Of one."""

    def rows(connection: Connection) -> Iterator[Listed]:
        rights.check(connection, context.service_context.principal, Action.SESSION_READ, project)
        uuid = archived_uuid(connection, project, label)
        return iter(()) if uuid is None else read_session_rows(connection, uuid)

    return await _manifest(context, label, rows)


async def _manifest(
    context: RequestContext, name: str, find_rows: Callable[[Connection], Iterator[Listed]]
) -> Response:
    """Usage `nothing_there` where no archived session is."""

    def write(connection: Connection, file: IO[bytes]) -> None:
        rows = find_rows(connection)
        first = next(rows, None)
        if first is None:
            raise SessionsMissing("There is no archived session.", "Check the address, or archive one first.")
        write_manifest(file, name, build_parts(chain((first,), rows), Selection(everything=True)))

    return await buffered_document(context, write, headers={"Content-Disposition": content_disposition(f"{name}.xml")})

"""Manifests of downloads: the document that the Desktop Client opens (`entrySet`), and what pages of the original and
scripts ask for it, and for its zip (`/xapi/archive`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import IO, Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.model.request_errors import RequestInvalid
from scandock.model.xnat_ids import experiment_number
from scandock.rules.permissions import Action
from scandock.services import manifests, rights
from scandock.services.downloads import ZipDownload, content_disposition
from scandock.services.manifests import write_manifest
from scandock.services.resource_zips import make_empty_zip, zip_sessions
from scandock.web.buffered_documents import buffered_document
from scandock.web.file_responses import zip_response
from scandock.web.json_bodies import check_json_values, json_unreadable
from scandock.web.request_context import RequestContext
from scandock.web.xnat.routing import SignedInContext, check_name_count, make_router
from scandock.web.xnat.zip_downloads import read_damaged_option

routes = make_router()


class DownloadRequest(BaseModel):
    """What is to be downloaded: sessions as `{project}:{subject}:{label}:{id}`, or their ids; what of them."""

    model_config = ConfigDict(extra="ignore")

    sessions: list[str] = []
    projectId: list[str] | str = []  # noqa: N815  as the original calls them
    projectIds: list[str] | str = []  # noqa: N815
    scan_types: list[str | None] | None = None
    scan_formats: list[str | None] | None = None
    resources: list[str | None] | None = None
    options: list[str] = []

    @property
    def projects(self) -> list[str]:
        names = [*([self.projectId] if isinstance(self.projectId, str) else self.projectId),
                 *([self.projectIds] if isinstance(self.projectIds, str) else self.projectIds)]  # fmt: skip
        return [name for name in dict.fromkeys(names) if name]

    @property
    def named(self) -> dict[str, str]:
        """The sessions' ids, each with the project that it is said to be of. Usage `request_invalid`."""
        projects_by_id = {}
        for name in self.sessions:
            pieces = name.split(":")
            if len(pieces) not in (1, 4) or experiment_number(pieces[-1]) is None:
                raise RequestInvalid(
                    f"{name[:80]!r} names no session.",
                    "Right is {project}:{subject}:{label}:{id} with an id such as XNAT_E00001, or the id alone.",
                )
            projects_by_id[pieces[-1]] = pieces[0] if len(pieces) > 1 else ""
        return projects_by_id


async def _parse_download_request(request: Request) -> DownloadRequest:
    """What a body asks for, whatever it calls itself. Usage `request_invalid`."""
    body = await request.body()
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise json_unreadable() from None
    check_json_values(values)
    try:
        return DownloadRequest.model_validate(values)
    except ValidationError as error:
        name = ".".join(str(piece) for piece in error.errors()[0]["loc"]) or "The body"
        raise RequestInvalid(
            f"{name[:80]} is not what it should be.", "Right is an object with lists of names."
        ) from None


DownloadBody = Annotated[DownloadRequest, Depends(_parse_download_request)]


async def _create_manifest(context: RequestContext, download_request: DownloadRequest) -> tuple[str, int]:
    """Keep what is asked for: its id, and its bytes. Usage `request_invalid`, AccessDenied."""
    projects_by_id = download_request.named
    if not projects_by_id:
        raise RequestInvalid("The request names no sessions.", "Name them in a list `sessions`.")
    check_name_count(context.request, len(projects_by_id) + len(download_request.projects))
    lists = {
        "scan_types": download_request.scan_types,
        "scan_formats": download_request.scan_formats,
        "resources": download_request.resources,
    }
    manifest_request = manifests.ManifestRequest.of(tuple(projects_by_id), lists, download_request.options)
    me = context.service_context.principal

    def look(connection: Connection) -> int:
        for project in download_request.projects:
            rights.check(connection, me, Action.SESSION_READ, project)
        manifests.check_sessions(connection, me, projects_by_id)
        parts = manifests.find_chosen_parts(connection, me, manifest_request)
        return sum(entry.bytes for part in parts for entry in (*part.scans, *part.own))

    size = await context.read(look)
    return await context.run(lambda: manifests.store_manifest(context.server.catalog, me, manifest_request)), size


@routes.post("/xapi/archive/download")
async def download(context: SignedInContext, download_request: DownloadBody) -> Response:
    """The id of a manifest."""
    name, _ = await _create_manifest(context, download_request)
    return PlainTextResponse(name)


@routes.post("/xapi/archive/downloadwithsize")
async def download_with_size(context: SignedInContext, download_request: DownloadBody) -> Response:
    """The same with the bytes of its files; of none the size is unknown here."""
    name, size = await _create_manifest(context, download_request)
    return JSONResponse({"id": name, "size": str(size), "resourcesOfUnknownSize": "0"})


@routes.get("/xapi/archive/download/{manifest}")
@routes.get("/xapi/archive/download/{manifest}/xml")
async def manifest_xml(context: SignedInContext, manifest: str) -> Response:
    """Its document. 404 where it is not one's own."""
    manifest_request = await context.read(
        lambda c: manifests.find_manifest(c, context.service_context.principal, manifest)
    )

    def write(connection: Connection, file: IO[bytes]) -> None:
        parts = manifests.find_chosen_parts(connection, context.service_context.principal, manifest_request)
        write_manifest(file, manifest, parts, ", ".join(manifest_request.options))

    as_attachment = context.request.url.path.endswith("/xml")
    headers = {"Content-Disposition": content_disposition(f"{manifest}.xml")} if as_attachment else {}
    return await buffered_document(context, write, headers=headers)


@routes.get("/xapi/archive/download/{manifest}/zip")
async def manifest_zip(context: SignedInContext, manifest: str) -> Response:
    """Its files, in its folders."""
    manifest_request = await context.read(
        lambda c: manifests.find_manifest(c, context.service_context.principal, manifest)
    )
    damaged = read_damaged_option(context.request)

    def make() -> ZipDownload:
        with context.server.catalog.read() as connection:
            parts = manifests.find_chosen_parts(connection, context.service_context.principal, manifest_request)
        choices, naming = manifests.make_zip_choices([part for part in parts if part.names], manifest_request.options)
        zip_download = (
            zip_sessions(context.service_context, choices, damaged, naming) if choices else make_empty_zip(manifest)
        )
        return replace(zip_download, name=f"{manifest}.zip")

    return zip_response(await context.run_zip(make))

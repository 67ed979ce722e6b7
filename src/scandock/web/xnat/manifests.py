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
from scandock.web.file_answers import zip_answer
from scandock.web.held_documents import held_document
from scandock.web.json_bodies import check_values, no_json
from scandock.web.request_context import RequestContext
from scandock.web.xnat.routing import Known, few_names, router
from scandock.web.xnat.zipping import damaged_of

routes = router()


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
        every = [*([self.projectId] if isinstance(self.projectId, str) else self.projectId),
                 *([self.projectIds] if isinstance(self.projectIds, str) else self.projectIds)]  # fmt: skip
        return [one for one in dict.fromkeys(every) if one]

    @property
    def named(self) -> dict[str, str]:
        """The sessions' ids, each with the project that it is said to be of. Usage `request_invalid`."""
        found = {}
        for one in self.sessions:
            pieces = one.split(":")
            if len(pieces) not in (1, 4) or experiment_number(pieces[-1]) is None:
                raise RequestInvalid(
                    f"{one[:80]!r} names no session.",
                    "Right is {project}:{subject}:{label}:{id} with an id such as XNAT_E00001, or the id alone.",
                )
            found[pieces[-1]] = pieces[0] if len(pieces) > 1 else ""
        return found


async def _asked(request: Request) -> DownloadRequest:
    """What a body asks for, whatever it calls itself. Usage `request_invalid`."""
    body = await request.body()
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise no_json() from None
    check_values(values)
    try:
        return DownloadRequest.model_validate(values)
    except ValidationError as error:
        name = ".".join(str(one) for one in error.errors()[0]["loc"]) or "The body"
        raise RequestInvalid(
            f"{name[:80]} is not what it should be.", "Right is an object with lists of names."
        ) from None


Body = Annotated[DownloadRequest, Depends(_asked)]


async def _make(work: RequestContext, asked: DownloadRequest) -> tuple[str, int]:
    """Keep what is asked for: its id, and its bytes. Usage `request_invalid`, Denied."""
    named = asked.named
    if not named:
        raise RequestInvalid("The request names no sessions.", "Name them in a list `sessions`.")
    few_names(work.request, len(named) + len(asked.projects))
    lists = {"scan_types": asked.scan_types, "scan_formats": asked.scan_formats, "resources": asked.resources}
    choice = manifests.ManifestRequest.of(tuple(named), lists, asked.options)
    me = work.context.principal

    def look(connection: Connection) -> int:
        for project in asked.projects:
            rights.check(connection, me, Action.SESSION_READ, project)
        manifests.check_sessions(connection, me, named)
        parts = manifests.find_chosen_parts(connection, me, choice)
        return sum(entry.bytes for part in parts for entry in (*part.scans, *part.own))

    size = await work.read(look)
    return await work.do(lambda: manifests.store_manifest(work.site.catalog, me, choice)), size


@routes.post("/xapi/archive/download")
async def download(work: Known, asked: Body) -> Response:
    """The id of a manifest."""
    name, _ = await _make(work, asked)
    return PlainTextResponse(name)


@routes.post("/xapi/archive/downloadwithsize")
async def download_with_size(work: Known, asked: Body) -> Response:
    """The same with the bytes of its files; of none the size is unknown here."""
    name, size = await _make(work, asked)
    return JSONResponse({"id": name, "size": str(size), "resourcesOfUnknownSize": "0"})


@routes.get("/xapi/archive/download/{manifest}")
@routes.get("/xapi/archive/download/{manifest}/xml")
async def manifest_xml(work: Known, manifest: str) -> Response:
    """Its document. 404 where it is not one's own."""
    choice = await work.read(lambda c: manifests.find_manifest(c, work.context.principal, manifest))

    def write(connection: Connection, file: IO[bytes]) -> None:
        parts = manifests.find_chosen_parts(connection, work.context.principal, choice)
        write_manifest(file, manifest, parts, ", ".join(choice.options))

    saved = work.request.url.path.endswith("/xml")
    headers = {"Content-Disposition": content_disposition(f"{manifest}.xml")} if saved else {}
    return await held_document(work, write, headers=headers)


@routes.get("/xapi/archive/download/{manifest}/zip")
async def manifest_zip(work: Known, manifest: str) -> Response:
    """Its files, in its folders."""
    choice = await work.read(lambda c: manifests.find_manifest(c, work.context.principal, manifest))
    damaged = damaged_of(work.request)

    def make() -> ZipDownload:
        with work.site.catalog.read() as connection:
            parts = manifests.find_chosen_parts(connection, work.context.principal, choice)
        wanted, naming = manifests.make_zip_choices([part for part in parts if part.names], choice.options)
        made = zip_sessions(work.context, wanted, damaged, naming) if wanted else make_empty_zip(manifest)
        return replace(made, name=f"{manifest}.zip")

    return zip_answer(await work.prepare(make))

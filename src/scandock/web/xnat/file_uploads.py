"""Files put by hand: PUT and POST of one as the body or in a form, or of an archive to be extracted (2.4, 3, 4).

Rights are asked before the first byte, and again, as they are then, when the files are shown. An answer comes once they
are durable and listed; what comes for one session at the same time is shown together (`services.batching`).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from email.message import Message
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse, Response

from scandock.catalog.own_resources import OwnResources
from scandock.model.errors import Usage
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.services import project_resources, session_parts, upload_errors
from scandock.services.archive_extraction import extract_archive
from scandock.services.file_errors import FilePathInvalid, ResourceUnknown
from scandock.services.next_tree import ResourcePath, file_exists
from scandock.services.quotas import check_size
from scandock.services.reservations import SpaceReservation
from scandock.services.resource_uploads import (
    Digests,
    ResourceUpload,
    StagedFileWriter,
    StagedUpload,
    check_resource_label,
    make_upload_change,
    open_staged_upload,
    parse_file_path,
)
from scandock.services.session_errors import ScanUnknown
from scandock.services.tree_changes import TreeChange
from scandock.web.bodies import receives_upload
from scandock.web.receiving.multipart import FormReader, parse_boundary
from scandock.web.receiving.raw import content_length
from scandock.web.receiving.spooler import Spooler
from scandock.web.receiving.stream import read_body
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import HOLDERS, lookup_holder
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.routing import SignedInContext, make_router

routes = make_router()
_UNDEFINED: Final = frozenset({"U", "NULL"})
"""What pyxnat sends for what nobody named."""
_DESCRIPTION_LENGTHS: Final = {"content": 4000, "format": 32, "tags": 4000}
"""What is said of resources and files, each with the characters that are kept of it."""
_ID_DIGITS: Final = 10
"""A resource that is named by so many digits is meant by its id, and is never made."""


@receives_upload
async def put(request: Request, context: SignedInContext, path: str = "") -> Response:
    """One file, or with `extract=true` those of an archive."""
    query = request.query_params
    extract = is_true(query.get("extract"))
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"
    file_path = parse_file_path(path) if path.strip("/") else ""
    folder = ""
    if (
        is_form and file_path and request.scope["raw_path"].endswith(b"/")
    ):  # the files of a form have names of their own
        file_path, folder = "", f"{file_path}/"
    if not file_path and not is_form and not extract:
        file_path = parse_file_path(_read_file_name(request))
    target, own_resources = await context.read(lambda c: _find_target(c, context, file_path if not extract else ""))
    account_id = context.service_context.principal.account_id
    assert account_id is not None
    with await context.server.run(context.server.receiving.space.hold, account_id, content_length(request)) as reserved:
        staged = await context.run(lambda: open_staged_upload(context.server.store))
        try:
            if is_form:
                await _receive_form(context, staged, reserved, file_path, folder)
            else:
                await _receive_body(context, staged, reserved, file_path)
            await context.refresh_principal()
            await context.run(lambda: _extract_archives(context, staged, reserved, file_path) if extract else None)
            change = await context.run(lambda: make_upload_change(context.service_context, target, staged))
            uuid = (
                target.uuid
                if own_resources is None
                else await context.run(
                    lambda: project_resources.create_own_resources(context.service_context, own_resources)
                )
            )
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(context.run(staged.holds.close)))
            raise
    await make_change(context, uuid, change)
    return PlainTextResponse("")


async def _count_received(context: RequestContext, reserved: SpaceReservation, received: int) -> None:
    """Note what came of a body. Fault `disk_full` where it stated no size and eats what others reserved."""
    if reserved.came(received):
        await context.server.run(reserved.check)


async def make_change(context: RequestContext, uuid: str, change: TreeChange) -> None:
    """Have a change made, beside others that wait for the same session; raises what refused it."""
    await asyncio.shield(asyncio.wrap_future(context.server.tree_changes.submit(uuid, change)))


def _read_file_name(request: Request) -> str:
    """The name of a file that stands in no address: in a header, or a parameter. Usage `file_path_invalid`."""
    message = Message()
    message["Content-Disposition"] = request.headers.get("content-disposition", "")
    name = request.query_params.get("name") or request.query_params.get("filename") or message.get_filename()
    if not name:
        raise FilePathInvalid("The request names no file.", "Name it in the address: .../files/{name}.")
    return name


def _find_target(
    connection: Connection, context: RequestContext, file_path: str
) -> tuple[ResourceUpload, OwnResources | None]:
    """Where the files are to stand, and the own resources that may have to be made for it.

    AccessDenied, Usage `scan_unknown`, `resource_unknown`, `file_exists`. Asked again when they are shown.
    """
    path_params, query = context.request.path_params, context.request.query_params
    length = content_length(context.request)
    holder = lookup_holder(connection, context, Action.SESSION_EDIT)
    check_size(length, context.server.receiving.limits.upload_bytes)
    resource_path, resource_exists = find_resource_path(connection, context)
    overwrite_text = query.get("overwrite", "").strip().lower()
    overwrite = None if not overwrite_text else is_true(overwrite_text)
    if resource_exists and file_path and overwrite is False:
        scans = (
            None
            if resource_path.scan_id is None
            else session_parts.find_scans(connection, holder.record, path_params["scans"])
        )
        rows = session_parts.find_resources(connection, holder.record, path_params["resources"], scans=scans)
        if session_parts.find_files(connection, holder.record, rows, file_path):
            raise file_exists(file_path)
    values = {name: "" if text in _UNDEFINED else text for name, text in read_descriptions(query).items()}
    descriptions = (values["content"], values["format"], values["tags"])
    own_resources = holder.record if isinstance(holder.record, OwnResources) else None
    return ResourceUpload(holder.record.uuid, resource_path, overwrite, *descriptions), own_resources


def read_descriptions(query: QueryParams) -> dict[str, str]:
    """Content, format and tags of a resource or a file as a query says them, cut to what is kept of each.

    Usage `value_invalid`.
    """
    for name in _DESCRIPTION_LENGTHS:
        if "\0" in query.get(name, ""):
            raise ValueInvalid(f"{name} can't have that value.", "A text has no NUL.")
    return {name: query.get(name, "")[:max_length] for name, max_length in _DESCRIPTION_LENGTHS.items()}


def find_resource_path(
    connection: Connection, context: RequestContext, action: Action = Action.SESSION_EDIT
) -> tuple[ResourcePath, bool]:
    """The one resource that an address names, and whether it is there. AccessDenied, Usage `label_unusable`."""
    path_params = context.request.path_params
    holder = lookup_holder(connection, context, action)
    scans, scan_id = None, None
    if "scans" in path_params:
        scans = session_parts.find_scans(connection, holder.record, path_params["scans"])
        if len(scans) != 1:
            raise ScanUnknown("Several scans are no single one.", "Name one.")
        scan_id = scans[0].scan_id
    resource_name = path_params["resources"]
    try:
        rows = session_parts.find_resources(connection, holder.record, resource_name, scans=scans)
    except Usage:
        if resource_name.isdigit() and len(resource_name) >= _ID_DIGITS:
            raise
        return ResourcePath(scan_id, check_resource_label(resource_name)), False
    if len(rows) != 1:
        raise ResourceUnknown("Several resources are no single one.", "Name one.")
    return ResourcePath(scan_id, rows[0].label), True


# -- the bytes ---------------------------------------------------------------------------------------------------------


class _FileReceiver:
    """One file on its way into the stage."""

    def __init__(self, context: RequestContext, staged: StagedUpload, name: str, max_bytes: int) -> None:
        self.name = name
        self.digests = Digests()
        self.file = StagedFileWriter(staged.stage, staged.next_rel())
        self.spooling = Spooler(context.server.spool_threads, self.file, max_bytes=max_bytes, digest=self.digests)

    async def close(self) -> None:
        """Leave no thread and no open file behind, whatever came."""
        try:
            await self.spooling.settle()
        finally:
            self.file.close()


async def _begin_file(context: RequestContext, staged: StagedUpload, name: str, max_bytes: int) -> _FileReceiver:
    return await context.run(lambda: _FileReceiver(context, staged, name, max_bytes))


async def _end_file(staged: StagedUpload, file_receiver: _FileReceiver) -> None:
    await file_receiver.spooling.finish()
    staged.add(file_receiver.file.rel, file_receiver.name, file_receiver.digests)


async def _receive_body(context: RequestContext, staged: StagedUpload, reserved: SpaceReservation, name: str) -> None:
    file_receiver = await _begin_file(context, staged, name, context.server.receiving.limits.upload_bytes)
    try:
        async with aclosing(read_body(context.server, context.request)) as body:
            async for data in body:
                await file_receiver.spooling.feed(data)
                await _count_received(context, reserved, file_receiver.spooling.received)
        size = content_length(context.request)
        if size is not None and file_receiver.spooling.received != size:
            raise upload_errors.UploadCut
        await _end_file(staged, file_receiver)
    finally:
        await file_receiver.close()


async def _receive_form(
    context: RequestContext, staged: StagedUpload, reserved: SpaceReservation, file_path: str, folder: str
) -> None:
    """The files of a form: under the address's name where it names one, else in its folder under their own."""
    reader = FormReader(parse_boundary(context.request), several=True)
    bytes_left = context.server.receiving.limits.upload_bytes
    received = 0
    file_receiver: _FileReceiver | None = None
    try:
        async with aclosing(read_body(context.server, context.request)) as body:
            async for piece in body:
                received += len(piece)
                await _count_received(context, reserved, received)
                for kind, value in reader.push(piece):
                    if kind == "archive":
                        if file_path and staged.files:
                            raise upload_errors.NamedFilesSeveral
                        file_receiver = await _begin_file(
                            context, staged, file_path or parse_file_path(folder + str(value)), bytes_left
                        )
                    elif kind == "bytes" and file_receiver is not None:
                        assert isinstance(value, bytes)
                        await file_receiver.spooling.feed(value)
                    elif kind == "end" and file_receiver is not None:
                        await _end_file(staged, file_receiver)
                        bytes_left -= file_receiver.spooling.received
                        file_receiver = None
        if not reader.ended:
            raise upload_errors.FileFormCut
        if not staged.files:
            raise upload_errors.ResourceFileMissing
    finally:
        if file_receiver is not None:
            await file_receiver.close()


def _extract_archives(
    context: RequestContext, staged: StagedUpload, reserved: SpaceReservation, file_path: str
) -> None:
    """Let the files of an archive stand in its place: below the folder that the address names."""
    archives, staged.files = staged.files, []
    for archive in archives:
        folder = (file_path or archive.name).rpartition("/")[0]
        extract_archive(
            staged, archive.rel, f"{folder}/" if folder else "", context.server.settings.limits, reserved.grew
        )


for _where in HOLDERS:
    for _method in ("PUT", "POST"):
        _files = f"{_where}/resources/{{resources}}/files"
        routes.add_api_route(_files, put, methods=[_method])
        routes.add_api_route(f"{_files}/{{path:whole}}", put, methods=[_method])

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
from scandock.web.receiving.multipart import FormReader, boundary_of
from scandock.web.receiving.raw import length_of
from scandock.web.receiving.spooling import Spooling
from scandock.web.receiving.stream import whole_body
from scandock.web.request_context import RequestContext
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.places import HOLDERS, holder_of
from scandock.web.xnat.routing import Known, router

routes = router()
_UNDEFINED: Final = frozenset({"U", "NULL"})
"""What pyxnat sends for what nobody named."""
_WORDS: Final = {"content": 4000, "format": 32, "tags": 4000}
"""What is said of resources and files, each with the characters that are kept of it."""
_ID_DIGITS: Final = 10
"""A resource that is named by so many digits is meant by its id, and is never made."""


@receives_upload
async def put(request: Request, work: Known, path: str = "") -> Response:
    """One file, or with `extract=true` those of an archive."""
    asked = request.query_params
    extract = true(asked.get("extract"))
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"
    named = parse_file_path(path) if path.strip("/") else ""
    folder = ""
    if form and named and request.scope["raw_path"].endswith(b"/"):  # the files of a form have names of their own
        named, folder = "", f"{named}/"
    if not named and not form and not extract:
        named = parse_file_path(_name_of(request))
    wanted, shelf = await work.read(lambda c: _wanted(c, work, named if not extract else ""))
    account_id = work.context.principal.account_id
    assert account_id is not None
    with await work.site.run(work.site.receiving.space.hold, account_id, length_of(request)) as held:
        came = await work.do(lambda: open_staged_upload(work.site.store))
        try:
            if form:
                await _receive_form(work, came, held, named, folder)
            else:
                await _receive(work, came, held, named)
            await work.still()
            await work.do(lambda: _unpacked(work, came, held, named) if extract else None)
            change = await work.do(lambda: make_upload_change(work.context, wanted, came))
            uuid = (
                wanted.uuid
                if shelf is None
                else await work.do(lambda: project_resources.create_own_resources(work.context, shelf))
            )
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(work.do(came.holds.close)))
            raise
    await made(work, uuid, change)
    return PlainTextResponse("")


async def _came(work: RequestContext, held: SpaceReservation, received: int) -> None:
    """Note what came of a body. Fault `disk_full` where it stated no size and eats what others reserved."""
    if held.came(received):
        await work.site.run(held.check)


async def made(work: RequestContext, uuid: str, change: TreeChange) -> None:
    """Have a change made, beside others that wait for the same session; raises what refused it."""
    await asyncio.shield(asyncio.wrap_future(work.site.hands.submit(uuid, change)))


def _name_of(request: Request) -> str:
    """The name of a file that stands in no address: in a header, or a parameter. Usage `file_path_invalid`."""
    message = Message()
    message["Content-Disposition"] = request.headers.get("content-disposition", "")
    said = request.query_params.get("name") or request.query_params.get("filename") or message.get_filename()
    if not said:
        raise FilePathInvalid("The request names no file.", "Name it in the address: .../files/{name}.")
    return said


def _wanted(connection: Connection, work: RequestContext, named: str) -> tuple[ResourceUpload, OwnResources | None]:
    """Where the files are to stand, and the shelf that may have to be made for it.

    Denied, Usage `scan_unknown`, `resource_unknown`, `file_exists`. Asked again when they are shown.
    """
    places, asked = work.request.path_params, work.request.query_params
    length = length_of(work.request)
    found = holder_of(connection, work, Action.SESSION_EDIT)
    check_size(length, work.site.receiving.limits.upload_bytes)
    place, there = place_of(connection, work)
    said = asked.get("overwrite", "").strip().lower()
    overwrite = None if not said else true(said)
    if there and named and overwrite is False:
        scans = None if place.scan_id is None else session_parts.find_scans(connection, found.standing, places["scans"])
        rows = session_parts.find_resources(connection, found.standing, places["resources"], scans=scans)
        if session_parts.find_files(connection, found.standing, rows, named):
            raise file_exists(named)
    kind = {name: "" if text in _UNDEFINED else text for name, text in words_in(asked).items()}
    told = (kind["content"], kind["format"], kind["tags"])
    shelf = found.standing if isinstance(found.standing, OwnResources) else None
    return ResourceUpload(found.standing.uuid, place, overwrite, *told), shelf


def words_in(asked: QueryParams) -> dict[str, str]:
    """Content, format and tags of a resource or a file as a query says them, cut to what is kept of each.

    Usage `value_invalid`.
    """
    for name in _WORDS:
        if "\0" in asked.get(name, ""):
            raise ValueInvalid(f"{name} can't have that value.", "A text has no NUL.")
    return {name: asked.get(name, "")[:most] for name, most in _WORDS.items()}


def place_of(
    connection: Connection, work: RequestContext, action: Action = Action.SESSION_EDIT
) -> tuple[ResourcePath, bool]:
    """The one resource that an address names, and whether it is there. Denied, Usage `label_unusable`."""
    places = work.request.path_params
    found = holder_of(connection, work, action)
    scans, scan_id = None, None
    if "scans" in places:
        scans = session_parts.find_scans(connection, found.standing, places["scans"])
        if len(scans) != 1:
            raise ScanUnknown("Several scans are no single one.", "Name one.")
        scan_id = scans[0].scan_id
    named = places["resources"]
    try:
        rows = session_parts.find_resources(connection, found.standing, named, scans=scans)
    except Usage:
        if named.isdigit() and len(named) >= _ID_DIGITS:
            raise
        return ResourcePath(scan_id, check_resource_label(named)), False
    if len(rows) != 1:
        raise ResourceUnknown("Several resources are no single one.", "Name one.")
    return ResourcePath(scan_id, rows[0].label), True


# -- the bytes ---------------------------------------------------------------------------------------------------------


class _Taking:
    """One file on its way into the stage."""

    def __init__(self, work: RequestContext, came: StagedUpload, name: str, most: int) -> None:
        self.name = name
        self.digests = Digests()
        self.file = StagedFileWriter(came.stage, came.next_rel())
        self.spooling = Spooling(work.site.spool_threads, self.file, most=most, digest=self.digests)

    async def close(self) -> None:
        """Leave no thread and no open file behind, whatever came."""
        try:
            await self.spooling.settle()
        finally:
            self.file.close()


async def _begin(work: RequestContext, came: StagedUpload, name: str, most: int) -> _Taking:
    return await work.do(lambda: _Taking(work, came, name, most))


async def _end(came: StagedUpload, taking: _Taking) -> None:
    await taking.spooling.finish()
    came.add(taking.file.rel, taking.name, taking.digests)


async def _receive(work: RequestContext, came: StagedUpload, held: SpaceReservation, name: str) -> None:
    taking = await _begin(work, came, name, work.site.receiving.limits.upload_bytes)
    try:
        async with aclosing(whole_body(work.site, work.request)) as body:
            async for data in body:
                await taking.spooling.feed(data)
                await _came(work, held, taking.spooling.received)
        size = length_of(work.request)
        if size is not None and taking.spooling.received != size:
            raise upload_errors.UploadCut
        await _end(came, taking)
    finally:
        await taking.close()


async def _receive_form(
    work: RequestContext, came: StagedUpload, held: SpaceReservation, named: str, folder: str
) -> None:
    """The files of a form: under the address's name where it names one, else in its folder under their own."""
    reader = FormReader(boundary_of(work.request), many=True)
    left = work.site.receiving.limits.upload_bytes
    received = 0
    taking: _Taking | None = None
    try:
        async with aclosing(whole_body(work.site, work.request)) as body:
            async for piece in body:
                received += len(piece)
                await _came(work, held, received)
                for kind, value in reader.push(piece):
                    if kind == "archive":
                        if named and came.files:
                            raise upload_errors.NamedFilesSeveral
                        taking = await _begin(work, came, named or parse_file_path(folder + str(value)), left)
                    elif kind == "bytes" and taking is not None:
                        assert isinstance(value, bytes)
                        await taking.spooling.feed(value)
                    elif kind == "end" and taking is not None:
                        await _end(came, taking)
                        left -= taking.spooling.received
                        taking = None
        if not reader.ended:
            raise upload_errors.FileFormCut
        if not came.files:
            raise upload_errors.ResourceFileMissing
    finally:
        if taking is not None:
            await taking.close()


def _unpacked(work: RequestContext, came: StagedUpload, held: SpaceReservation, named: str) -> None:
    """Let the files of an archive stand in its place: below the folder that the address names."""
    archives, came.files = came.files, []
    for one in archives:
        folder = (named or one.name).rpartition("/")[0]
        extract_archive(came, one.rel, f"{folder}/" if folder else "", work.site.settings.limits, held.grew)


for _where in HOLDERS:
    for _method in ("PUT", "POST"):
        _files = f"{_where}/resources/{{resources}}/files"
        routes.add_api_route(_files, put, methods=[_method])
        routes.add_api_route(f"{_files}/{{path:whole}}", put, methods=[_method])

"""Files of an experiment or own resources: listed with their digests, one by one, many as a zip (1, 9 to 11)."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.own_resources import Holder
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.services import session_parts
from scandock.services.downloads import FileDownload, find_file, open_file, open_found_file
from scandock.services.file_errors import FileUnknown
from scandock.services.file_verification import verify_now
from scandock.services.session_parts import FilePart, Folder
from scandock.web.file_responses import file_head_response, file_response, is_whole_wanted
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import HOLDERS
from scandock.web.xnat.parts import AddressedPart, lookup_part, lookup_parts
from scandock.web.xnat.responses import FORMATS, list_response, read_filters, read_format, read_number
from scandock.web.xnat.routing import PublicContext, make_router, text_response
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.zip_downloads import download_zip, read_damaged_option

routes = make_router()
MAX_FILES: Final = request_limits.LISTED_FILES
"""Files that several experiments have together, where all of these are listed at once."""
Filters = list[tuple[str, str]]
_INDEX_REMEDY: Final = "The first has 0."


@dataclass(frozen=True, slots=True)
class _PartFiles:
    """Files of a part, as their listing has them."""

    part: AddressedPart
    rows: list[FilePart]

    @property
    def holder(self) -> Holder:
        return self.part.experiment.record

    def list_files(self, filters: Filters) -> Rows:
        return contents.list_files(self.rows, self.part.resources, self.holder, self.part.experiment.uri, filters)

    def list_numbers(self, filters: Filters) -> list[int]:
        return contents.list_file_numbers(
            self.rows, self.part.resources, self.holder, self.part.experiment.uri, filters
        )


async def files(request: Request, context: PublicContext) -> Response:
    """A listing, or with `format=zip` the files themselves; with `index` the one file at that place of the listing."""
    return await _files_response(request, context, None)


async def _files_response(request: Request, context: RequestContext, folder: Folder | None) -> Response:
    requested_format = read_format(request, "json")
    if requested_format == "zip":
        return await download_zip(context, folder)
    if requested_format not in FORMATS:
        return text_response(
            400, f"There is no format {requested_format[:20]!r} of files. There are zip, json, csv and xml."
        )
    index = read_number(request, "index")
    parts = await _find_files(context, folder)
    unverified = [entry.holder for entry in parts if any(row.md5 is None for row in entry.rows)]
    for holder in unverified:  # placed just now: clients compare digests with what they sent
        await context.run(partial(verify_now, context.server.catalog, context.server.store, holder))
    parts = await _find_files(context, folder) if unverified else parts
    filters = read_filters(request)
    if index is not None:
        numbers = [(entry.holder.uuid, number) for entry in parts for number in entry.list_numbers(filters)]
        if index >= len(numbers):
            raise FileUnknown(f"The listing has {len(numbers)} files, none at index {index}.", _INDEX_REMEDY)
        return await _file_response(request, context, *numbers[index])
    tables = [entry.list_files(filters) for entry in parts]
    return list_response(request, Rows(tables[0].names, [row for entry in tables for row in entry.rows]), title="Files")


async def _find_files(context: RequestContext, folder: Folder | None) -> list[_PartFiles]:
    """The files of what an address names; of several experiments those of each, looked up where a zip's are."""

    def ask(connection: Connection) -> list[_PartFiles]:
        parts = lookup_parts(connection, context, whole=True)
        if len(parts) > 1 and sum(part.experiment.record.files for part in parts) > MAX_FILES:
            many = f"These experiments have more than {MAX_FILES:,} files together."
            raise RequestInvalid(many, "List them in parts, or fetch them as a zip.")
        return [
            _PartFiles(
                part, session_parts.find_files(connection, part.experiment.record, part.resources, folder=folder)
            )
            for part in parts
        ]

    def many() -> list[_PartFiles]:
        with context.server.catalog.read() as connection:
            return ask(connection)

    if len(session_parts.split_names(context.request.path_params.get("experiment", ""))) > 1:
        return await context.run_zip(many)
    return await context.read(ask)


async def file(request: Request, context: PublicContext, path: str) -> Response:
    """A file's bytes, whole or by ranges; of a folder, what is in it as `files` lists it."""
    result = await context.run(lambda: _open_file(request, context, path))
    if isinstance(result, Folder):
        return await _files_response(request, context, result)
    return file_response(request, result)


async def head(request: Request, context: PublicContext, path: str) -> Response:
    """What a file's bytes, or the listing of a folder, would come with."""
    result = await context.run(lambda: _open_file(request, context, path, audited=False))
    if isinstance(result, Folder):
        return Response(media_type="application/json")
    return file_head_response(request, result)


def _open_file(request: Request, context: RequestContext, path: str, *, audited: bool = True) -> FileDownload | Folder:
    """The file that an address names, which is found and read about by one transaction; or the folder."""
    service_context = context.service_context
    with service_context.catalog.read() as connection:
        named = _find_file(connection, context, path)
        if isinstance(named, Folder):
            return named
        on_damage = read_damaged_option(request)
        found = find_file(service_context, connection, *named, on_damage)
    is_whole = audited and is_whole_wanted(request)
    return open_found_file(service_context, found, audited=audited, whole=is_whole, on_damage=on_damage)


async def _file_response(request: Request, context: RequestContext, uuid: str, number: int) -> Response:
    return file_response(
        request,
        await context.run(
            lambda: open_file(context.service_context, uuid, number, on_damage=read_damaged_option(request))
        ),
    )


def _find_file(connection: Connection, context: RequestContext, path: str) -> tuple[str, int] | Folder:
    """The one file that an address names, or the folder: `sub/`, and `sub` where there is no such file.

    Usage `file_unknown`; a folder that is named with its slash may be empty, as there are none without files.
    """
    part = lookup_part(connection, context, whole=True)
    holder = part.experiment.record
    stripped_path = path.strip("/")
    has_slash = context.request.scope.get("raw_path", b"").endswith(b"/")
    folder = Folder(
        stripped_path, context.request.query_params.get("recursive", "").strip().lower() not in ("false", "0")
    )
    if (
        has_slash
        and stripped_path
        and session_parts.find_files(connection, holder, part.resources, folder=Folder(stripped_path))
    ):
        return folder
    rows = session_parts.find_files(connection, holder, part.resources, path)
    quoted_path = repr(path[:200])
    if len(rows) == 1:
        return holder.uuid, rows[0].n
    if rows:
        raise FileUnknown(f"Several files there are called {quoted_path}.", "Name the scan and resource of yours.")
    if stripped_path and (
        has_slash or session_parts.find_files(connection, holder, part.resources, folder=Folder(stripped_path))
    ):
        return folder
    raise FileUnknown(f"There is no file {quoted_path} there.", "Its neighbours are listed at .../files.")


for _where in HOLDERS:
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{_where}{_of}/files")(files)
        routes.get(f"{_where}{_of}/files/{{path:whole}}")(file)
        routes.head(f"{_where}{_of}/files/{{path:whole}}")(head)

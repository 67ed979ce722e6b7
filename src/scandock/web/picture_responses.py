"""What shows pictures and headers of stored files: looked up with its rights, and as answers have it."""

from __future__ import annotations

from typing import Any, TypedDict

from scandock.services import pictures
from scandock.services.decoding import DecoderResult
from scandock.web.request_context import RequestContext


async def view_scan(context: RequestContext, session: str, scan: str) -> pictures.ScanView:
    """A scan of a session that may be read; the trail tells of it, once an hour."""
    view = await context.server.read(
        pictures.open_scan_view, context.service_context, context.server.pictures, session, scan
    )
    with view.new_view() as is_new:
        if is_new:
            await context.server.run(pictures.note_view, view)
    return view


class HeaderJson(TypedDict):
    """The elements of a file."""

    columns: list[str]
    rows: list[list[Any]]
    """Each with a value for every column."""
    note: str
    reason: str


class SearchedHeaderJson(HeaderJson):
    """What a search finds in them."""

    search: str


def header_json(result: DecoderResult, search: str = "") -> HeaderJson:
    """The rows of a header as answers have them."""
    rows = result.said.get("rows", [])
    search_text = search.casefold()
    if search_text:
        rows = [row for row in rows if any(search_text in str(cell).casefold() for cell in row[1:])]
    return {
        "columns": ["depth", "tag", "name", "vr", "value"],
        "rows": rows,
        "note": result.said.get("note", ""),
        "reason": result.reason,
    }

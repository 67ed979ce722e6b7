"""What shows pictures and headers of stored files: looked up with its rights, and as answers have it."""

from __future__ import annotations

from typing import Any, TypedDict

from scandock.services import pictures
from scandock.services.decoding import DecoderResult
from scandock.web.request_context import RequestContext


async def look_at(work: RequestContext, session: str, scan: str) -> pictures.ScanView:
    """A scan of a session that may be read; the trail tells of it, once an hour."""
    found = await work.site.read(pictures.open_scan_view, work.context, work.site.pictures, session, scan)
    with found.new_view() as is_new:
        if is_new:
            await work.site.run(pictures.note_view, found)
    return found


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


def header_json(made: DecoderResult, search: str = "") -> HeaderJson:
    """The rows of a header as answers have them."""
    rows = made.said.get("rows", [])
    wanted = search.casefold()
    if wanted:
        rows = [row for row in rows if any(wanted in str(one).casefold() for one in row[1:])]
    return {
        "columns": ["depth", "tag", "name", "vr", "value"],
        "rows": rows,
        "note": made.said.get("note", ""),
        "reason": made.reason,
    }

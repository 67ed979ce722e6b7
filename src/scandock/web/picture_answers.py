"""What shows pictures and headers of stored files: looked up with its rights, and as answers have it."""

from __future__ import annotations

from typing import Any

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


def header_json(made: DecoderResult, search: str = "") -> dict[str, Any]:
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

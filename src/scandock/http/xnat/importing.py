"""`/data/services/import`: an archive in, the URIs of its sessions out (xnat-behaviour.md 1).

The bytes are kept as at every door, and the one pipeline takes them; the answer waits for its end. A client that is cut
off meanwhile loses nothing: the import goes on.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.http.receiving.multipart import receive_multipart
from scandock.http.receiving.raw import receive_raw
from scandock.http.v1.desks import Work
from scandock.http.xnat.routing import Known, router, said
from scandock.http.xnat.wishes import by_name, handler_of, speech
from scandock.model.errors import Fault, Usage
from scandock.services.imports import asked_of, read_import

routes = router()
LOOK_SECONDS: Final = (0.02, 0.5)
"""How soon the outcome is looked for, and how seldom in the end."""
_WAITING: Final = frozenset({"receiving", "received", "running"})
_URI_LIST: Final = "text/uri-list"
_TEXTS: Final = {
    "no_images": "Upload did not include parsable files for session generation.",
    "session_exists": "Session already exists, retry with overwrite enabled",
}
"""Codes for which the original has words that clients may look for; ours follow behind."""


@routes.post("/data/services/import")
async def import_archive(request: Request, work: Known) -> Response:
    """One archive, as the body or as the one file of a form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    named = by_name(request.query_params.multi_items(), "query")
    handler_of(named, media_type)
    multipart = media_type == "multipart/form-data"
    if multipart and named.get("inbody", "").lower() == "true":
        return said(406, "In-body File posts must include the file directly as the body of the message (not as part of "
                         "multi-part form data).")  # fmt: skip
    if request.headers.get("content-length") == "0":
        return said(400, "Unable to identify upload format.")
    principal = work.desk.principal
    try:
        if multipart:
            uuid = await receive_multipart(work.site, request, principal, speech=speech(media_type))
        else:
            uuid = await receive_raw(work.site, request, principal, speech(media_type))
    except Usage as error:
        if error.code == "multipart_no_file":
            return said(400, "Unable to identify upload format.")
        if error.code == "multipart_files":
            return said(400, "Importer is limited to one uploaded resource at a time.")
        raise
    found = await ended(work, uuid)
    asked = await work.site.run(asked_of, work.site.catalog, principal, uuid)
    return outcome(request, found, asked)


async def ended(work: Work, uuid: str) -> dict[str, Any]:
    """The import of an id, once it has ended. Fault `server_stopping` where the server ends first."""
    seconds = LOOK_SECONDS[0]
    while True:
        found: dict[str, Any] = await work.site.run(read_import, work.site.catalog, work.desk.principal, uuid)
        if found["state"] not in _WAITING:
            return found
        try:
            await asyncio.wait_for(work.site.stopping.wait(), seconds)
        except TimeoutError:
            seconds = min(LOOK_SECONDS[1], seconds * 1.5)
            continue
        raise Fault("server_stopping", f"The server is being stopped; the import {uuid} goes on when it is back.")


def outcome(request: Request, found: dict[str, Any], asked: dict[str, Any]) -> Response:
    """What a client hears of an import that has ended: URIs with CRLF behind each, or one sentence.

    `asked` are the import's options: what was bound for the archive and waits is an error there (5.6), and what could
    not be taken is one unless the client has it ignored.
    """
    sessions = [one for one in found["sessions"] if one["uri"]]
    state = found["state"]
    held = [one for one in sessions if one["state"] == "conflict"]
    missed = held and asked.get("destination") == "archive"
    if not missed and (state in ("placed", "held") or (state == "partly" and sessions and asked["ignore_unparsable"])):
        return uri_list(request, [one["uri"] for one in sessions])
    status = {"failed": 500, "cancelled": 410}.get(state, 409 if held else 400)
    code, message = (held[0]["code"], held[0]["message"]) if held else (found["code"], found["message"])
    if code == "disk_full":
        status = HTTPStatus.INSUFFICIENT_STORAGE
    stands = f" It stands at {', '.join(one['uri'] for one in sessions)}." if sessions else ""
    return said(status, f"{_TEXTS.get(code, '')} {message}{stands}".strip())


def uri_list(request: Request, uris: list[str]) -> Response:
    """URIs as the original lists them; a single one without its CRLF for who accepts plain text alone (1.7)."""
    accept = request.headers.get("accept", "")
    if len(uris) == 1 and "text/plain" in accept and _URI_LIST not in accept and "*/*" not in accept:
        return PlainTextResponse(uris[0])
    return Response("".join(f"{uri}\r\n" for uri in uris), media_type=_URI_LIST)

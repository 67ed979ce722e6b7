"""Links of XNAT's Desktop Client to what it has sent ("View session"): each leads to the page that shows it here."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from scandock.access.principal import Denied, Principal
from scandock.catalog.standing import archived_uuid
from scandock.rules.permissions import Action, Answer
from scandock.services.rights import allowed
from scandock.services.xnat.waiting import Address, find_waiting
from scandock.web.pages.previewing import path_of
from scandock.web.pages.rendering import root_of
from scandock.web.pages.routing import Seen
from scandock.web.pages.routing import router as pages
from scandock.web.pages.words import segment

router = pages()
_SENT: str = "/app/action/LoadImageData/project/{project}/timestamp/{timestamp}/folder/{folder}"


@router.get(_SENT)
async def sent_session(request: Request, work: Seen, project: str, timestamp: str, folder: str) -> Response:
    """A session of the prearchive by where it stood when it was sent; if it is archived by now, there.

    The client takes the folder from the end of an answer, with the line's end where that has one.
    """
    where = Address(project, timestamp, folder.strip())
    if where.label != folder:
        kept = {"project": project, "timestamp": timestamp, "folder": where.label}
        clean = _SENT.format_map({name: segment(value) for name, value in kept.items()})
        return RedirectResponse(root_of(request) + clean, 303)
    path = await work.read(lambda c: _page_of(c, work.desk.principal, where))
    return RedirectResponse(root_of(request) + path, 303)


def _page_of(connection: Connection, me: Principal, where: Address) -> str:
    """The page of what stands there, or of the archived session of that label. Denied as the first of them is."""
    try:
        found = find_waiting(connection, me, where).standing
    except Denied as denied:
        archived = archived_uuid(connection, where.project, where.label) is not None
        if denied.answer is Answer.SIGN_IN or not (
            archived and allowed(connection, me, Action.SESSION_READ, where.project)
        ):
            raise
        return path_of({"place": "archive", "project": where.project, "label": where.label})
    return path_of({"place": "prearchive", "id": found.uuid})

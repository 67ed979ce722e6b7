"""Links of XNAT's Desktop Client to what it has sent ("View session"): each leads to the page that shows it here."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import AccessDenied, Principal
from scandock.catalog.sessions import archived_uuid
from scandock.model.uris import PrearchiveSessionUri
from scandock.rules.permissions import AccessDecision, Action
from scandock.services.rights import is_allowed
from scandock.services.xnat_lookup import find_prearchive_session
from scandock.web import urls
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages
from scandock.web.redirects import redirect_to

router = pages()


@router.get("/app/action/LoadImageData/project/{project}/timestamp/{timestamp}/folder/{folder}")
async def sent_session(request: Request, context: PageContext, project: str, timestamp: str, folder: str) -> Response:
    """A session of the prearchive by where it stood when it was sent; if it is archived by now, there.

    The client takes the folder from the end of an answer, with the line's end where that has one.
    """
    session_uri = PrearchiveSessionUri(project, timestamp, folder.strip())
    if session_uri.label != folder:
        return redirect_to(request, urls.sent_session(project, timestamp, session_uri.label))
    path = await context.read(lambda c: _page_of(c, context.service_context.principal, session_uri))
    return redirect_to(request, path)


def _page_of(connection: Connection, principal: Principal, session_uri: PrearchiveSessionUri) -> str:
    """The page of what stands there, or of the archived session of that label. AccessDenied as the first of them is."""
    try:
        session = find_prearchive_session(connection, principal, session_uri).record
    except AccessDenied as error:
        archived = archived_uuid(connection, session_uri.project, session_uri.label) is not None
        if error.answer is AccessDecision.SIGN_IN or not (
            archived and is_allowed(connection, principal, Action.SESSION_READ, session_uri.project)
        ):
            raise
        return urls.session_page(session_uri.project, session_uri.label)
    return urls.waiting_page(session.uuid)

"""`format=html` of one thing: to the page that shows it, as the Desktop Client's "View session" wants it.

Clients that read answers ask for another format; a browser that nobody is signed in by is led to the login, and back.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import AccessDenied
from scandock.rules.permissions import AccessDecision
from scandock.services.xnat_lookup import AnySession, SubjectRecord
from scandock.web import urls
from scandock.web.redirects import redirect_to, to_login
from scandock.web.request_context import RequestContext
from scandock.web.xnat.responses import read_format


def wants_page(request: Request) -> bool:
    """Whether the address asks for what a person looks at."""
    return read_format(request, "") == "html"


async def redirect_to_page(context: RequestContext, find: Callable[[Connection], str]) -> Response:
    """To the page whose path `find` gives. AccessDenied as that one is, but where nobody is signed in."""
    try:
        path = await context.read(find)
    except AccessDenied as denied:
        if denied.answer is AccessDecision.SIGN_IN:
            return to_login(context.request)
        raise
    return redirect_to(context.request, path)


def make_subject_path(subject_record: SubjectRecord) -> str:
    return urls.subject_page(subject_record.project, subject_record.label)


def make_session_path(session: AnySession) -> str:
    record = session.record
    return urls.page_of_session(record.place, record.uuid, record.project, record.label)

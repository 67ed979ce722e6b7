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
from scandock.web.xnat.answers import format_of


def is_for_a_page(request: Request) -> bool:
    """Whether the address asks for what a person looks at."""
    return format_of(request, "") == "html"


async def to_page(work: RequestContext, find: Callable[[Connection], str]) -> Response:
    """To the page whose path `find` gives. Denied as that one is, but where nobody is signed in."""
    try:
        path = await work.read(find)
    except AccessDenied as denied:
        if denied.answer is AccessDecision.SIGN_IN:
            return to_login(work.request)
        raise
    return redirect_to(work.request, path)


def page_of_subject(found: SubjectRecord) -> str:
    return urls.subject_page(found.project, found.label)


def page_of_session(found: AnySession) -> str:
    one = found.standing
    return urls.page_of_session(one.place, one.uuid, one.project, one.label)

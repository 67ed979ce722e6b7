"""The prearchive: what waits, with what each session is held for, and what stands in its way."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal, deny
from scandock.http.pages.browse import query_of
from scandock.http.pages.previewing import TITLES
from scandock.http.pages.rendering import page
from scandock.http.pages.routing import Seen
from scandock.http.pages.routing import router as pages
from scandock.rules.choices import CHOICES, MEANING
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Answer
from scandock.services.browsing import Wanted, list_projects, list_sessions
from scandock.services.comparing import Comparison, compare
from scandock.services.listing import MAX_LIMIT, Page, Sorting

router = pages()

SHOWN: Final = 25
REASONS: Final = {
    "sop_clash": "objects differ",
    "session_exists": "archived already",
    "study_elsewhere": "archived under another label",
    "label_many_studies": "one label, several studies",
    "subject_many_patients": "one subject, several patients",
    "subject_differs": "another subject",
    "patient_mismatch": "several patients in it",
    "identified": "not de-identified",
}
"""What sessions are held for, as a list is sought by it."""
assert set(REASONS) == set(CHOICES)
Text = Annotated[str, Query(max_length=200)]


@router.get("/prearchive")
async def prearchive(
    request: Request,
    work: Seen,
    project: Text = "",
    q: Text = "",
    state: Text = "",
    sort: Text = "-created",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """What one may see of it, the newest first unless asked otherwise."""
    me = work.desk.principal
    if not me.signed_in:
        deny(Answer.SIGN_IN)
    wanted = Wanted(project=project or None, search=q, equal=_equal(state))
    sorting = Sorting(sort=sort, limit=SHOWN, cursor=cursor)
    found, sides, projects = await work.read(lambda c: _ask(c, me, wanted, sorting))
    return page(
        request, "prearchive.html", me, here="Prearchive", page=found, sides=sides, projects=projects,
        asked={"project": project, "q": q, "state": state, "sort": sort}, first=cursor is None, reasons=REASONS,
        meaning=MEANING, titles=TITLES, unassigned=UNASSIGNED, query=query_of(request), script="prearchive",
        days=work.site.settings.trash_days,
    )  # fmt: skip


def _equal(state: str) -> dict[str, str]:
    """A state, or a code that sessions are held for: both are sought in one list."""
    if not state:
        return {}
    return {"code": state} if state in REASONS else {"state": state}


def _ask(
    connection: Connection, me: Principal, wanted: Wanted, sorting: Sorting
) -> tuple[Page, dict[str, Comparison], list[dict[str, Any]]]:
    found = list_sessions(connection, me, wanted, sorting, place="prearchive")
    sides = compare(connection, [one["id"] for one in found.items if one["code"]])
    projects = list_projects(connection, me, Wanted(), Sorting(sort="id", limit=MAX_LIMIT)).items
    return found, sides, [one for one in projects if one.get("waiting")]

"""One import: how far it is, what came of it, and its sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.model.dataclass import dataclass
from scandock.services.activity import read_activity
from scandock.services.import_outcomes import ChangeKind, ExceptionLine
from scandock.web.pages.activity import find_interrupted
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()

CHANGES: Final[dict[ChangeKind, str]] = {
    "archived": "Archived",
    "moved": "Moved to another project",
    "renamed": "Renamed",
    "joined": "Joined with another session",
    "decided": "Decided",
    "rebuilt": "Rebuilt",
    "deleted": "Deleted",
    "restored": "Restored",
    "purged": "Removed from the trash",
}
"""What was done to a session since its import; when and by whom follow."""


@dataclass(slots=True)
class AlikeExceptions:
    """Files of which the same is to be said: the first, and the others."""

    line: ExceptionLine
    others: list[ExceptionLine] = field(default_factory=list)


@router.get("/imports/{uuid}")
async def show_import(request: Request, context: PageContext, uuid: str) -> Response:
    """The import as it is now; the script of Activity keeps it up to date."""
    principal = context.service_context.principal
    one = await context.server.read(partial(read_activity, details=True), context.server.catalog, principal, uuid)
    return page(
        request, "import.html", principal, here="Activity", one=one, script="activity",
        interrupted=find_interrupted(context.server, [one]), exceptions=group_exceptions(one.exceptions),
        changes=CHANGES,
    )  # fmt: skip


def group_exceptions(lines: Iterable[ExceptionLine]) -> list[AlikeExceptions]:
    """Those of one code together, in the order of the first of each."""
    groups: dict[tuple[str, str], AlikeExceptions] = {}
    for line in lines:
        key = (line.verdict, line.code)
        if key in groups:
            groups[key].others.append(line)
        else:
            groups[key] = AlikeExceptions(line)
    return list(groups.values())

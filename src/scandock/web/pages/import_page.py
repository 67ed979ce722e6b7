"""One import: how far it is, what came of it, and its sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fastapi import Request
from starlette.responses import Response

from scandock.services.activity import read_activity
from scandock.services.import_outcomes import ExceptionLine
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()


@dataclass(slots=True)
class AlikeExceptions:
    """Files of which the same is to be said: the first, and the paths of the others."""

    line: ExceptionLine
    others: list[str] = field(default_factory=list)


@router.get("/imports/{uuid}")
async def show_import(request: Request, context: PageContext, uuid: str) -> Response:
    """The import as it is now; the script of Activity keeps it up to date."""
    principal = context.service_context.principal
    one = await context.server.read(read_activity, context.server.catalog, principal, uuid)
    interrupted = one.interrupted(bringing=context.server.locks.find_receiving(uuid) is not None)
    return page(
        request, "import.html", principal, here="Activity", one=one, interrupted=interrupted, script="activity",
        exceptions=group_exceptions(one.exceptions),
    )  # fmt: skip


def group_exceptions(lines: Iterable[ExceptionLine]) -> list[AlikeExceptions]:
    """Those alike together, in the order of the first of each."""
    groups: dict[tuple[str, str, str], AlikeExceptions] = {}
    for line in lines:
        key = (line.verdict, line.message, line.remedy)
        if key in groups:
            groups[key].others.append(line.path)
        else:
            groups[key] = AlikeExceptions(line)
    return list(groups.values())

"""Lists that the site's administrators see of all projects, and those who may of one: damage, trash, audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.pagination import Page, Sorting
from scandock.web.pages.rendering import page
from scandock.web.request_context import RequestContext


class Find(Protocol):
    """The service's own listing, of all projects or of one."""

    def __call__(
        self, connection: Connection, context: ServiceContext, sorting: Sorting, *, project_name: str | None = None
    ) -> Page[Any]: ...


def list_page(request: Request, context: RequestContext, template: str, project: str | None, **values: Any) -> Response:  # noqa: ANN401
    """The page of a list, whose address ends with the name of its template."""
    return page(
        request,
        template,
        context.service_context.principal,
        here="Projects" if project else "Administration",
        at=template.removesuffix(".html"),
        project=project,
        **values,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedList:
    """One such list, by pages."""

    template: str
    sort: str
    find: Find
    more: Callable[[RequestContext], Mapping[str, Any]]
    """What the template has besides the rows."""
    action: Action | None = None
    """What somebody needs a right to, in a project; None where the list asks that itself."""

    async def of_site(self, request: Request, context: RequestContext, cursor: str | None) -> Response:
        """Of all projects, for administrators."""
        await context.read(lambda c: rights.check(c, context.service_context.principal, Action.SITE_ADMIN, None))
        return await self.show(request, context, None, cursor=cursor)

    async def of_project(self, request: Request, context: RequestContext, project: str, cursor: str | None) -> Response:
        """Of one project."""
        if (action := self.action) is not None:
            await context.read(lambda c: rights.check(c, context.service_context.principal, action, project))
        return await self.show(request, context, project, cursor=cursor)

    async def show(
        self,
        request: Request,
        context: RequestContext,
        project: str | None,
        problem: ScandockError | None = None,
        cursor: str | None = None,
    ) -> Response:
        """What may be seen of it, with what was wrong with a change; the list asks for the rights itself."""
        sorting = Sorting(sort=self.sort, cursor=cursor)
        rows = await context.read(lambda c: self.find(c, context.service_context, sorting, project_name=project))
        return list_page(request, context, self.template, project, page=rows, problem=problem, **self.more(context))

"""The import filter of the site, for administrators, and of a project, for its owners; members of it read it."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.rules.permissions import Action
from scandock.rules.series_filters import BLACKLIST, MODALITY_MAP, WHITELIST, FilterText, read_typed
from scandock.services import rights
from scandock.services.filter_trial import FilterTest, try_filter
from scandock.services.import_filters import ImportFilter, enable_filter, find_filter, set_filter
from scandock.web import urls
from scandock.web.bodies import limit_body
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext, apply_change, read_tester_form
from scandock.web.pages.routing import router as pages
from scandock.web.receiving.sample_form import SAMPLE_BYTES, sample_too_large
from scandock.web.request_context import RequestContext

router = pages()

MODES: Final = {
    BLACKLIST: ("Leave out images that match a line", "and take everything else"),
    WHITELIST: ("Take only images that match a line", "and leave out everything else"),
    MODALITY_MAP: ("Conditions, as JSON", "XNAT's modalityMap: takes what a condition holds for, unless exclude does"),
}
"""What a mode does, in words, and what is said beside it."""
_SWITCHES: Final = {"on": True, "off": False}
_NAMES: Final = frozenset({"do", "mode", "text", "values"})


@router.get("/admin/filter")
async def site_filter(request: Request, context: PageContext) -> Response:
    """The site's."""
    return await _filter_page(request, context, None)


@router.get("/projects/{project}/filter")
async def project_filter(request: Request, context: PageContext, project: str) -> Response:
    """A project's."""
    return await _filter_page(request, context, project)


@router.post("/admin/filter")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def set_site_filter(request: Request, context: PageContext) -> Response:
    """Set the site's, switch it on or off, or try it."""
    return await _change(request, context, None)


@router.post("/projects/{project}/filter")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def set_project_filter(request: Request, context: PageContext, project: str) -> Response:
    """Set a project's, switch it on or off, or try it."""
    return await _change(request, context, project)


async def _filter_page(
    request: Request,
    context: RequestContext,
    project: str | None,
    problem: ScandockError | None = None,
    *,
    typed: tuple[str, str] | None = None,
    values: str = "",
    result: FilterTest | None = None,
) -> Response:
    """`typed`: mode and text that were sent and are not set; `values` those that they were tried on."""
    principal = context.service_context.principal

    def ask(connection: Connection) -> tuple[ImportFilter, bool]:
        action = _edit_action(project)
        if project is None:
            rights.check(connection, principal, action, None)
        return find_filter(connection, principal, project), rights.is_allowed(connection, principal, action, project)

    import_filter, may_edit = await context.read(ask)
    mode, text = typed or (import_filter.mode or BLACKLIST, _text_of(import_filter.text))
    return page(
        request,
        "import_filter.html",
        principal,
        here="Administration" if project is None else "Projects",
        project=import_filter.project,
        filter=import_filter,
        summary=_summarize(import_filter),
        may_edit=may_edit,
        modes=MODES,
        mode=mode,
        text=text,
        problem=problem,
        values=values,
        result=result,
    )


def _edit_action(project: str | None) -> Action:
    return Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT


def _text_of(text: FilterText) -> str:
    """What stands in the field: the lines, or the whole document of a modality map."""
    return text.to_document() if text.mode == MODALITY_MAP else text.lines


def _summarize(import_filter: ImportFilter) -> str:
    """What the filter does, in a sentence."""
    if not import_filter.version:
        return "No filter is set: imports take every series."
    if not import_filter.enabled:
        return "The filter is switched off: imports take every series."
    if import_filter.mode == MODALITY_MAP:
        return "Imports take the images for which a condition of the filter holds."
    if import_filter.mode == WHITELIST:
        return "Imports take only the images that match a line of the filter."
    return "Imports leave out the images that match a line of the filter."


async def _change(request: Request, context: RequestContext, project: str | None) -> Response:
    service = context.service_context
    await context.read(lambda c: rights.check(c, service.principal, _edit_action(project), project))
    form = await read_tester_form(context, _NAMES)
    verb, mode, text = form.text("do"), form.text("mode"), form.lines("text")
    typed = (mode, text) if verb in ("set", "test") else None
    values = form.lines("values")
    show = partial(_filter_page, request, form, project, typed=typed, values=values)

    if verb == "test":
        try:
            result = await form.read(
                lambda c: try_filter(
                    c, service.principal, project, read_typed(text, mode), file=form.file, values=values
                )
            )
        except ScandockError as error:
            answer = await show(error)
            answer.status_code = error.STATUS
            return answer
        return await show(result=result)

    def change() -> None:
        if verb in _SWITCHES:
            enable_filter(service.catalog, service.principal, project, enabled=_SWITCHES[verb], request=service.request)
        elif verb == "set":
            set_filter(service.catalog, service.principal, project, read_typed(text, mode), request=service.request)
        else:
            raise VerbUnknown

    return await apply_change(form, change, show, urls.of_project_or_site(project, "filter"), f"filter-{verb}")

"""The script and lookup table of the site, for administrators, and of a project, for its owners: edited and tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.privacy_scripts import (
    EXAMPLE_SCRIPT,
    LookupTableRecord,
    check_may_edit,
    enable_script,
    find_lookup,
    find_script,
    set_lookup,
    set_script,
)
from scandock.services.privacy_trial import ScriptCheck, ScriptTest, TriedRow, check_script, find_rules_to_try
from scandock.services.sample_headers import SampleUnreadable
from scandock.web import urls
from scandock.web.bodies import limit_body
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext, TesterForm, apply_change, read_tester_form
from scandock.web.pages.routing import router as pages
from scandock.web.problems import retry_after
from scandock.web.receiving.sample_form import SAMPLE_BYTES, sample_too_large
from scandock.web.request_context import RequestContext

router = pages()

_VARIABLES: Final = {"project": "PROJECT", "subject": "SUBJECT", "session": "SESSION"}
_NAMES: Final = frozenset({"do", "text", *_VARIABLES})
_SWITCHES: Final = {"on": True, "off": False}
_OUTCOMES: Final = {
    "scrubbed": "An import stores this image as shown below",
    "rejected": "An import leaves this image out",
    "failed": "An import refuses the session of this image",
}


@dataclass(frozen=True, slots=True)
class ErrorPlace:
    """Where a script can't be read: the line, and a mark under what is off."""

    line: int
    column: int
    text: str
    mark: str
    message: str


@router.get("/admin/privacy/script")
async def site_script(request: Request, context: PageContext) -> Response:
    """The site's."""
    return await _script_page(request, context, None)


@router.get("/projects/{project}/privacy/script")
async def project_script(request: Request, context: PageContext, project: str) -> Response:
    """A project's."""
    return await _script_page(request, context, project)


@router.post("/admin/privacy/script")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def change_site_script(request: Request, context: PageContext) -> Response:
    """Set, switch, or try the site's."""
    return await _change(request, context, None)


@router.post("/projects/{project}/privacy/script")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def change_project_script(request: Request, context: PageContext, project: str) -> Response:
    """Set, switch, or try a project's."""
    return await _change(request, context, project)


async def _script_page(
    request: Request,
    context: RequestContext,
    project: str | None,
    problem: ScandockError | None = None,
    *,
    typed: TesterForm | None = None,
    place: ErrorPlace | None = None,
    result: ScriptTest | None = None,
) -> Response:
    service = context.service_context
    script = await context.read(lambda c: find_script(c, service.principal, project))
    lookup: LookupTableRecord | None = None
    try:
        lookup = await context.run_read(lambda: find_lookup(service, project))
    except ScandockError as error:  # the site's key is away: the rest of the page is of use all the same
        problem = problem or error
    variables = {**_VARIABLES, **({} if project is None else {"project": script.project or project})}
    if typed is not None:
        variables = {name: typed.text(name) or value for name, value in variables.items()}
    return page(
        request,
        "privacy_script.html",
        service.principal,
        here="Administration" if project is None else "Projects",
        project=script.project,
        saved=script,
        script="script_editor",
        lookup=lookup,
        text=script.text if typed is None else typed.lines("text"),
        variables=variables,
        problem=problem,
        place=place,
        result=result,
        heading="" if result is None else _OUTCOMES[result.outcome],
        changed=[] if result is None else [row for row in result.rows if row.change != "same"],
        same=[] if result is None else [row for row in result.rows if row.change == "same"],
        describe=describe_row,
        example=EXAMPLE_SCRIPT,
    )


def describe_row(row: TriedRow) -> str:
    """What became of an element, in words."""
    words = {"removed": "removed", "added": "added", "same": "as it was", "changed": "changed"}
    return "emptied" if row.change == "changed" and not row.after else words[row.change]


async def _change(request: Request, context: RequestContext, project: str | None) -> Response:
    service = context.service_context
    await context.read(lambda c: check_may_edit(c, service.principal, project))
    form = await read_tester_form(context, _NAMES)
    verb, text = form.text("do"), form.lines("text")
    show = partial(_script_page, request, form, project, typed=form)
    path = urls.script_page(project)
    if verb in ("set", "test"):
        check = await form.run_read(lambda: check_script(text))
        if not check.ok:
            answer = await show(place=_find_place(text, check))
            answer.status_code = 400
            return answer
    if verb == "test":
        return await _try(form, project, text, show)

    def change() -> None:
        if verb in _SWITCHES:
            enable_script(service, project, enabled=_SWITCHES[verb])
        elif verb == "set":
            set_script(service, project, text, enabled=True)
        else:
            _set_lookup(form, project, verb)

    notice = verb if verb.startswith("lookup") else f"script-{verb if verb != 'set' or text.strip() else 'removed'}"
    return await apply_change(form, change, show, path, notice)


def _set_lookup(form: TesterForm, project: str | None, verb: str) -> None:
    if verb == "lookup-removed":
        set_lookup(form.service_context, project, "")
    elif verb != "lookup-set":
        raise VerbUnknown
    elif not form.file:
        raise SampleUnreadable("No file of a lookup table was chosen.", "Choose one.")
    else:
        try:
            table = form.file.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SampleUnreadable("The lookup table is no text in UTF-8.", "Save it as UTF-8.") from None
        set_lookup(form.service_context, project, table)


async def _try(form: TesterForm, project: str | None, text: str, show: Callable[..., Awaitable[Response]]) -> Response:
    service = form.service_context
    variables = {name: form.text(name) or value for name, value in _VARIABLES.items()}
    try:
        if not form.file:
            raise SampleUnreadable("There is no file to try the script on.", "Choose a DICOM file.")
        tried = await form.run_read(lambda: find_rules_to_try(service, project, text))
        answer = await form.run(lambda: form.server.scrub_trials.try_rules(tried.rules, variables, form.file))
    except ScandockError as error:
        shown = await show(error)
        shown.status_code = error.STATUS
        shown.headers.update(retry_after(error))
        return shown
    return await show(result=tried.read_result(answer))


def _find_place(text: str, check: ScriptCheck) -> ErrorPlace:
    """The line that can't be read, cut so that the mark under it is seen."""
    lines = text.split("\n")
    line = lines[check.line - 1] if check.line <= len(lines) else ""
    start = max(0, check.column - 60)
    mark = "".join("\t" if char == "\t" else " " for char in line[start : check.column - 1]) + "^"
    return ErrorPlace(
        check.line, check.column, line[start : start + 120], mark, f"{check.message} {check.remedy}".strip()
    )

"""Routing rules of the site, for administrators, and of a project, for its owners: edited, and tried on a header."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.rules.permissions import Action
from scandock.rules.routing_rules import parse_rules
from scandock.rules.routing_trial import KINDS
from scandock.services import rights
from scandock.services.project_routing import (
    PROJECT_KINDS,
    ProjectRouting,
    find_routing,
    parse_bounded_rules,
    set_routing,
    try_routing,
)
from scandock.services.rules import list_rules, replace_rules
from scandock.services.rules_trial import RulesTest, try_rules
from scandock.web import urls
from scandock.web.bodies import limit_body
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext, TesterForm, read_tester_form, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.problems import retry_after
from scandock.web.receiving.sample_form import SAMPLE_BYTES, sample_too_large
from scandock.web.request_context import RequestContext

router = pages()

EXAMPLES: Final = {
    "project": (r"(0008,1030):([A-Za-z0-9]+)_.*:1", "takes what is before the first _ of the study's description."),
    "subject": (r"(0010,0010):(\w+)\^.*:1 t:.*foo.* r:bar", "takes the family name, and bar where it has foo in it."),
    "session": (r"(0020,0010):(.+):1 t:\s+ r:_", "takes the study's id, with _ in the place of blanks."),
}
"""A rule of each kind, and what it does."""
_NAMES: Final = frozenset({*KINDS, "values", "do"})
_RULE: Final = re.compile(r"(site|project) rule (\d+)")
_SOURCES: Final = {
    "hash": "a hash of the study's UID",
    "session": "the session's label",
    "none found": "nothing that names a project",
}


@router.get("/admin/rules")
async def site_rules(request: Request, context: PageContext) -> Response:
    """The site's."""
    return await _rules_page(request, context, None)


@router.get("/projects/{project}/rules")
async def project_rules(request: Request, context: PageContext, project: str) -> Response:
    """A project's."""
    return await _rules_page(request, context, project)


@router.post("/admin/rules")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def change_site_rules(request: Request, context: PageContext) -> Response:
    """Set the site's, or try them."""
    return await _change(request, context, None)


@router.post("/projects/{project}/rules")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def change_project_rules(request: Request, context: PageContext, project: str) -> Response:
    """Set a project's, or try them."""
    return await _change(request, context, project)


def _kinds_of(project: str | None) -> tuple[str, ...]:
    return KINDS if project is None else PROJECT_KINDS


async def _change(request: Request, context: RequestContext, project: str | None) -> Response:
    service = context.service_context
    action = Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT
    await context.read(lambda c: rights.check(c, service.principal, action, project))
    form = await read_tester_form(context, _NAMES)
    texts = {kind: form.lines(kind) for kind in _kinds_of(project)}
    problems = _find_problems(texts, parse_rules if project is None else parse_bounded_rules)
    if problems:
        return await _rules_page(request, form, project, problems, typed=form)
    if form.text("do") == "test":
        return await _try(request, form, project, texts)
    if form.text("do") != "set":
        raise VerbUnknown
    await form.run(lambda: _set_site(form, texts) if project is None else set_routing(service, project, texts))
    return redirect_back(request, urls.rules_page(project), "rules-set")


def _set_site(form: TesterForm, texts: dict[str, str]) -> None:
    service = form.service_context
    with service.catalog.read() as connection:
        before = {one.kind: one.text for one in list_rules(connection, service.principal)}
    for kind, text in texts.items():
        if text != before[kind]:
            replace_rules(service.catalog, service.principal, kind, text, request=service.request)


def _find_problems(texts: dict[str, str], parse: Callable[[str], object]) -> dict[str, ScandockError]:
    """What is off with the rules, by kind."""
    problems: dict[str, ScandockError] = {}
    for kind, text in texts.items():
        try:
            parse(text)
        except ScandockError as error:
            problems[kind] = error
    return problems


async def _try(request: Request, form: TesterForm, project: str | None, texts: dict[str, str]) -> Response:
    principal, settings, values = form.service_context.principal, form.server.settings, form.lines("values")

    def ask(connection: Connection) -> RulesTest:
        if project is None:
            return try_rules(connection, principal, settings, texts, file=form.file, values=values)
        return try_routing(connection, principal, settings, project, texts, file=form.file, values=values)

    try:
        result = await form.read(ask)
    except ScandockError as error:
        return await _rules_page(request, form, project, {"test": error}, typed=form)
    return await _rules_page(request, form, project, typed=form, result=result)


async def _rules_page(
    request: Request,
    context: RequestContext,
    project: str | None,
    problems: dict[str, ScandockError] | None = None,
    *,
    typed: TesterForm | None = None,
    result: RulesTest | None = None,
) -> Response:
    principal = context.service_context.principal

    def ask(connection: Connection) -> tuple[dict[str, str], ProjectRouting | None]:
        if project is None:
            return {one.kind: one.text for one in list_rules(connection, principal)}, None
        routing = find_routing(connection, principal, project)
        return {"subject": routing.subject, "session": routing.session}, routing

    texts, routing = await context.read(ask)
    answer = page(
        request,
        "admin_rules.html",
        principal,
        here="Administration" if project is None else "Projects",
        project=None if routing is None else routing.project,
        routing=routing,
        texts=texts,
        typed={} if typed is None else {name: typed.lines(name) for name in (*KINDS, "values")},
        examples=EXAMPLES,
        problems=problems or {},
        result=result,
        describe_source=_describe_source,
    )
    for error in (problems or {}).values():
        answer.status_code = error.STATUS
        answer.headers.update(retry_after(error))
    return answer


def _describe_source(source: str) -> str:
    """Where a label comes from, in words."""
    match = _RULE.fullmatch(source)
    return f"line {match[2]} of the {match[1]}'s rules" if match else _SOURCES.get(source, source)

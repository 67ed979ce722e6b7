"""The site's routing rules, for its administrators: edited, and tried on a file's header or on pasted values."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.rules.permissions import Action
from scandock.rules.routing_rules import parse_rules
from scandock.rules.routing_trial import KINDS
from scandock.services import rights
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
_SITE_RULE: Final = re.compile(r"site rule (\d+)")
_SOURCES: Final = {
    "hash": "a hash of the study's UID",
    "session": "the session's label",
    "none found": "nothing that names a project",
}


@router.get("/admin/rules")
async def rules(request: Request, context: PageContext) -> Response:
    """What is set."""
    return await _rules_page(request, context)


@router.post("/admin/rules")
@limit_body(SAMPLE_BYTES, sample_too_large)
async def change_rules(request: Request, context: PageContext) -> Response:
    """Set the rules, or try them."""
    service = context.service_context
    await context.read(lambda c: rights.check(c, service.principal, Action.SITE_ADMIN, None))
    form = await read_tester_form(context, _NAMES)
    texts = {kind: form.lines(kind) for kind in KINDS}
    problems = _find_problems(texts)
    if problems:
        return await _rules_page(request, form, problems, typed=form)
    if form.text("do") == "test":
        return await _try(request, form, texts)
    if form.text("do") != "set":
        raise VerbUnknown

    def change() -> None:
        with service.catalog.read() as connection:
            set_rules = {one.kind: one.text for one in list_rules(connection, service.principal)}
        for kind, text in texts.items():
            if text != set_rules[kind]:
                replace_rules(service.catalog, service.principal, kind, text, request=service.request)

    await form.run(change)
    return redirect_back(request, urls.admin_page("rules"), "rules-set")


def _find_problems(texts: dict[str, str]) -> dict[str, ScandockError]:
    """What is off with the rules, by kind."""
    problems: dict[str, ScandockError] = {}
    for kind, text in texts.items():
        try:
            parse_rules(text)
        except ScandockError as error:
            problems[kind] = error
    return problems


async def _try(request: Request, form: TesterForm, texts: dict[str, str]) -> Response:
    principal = form.service_context.principal
    try:
        result = await form.read(
            lambda c: try_rules(c, principal, form.server.settings, texts, file=form.file, values=form.lines("values"))
        )
    except ScandockError as error:
        return await _rules_page(request, form, {"test": error}, typed=form)
    return await _rules_page(request, form, typed=form, result=result)


async def _rules_page(
    request: Request,
    context: RequestContext,
    problems: dict[str, ScandockError] | None = None,
    *,
    typed: TesterForm | None = None,
    result: RulesTest | None = None,
) -> Response:
    principal = context.service_context.principal
    rules_list = await context.read(lambda c: list_rules(c, principal))
    answer = page(
        request,
        "admin_rules.html",
        principal,
        here="Administration",
        at="rules",
        rules=rules_list,
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
    match = _SITE_RULE.fullmatch(source)
    return f"line {match[1]} of the rules" if match else _SOURCES.get(source, source)

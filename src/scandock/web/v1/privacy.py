"""/api/v1/privacy and /api/v1/projects/{project}/privacy, scripts, lookups: what imports keep and change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.model import request_limits
from scandock.model.json_records import JsonRecord
from scandock.rules.privacy_policy import PrivacySettings, Residue, Resources
from scandock.services.privacy_scripts import (
    LookupTableRecord,
    PrivacyScript,
    check_may_edit,
    find_lookup,
    find_script,
    set_lookup,
    set_script,
)
from scandock.services.privacy_settings import MaybeLevel, Privacy, find_privacy, set_privacy
from scandock.services.privacy_trial import ScriptCheck, ScriptTest, check_script, find_rules_to_try
from scandock.services.sample_headers import SampleUnreadable
from scandock.web.bodies import limit_body
from scandock.web.receiving.sample_form import SAMPLE_BYTES, describe_form, read_sample_form, sample_too_large
from scandock.web.request_context import RequestContext, SignedContext, record_response
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(tags=["privacy"])

_MOST_SCRIPT: Final = 64 * request_limits.KIB
_MOST_TABLE: Final = request_limits.MAPPING_BYTES
_FIELDS: Final = {
    "text": "A script in the place of the one that is set",
    "project": "Variable of scripts; by default the project's id",
    "subject": "Variable of scripts",
    "session": "Variable of scripts",
}
_FORM: Final = describe_form(_FIELDS, "A DICOM file, or an ECAT 7 file")
VARIABLES: Final = {"project": "PROJECT", "subject": "SUBJECT", "session": "SESSION"}
"""What scripts are given where nothing else is said."""


class PrivacyBody(BaseModel):
    """What a site or a project says; empty for what it says nothing of."""

    model_config = ConfigDict(extra="forbid")

    names: MaybeLevel = ""
    study_uid: MaybeLevel = ""
    patient: MaybeLevel = ""
    profile: Annotated[str, Field(max_length=500)] = ""
    residue: Residue | Annotated[str, Field(max_length=0)] = ""
    resources: Resources | Annotated[str, Field(max_length=0)] = ""


class ScriptBody(BaseModel):
    """A script; an empty text takes it away."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=_MOST_SCRIPT)]
    enabled: bool = True


class ScriptText(BaseModel):
    """A script to be read."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=_MOST_SCRIPT)]


class LookupBody(BaseModel):
    """A lookup table: lines `type/key = value`; an empty text takes it away."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=_MOST_TABLE)]


# -- what is kept, hashed, dropped -------------------------------------------------------------------------------------


@router.get("/api/v1/privacy", summary="The site's privacy settings", response_model=Privacy, **etag_keywords())
async def read_site(context: SignedContext) -> Response:
    """For every account, as they decide what is known of each import. `version` is 0 where none were set."""
    return await _read(context, None)


@router.put(
    "/api/v1/privacy",
    summary="Set the site's privacy settings",
    response_model=Privacy,
    **etag_keywords(reads=False, matches=True),
)
async def put_site(context: SignedContext, body: PrivacyBody) -> Response:
    """They replace those that were, for imports that begin from now on; what is stored stays as it is.

    With a profile and no levels: names and patient are dropped, UIDs hashed.
    """
    return await _put(context, None, body)


@router.get(
    "/api/v1/projects/{project}/privacy",
    summary="A project's privacy settings",
    response_model=Privacy,
    **etag_keywords(),
)
async def read_project(context: SignedContext, project: str) -> Response:
    """For those who have a role in the project: what it says itself, and what is in force with what the site says."""
    return await _read(context, project)


@router.put(
    "/api/v1/projects/{project}/privacy",
    summary="Set a project's privacy settings",
    response_model=Privacy,
    **etag_keywords(reads=False, matches=True),
)
async def put_project(context: SignedContext, project: str, body: PrivacyBody) -> Response:
    """As the site's, by owners; 409 `privacy_laxer` where the site is stricter."""
    return await _put(context, project, body)


async def _read(context: RequestContext, project: str | None) -> Response:
    service = context.service_context
    return await context.item_response(lambda c: find_privacy(c, service.principal, project, service.settings))


async def _put(context: RequestContext, project: str | None, body: PrivacyBody) -> Response:
    settings = PrivacySettings(**body.model_dump())
    return await _changed(
        context, lambda: set_privacy(context.service_context, project, settings, if_match=context.if_match)
    )


async def _changed(context: RequestContext, change: Callable[[], JsonRecord]) -> Response:
    return context.tagged_response(await context.run(change))


# -- scripts -----------------------------------------------------------------------------------------------------------


@router.get("/api/v1/privacy/scripts", summary="The site's script", response_model=PrivacyScript, **etag_keywords())
async def read_site_script(context: SignedContext) -> Response:
    """For administrators. `version` is 0 where none was set."""
    return await _read_script(context, None)


@router.put(
    "/api/v1/privacy/scripts",
    summary="Set the site's script",
    response_model=PrivacyScript,
    **etag_keywords(reads=False, matches=True),
)
async def put_site_script(context: SignedContext, body: ScriptBody) -> Response:
    """It is run on every object of imports that begin from now on, before the project's.

    400 `script_refused` names line and column, and nothing is changed.
    """
    return await _put_script(context, None, body)


@router.get(
    "/api/v1/projects/{project}/scripts", summary="A project's script", response_model=PrivacyScript, **etag_keywords()
)
async def read_project_script(context: SignedContext, project: str) -> Response:
    """For owners."""
    return await _read_script(context, project)


@router.put(
    "/api/v1/projects/{project}/scripts",
    summary="Set a project's script",
    response_model=PrivacyScript,
    **etag_keywords(reads=False, matches=True),
)
async def put_project_script(context: SignedContext, project: str, body: ScriptBody) -> Response:
    """As the site's, by owners."""
    return await _put_script(context, project, body)


async def _read_script(context: RequestContext, project: str | None) -> Response:
    return await context.item_response(lambda c: find_script(c, context.service_context.principal, project))


async def _put_script(context: RequestContext, project: str | None, body: ScriptBody) -> Response:
    return await _changed(
        context,
        lambda: set_script(
            context.service_context, project, body.text, enabled=body.enabled, if_match=context.if_match
        ),
    )


@router.post("/api/v1/privacy/scripts/check", summary="Read a script", response_model=ScriptCheck)
async def check_site_script(context: SignedContext, body: ScriptText) -> Response:
    """Whether it can be read, else line, column and what may stand there. For administrators; nothing is kept."""
    return await _check(context, None, body)


@router.post("/api/v1/projects/{project}/scripts/check", summary="Read a script", response_model=ScriptCheck)
async def check_project_script(context: SignedContext, project: str, body: ScriptText) -> Response:
    """As the site's, by owners."""
    return await _check(context, project, body)


async def _check(context: RequestContext, project: str | None, body: ScriptText) -> Response:
    await context.read(lambda c: check_may_edit(c, context.service_context.principal, project))
    return record_response(await context.run_read(lambda: check_script(body.text)))


@router.post(
    "/api/v1/privacy/scripts/test",
    summary="Try the site's script and profile on a file",
    response_model=ScriptTest,
    openapi_extra=_FORM,
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test_site_script(context: SignedContext, request: Request) -> Response:
    """What an import would make of the file: every element before and after, and what each statement does.

    It is held in memory, and nothing of it is kept. 400 `script_refused` names line and column, `sample_unreadable`
    says that there is no file; 503 `trials_busy` where others try scripts just now.
    """
    return await _test(context, request, None)


@router.post(
    "/api/v1/projects/{project}/scripts/test",
    summary="Try a project's script and profile on a file",
    response_model=ScriptTest,
    openapi_extra=_FORM,
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test_project_script(context: SignedContext, request: Request, project: str) -> Response:
    """As the site's, by owners; the site's script runs first."""
    return await _test(context, request, project)


async def _test(context: RequestContext, request: Request, project: str | None) -> Response:
    service = context.service_context
    await context.read(lambda c: check_may_edit(c, service.principal, project))
    form = await read_sample_form(request, _FIELDS)
    script = form.text("text") if "text" in form.fields else None
    named = {name: form.text(name) for name in VARIABLES if form.text(name)}
    variables = {**VARIABLES, **({} if project is None else {"project": project}), **named}
    tried = await context.run_read(lambda: find_rules_to_try(service, project, script))
    if not form.file:
        raise SampleUnreadable("There is no file to try the script on.", "Choose a DICOM file.")
    answer = await context.run(lambda: context.server.scrub_trials.try_rules(tried.rules, variables, bytes(form.file)))
    return record_response(tried.read_result(answer))


# -- lookup tables -----------------------------------------------------------------------------------------------------


@router.get(
    "/api/v1/privacy/lookups", summary="The site's lookup table", response_model=LookupTableRecord, **etag_keywords()
)
async def read_site_lookup(context: SignedContext) -> Response:
    """How many keys it has, and of which types; never a line of it. For administrators."""
    return await _read_lookup(context, None)


@router.put(
    "/api/v1/privacy/lookups",
    summary="Set the site's lookup table",
    response_model=LookupTableRecord,
    **etag_keywords(reads=False, matches=True),
)
@limit_body(_MOST_TABLE)
async def put_site_lookup(context: SignedContext, body: LookupBody) -> Response:
    """Lines `type/key = value`, kept sealed by the site's key. 400 `lookup_refused` names the line."""
    return await _put_lookup(context, None, body)


@router.get(
    "/api/v1/projects/{project}/lookups",
    summary="A project's lookup table",
    response_model=LookupTableRecord,
    **etag_keywords(),
)
async def read_project_lookup(context: SignedContext, project: str) -> Response:
    """As the site's, by owners."""
    return await _read_lookup(context, project)


@router.put(
    "/api/v1/projects/{project}/lookups",
    summary="Set a project's lookup table",
    response_model=LookupTableRecord,
    **etag_keywords(reads=False, matches=True),
)
@limit_body(_MOST_TABLE)
async def put_project_lookup(context: SignedContext, project: str, body: LookupBody) -> Response:
    """As the site's, by owners; its values go before those of the site."""
    return await _put_lookup(context, project, body)


async def _read_lookup(context: RequestContext, project: str | None) -> Response:
    return context.tagged_response(await context.run_read(lambda: find_lookup(context.service_context, project)))


async def _put_lookup(context: RequestContext, project: str | None, body: LookupBody) -> Response:
    return await _changed(
        context, lambda: set_lookup(context.service_context, project, body.text, if_match=context.if_match)
    )

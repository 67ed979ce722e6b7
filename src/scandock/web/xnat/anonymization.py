"""De-identification scripts as XNAT's clients read and set them (xnat-behaviour.md 11.2).

By `/xapi/anonymize`, by the configuration service (tool `anon`), and by the addresses of older clients.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.access.principal import AccessDenied
from scandock.model import request_limits
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.privacy_scripts import (
    EXAMPLE_SCRIPT,
    PrivacyScript,
    check_may_edit,
    enable_script,
    find_script,
    set_script,
)
from scandock.web.request_context import RequestContext
from scandock.web.xnat.configuration import contents_of, parse_state, parse_truth, read_text_body, row_response
from scandock.web.xnat.desktop import unset_response
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router

routes = make_router()

_MOST_BODY: Final = 2 * 64 * request_limits.KIB


@routes.get("/xapi/anonymize/default")
async def default_script(context: SignedInContext) -> Response:
    """What XNAT runs where nobody sets a script; here an example, which is off."""
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.ACCOUNT_READ, None))
    return PlainTextResponse(EXAMPLE_SCRIPT)


@routes.get("/xapi/anonymize/site")
async def site_script(context: SignedInContext) -> Response:
    return _text_response(await _find(context, None))


@routes.put("/xapi/anonymize/site")
async def set_site_script(context: SignedInContext) -> Response:
    return await _set(context, None)


@routes.get("/xapi/anonymize/site/enabled")
async def site_script_enabled(context: SignedInContext) -> Response:
    return JSONResponse((await _find(context, None)).enabled)


@routes.put("/xapi/anonymize/site/enabled")
async def enable_site_script(context: SignedInContext) -> Response:
    return await _enable(context, None)


@routes.get("/xapi/anonymize/projects/{project}")
async def project_script(context: PublicContext, project: str) -> Response:
    return _text_response(await _find(context, project))


@routes.put("/xapi/anonymize/projects/{project}")
async def set_project_script(context: SignedInContext, project: str) -> Response:
    return await _set(context, project)


@routes.get("/xapi/anonymize/projects/{project}/enabled")
async def project_script_enabled(context: PublicContext, project: str) -> Response:
    return JSONResponse((await _find(context, project)).enabled)


@routes.put("/xapi/anonymize/projects/{project}/enabled")
async def enable_project_script(context: SignedInContext, project: str) -> Response:
    return await _enable(context, project)


@routes.get("/data/config/edit/image/dicom/script")
async def old_site_script(context: SignedInContext) -> Response:
    return _text_response(await _find(context, None))


@routes.put("/data/config/edit/image/dicom/script")
async def set_old_site_script(context: SignedInContext) -> Response:
    return await _set(context, None)


@routes.get("/data/config/edit/image/dicom/status")
async def old_site_status(context: SignedInContext) -> Response:
    return PlainTextResponse(str((await _find(context, None)).enabled).lower())


@routes.put("/data/config/edit/image/dicom/status")
async def set_old_site_status(context: SignedInContext) -> Response:
    return await _enable(context, None)


@routes.get("/data/config/edit/projects/{project}/image/dicom/script")
async def old_project_script(context: PublicContext, project: str) -> Response:
    return _text_response(await _find(context, project))


@routes.put("/data/config/edit/projects/{project}/image/dicom/script")
async def set_old_project_script(context: SignedInContext, project: str) -> Response:
    return await _set(context, project)


@routes.get("/data/config/edit/projects/{project}/image/dicom/status")
async def old_project_status(context: PublicContext, project: str) -> Response:
    return PlainTextResponse(str((await _find(context, project)).enabled).lower())


@routes.put("/data/config/edit/projects/{project}/image/dicom/status")
async def set_old_project_status(context: SignedInContext, project: str) -> Response:
    return await _enable(context, project)


@routes.get("/data/config/anon/script")
async def site_configuration(context: SignedInContext) -> Response:
    return await _configuration(context, None)


@routes.put("/data/config/anon/script")
async def set_site_configuration(context: SignedInContext) -> Response:
    return await _set_configuration(context, None)


@routes.get("/data/projects/{project}/config/anon/projects/{_name}")
async def project_configuration(context: PublicContext, project: str) -> Response:
    return await _configuration(context, project)


@routes.put("/data/projects/{project}/config/anon/projects/{_name}")
async def set_project_configuration(context: SignedInContext, project: str) -> Response:
    return await _set_configuration(context, project)


async def _find(context: RequestContext, project: str | None) -> PrivacyScript:
    return await context.read(lambda c: find_script(c, context.service_context.principal, project))


def _text_response(script: PrivacyScript) -> Response:
    """The script; no content where none was set."""
    return PlainTextResponse(script.text) if script.text else Response(status_code=204)


async def _set(context: RequestContext, project: str | None) -> Response:
    """The body is the script, alone or as `contents` of JSON; whether it is on stays as it is."""
    service = context.service_context
    await context.read(lambda c: check_may_edit(c, service.principal, project))
    text = contents_of(await read_text_body(context.request, _MOST_BODY))
    await context.run(lambda: set_script(service, project, text))
    return PlainTextResponse("")


async def _enable(context: RequestContext, project: str | None) -> Response:
    """`enable` or `activate` of the query, or the body, say whether; nothing says yes."""
    service = context.service_context
    await context.read(lambda c: check_may_edit(c, service.principal, project))
    query = context.request.query_params
    text = query.get("enable") or query.get("activate") or await read_text_body(context.request, 100)
    enabled = parse_truth(text or "true", "enable")
    await context.run(lambda: enable_script(service, project, enabled=enabled))
    return PlainTextResponse("")


async def _configuration(context: RequestContext, project: str | None) -> Response:
    """The contents, or with `format=json` the row.

    The Desktop Client of who may not read scripts hears that there is none: it runs none then, and the server does.
    """
    principal = context.service_context.principal
    try:
        script = await _find(context, project)
    except AccessDenied:
        visible = Action.ACCOUNT_READ if project is None else Action.PROJECT_SEE
        await context.read(lambda c: rights.check(c, principal, visible, project))
        return unset_response(context.request)
    if not script.text:
        return unset_response(context.request)
    if context.request.query_params.get("format") != "json":
        return PlainTextResponse(script.text if script.enabled else "")
    path = "script" if project is None else f"projects/{script.project}"
    return row_response(
        "anon", path, script.project, script.text, script.version, script.modified, script.by, enabled=script.enabled
    )


async def _set_configuration(context: RequestContext, project: str | None) -> Response:
    """The body is the script; `status` switches it on or off, with no body too."""
    service = context.service_context
    await context.read(lambda c: check_may_edit(c, service.principal, project))
    text = contents_of(await read_text_body(context.request, _MOST_BODY))
    enabled = parse_state(context.request)
    if text.strip():
        await context.run(lambda: set_script(service, project, text, enabled=enabled))
    else:
        await context.run(lambda: enable_script(service, project, enabled=enabled is not False))
    return PlainTextResponse("")

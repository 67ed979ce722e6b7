"""The OHIF viewer, where it is installed: its page and its configuration.

Page and configuration are ours. The viewer asks DICOMweb at the base of the project that its address names, or at that
of all that somebody may read. Whatever is below such an address is the viewer's own business: it gets the same page.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights
from scandock.services.ohif import InstalledOhif
from scandock.web import urls
from scandock.web.pages.errors import OhifMissing
from scandock.web.pages.ohif_files import POLICY
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()

_PAGE_HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "private, no-store"}
_SOURCE: Final = "scandock"
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="UTF-8">
<meta name="viewport" content="width=device-width,initial-scale=1,maximum-scale=1,user-scalable=no">
<title>OHIF Viewer</title><link rel="icon" type="image/png" href="{static}/assets/favicon-32x32.png">
<script src="{config}"></script>
{scripts}
{styles}
</head><body><noscript>The viewer needs JavaScript.</noscript>
<div id="react-portal"></div><div id="root"></div></body></html>
"""
_CONFIG: Final = """window.PUBLIC_URL = {static};
window.PUBLIC_LIB_URL = {static} + "${{component}}/";
window.browserImportFunction = (module) => import(module.startsWith("/") ? {static} + module.slice(1) : module);
window.config = {config};
for (const source of window.config.dataSources) {{
  for (const root of ["qidoRoot", "wadoRoot", "wadoUriRoot"]) {{
    source.configuration[root] = location.origin + {dicomweb};
  }}
}}
"""


@router.get("/ohif/projects/{project}/app-config.js")
async def project_config(request: Request, context: PageContext, project: str) -> Response:
    """The viewer's configuration for the sessions of a project."""
    await _check_project(context, project)
    return _config(request, _find(context), project)


@router.get("/ohif/all/app-config.js")
async def config(request: Request, context: PageContext) -> Response:
    """The same for all that somebody may read."""
    _check_all(context)
    return _config(request, _find(context), None)


@router.get("/ohif/projects/{project}")
@router.get("/ohif/projects/{project}/{path:path}")
async def project_viewer(request: Request, context: PageContext, project: str, path: str = "") -> Response:  # noqa: ARG001
    """The viewer, on the archived sessions of a project."""
    await _check_project(context, project)
    return _page(request, _find(context), project)


@router.get("/ohif/all")
@router.get("/ohif/all/{path:path}")
async def viewer(request: Request, context: PageContext, path: str = "") -> Response:  # noqa: ARG001
    """The viewer, on all that somebody may read: what waits in the prearchive, too."""
    _check_all(context)
    return _page(request, _find(context), None)


async def _check_project(context: RequestContext, project: str) -> None:
    principal = context.service_context.principal
    await context.read(lambda connection: rights.check(connection, principal, Action.SESSION_READ, project))


def _check_all(context: RequestContext) -> None:
    principal = context.service_context.principal
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    rights.check_scope(principal, Action.SESSION_READ)


def _find(context: RequestContext) -> InstalledOhif:
    installed = context.server.ohif.find()
    if installed is None:
        raise OhifMissing
    return installed


def _page(request: Request, installed: InstalledOhif, project: str | None) -> Response:
    root = urls.root_of(request.scope)
    static = escape(root + urls.ohif_static(installed.manifest.stamp))
    text = _PAGE.format(
        static=static,
        config=escape(root + urls.ohif_config(project)),
        scripts="\n".join(
            f'<script defer src="{static}/{escape(name)}"></script>' for name in installed.manifest.scripts
        ),
        styles="\n".join(
            f'<link rel="stylesheet" href="{static}/{escape(name)}">' for name in installed.manifest.styles
        ),
    )
    return Response(text, headers=_PAGE_HEADERS, media_type="text/html")


def _config(request: Request, installed: InstalledOhif, project: str | None) -> Response:
    root = urls.root_of(request.scope)
    text = _CONFIG.format(
        static=json.dumps(f"{root}{urls.ohif_static(installed.manifest.stamp)}/"),
        dicomweb=json.dumps(root + urls.dicomweb(project)),
        config=json.dumps(_values(root + urls.ohif(project), project), indent=1),
    )
    return Response(text, headers=_PAGE_HEADERS, media_type="text/javascript")


def _values(base: str, project: str | None) -> dict[str, Any]:
    """The viewer's settings, in its own words; the browser puts in the roots of DICOMweb, as it knows the host."""
    return {
        "name": "scandock",
        "routerBasename": base,
        "extensions": [],
        "modes": [],
        "customizationService": {"ohif.tours": {"$set": []}},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 3,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "maxNumRequests": {"interaction": 100, "thumbnail": 75, "prefetch": 25},
        "showErrorDetails": "production",
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": _SOURCE,
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": _SOURCE,
                "configuration": {
                    "friendlyName": project or "Scandock",
                    "name": _SOURCE,
                    "qidoSupportsIncludeField": True,
                    "supportsReject": False,
                    "supportsStow": True,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "wadors",
                    "enableStudyLazyLoad": True,
                    "supportsFuzzyMatching": False,
                    "supportsWildcard": True,
                    "dicomUploadEnabled": False,
                    "omitQuotationForMultipartRequest": True,
                    "singlepart": "bulkdata,video,pdf",
                    "bulkDataURI": {"enabled": True},
                },
            }
        ],
    }

"""STOW-RS: objects are received as an upload, imported as any other, and each is answered for by the import's receipt.

One object that goes to the prearchive as it is, is answered once it is on disk, and its session is built later.

The UIDs of an answer are those that were sent, its RetrieveURLs those under which the objects are stored: where the
site de-identifies, they differ, which the standard calls coercion (B000).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from scandock.access.logins import check_csrf
from scandock.access.principal import Door
from scandock.model import uris
from scandock.services.gradual_uploads import find_promised_studies
from scandock.services.sent_objects import FailureReason
from scandock.services.stored_objects import ObjectOutcome, StoredAddress, read_outcomes, unknown_outcomes
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.dicomweb.answers import json_response
from scandock.web.dicomweb.routing import Context, DicomwebContext, DicomwebRoutes, site_address
from scandock.web.import_waiting import wait_for_import
from scandock.web.receiving.gradual import KeptObject
from scandock.web.receiving.objects import ReceivedObjects, receive_objects
from scandock.web.security import CSRF_HEADER, require_login
from scandock.web.session_building import try_to_build

routes = DicomwebRoutes()

COERCED: Final = 0xB000
_NO_SEGMENTS: Final = ("", ".", "..")
_CLASS, _INSTANCE, _RETRIEVE_URL = "00081150", "00081155", "00081190"
_WARNING, _FAILURE = "00081196", "00081197"
_FAILED, _STORED = "00081198", "00081199"


@routes.post("/studies")
@receives_upload
async def store_objects(context: Context) -> Response:
    """Store objects of any studies."""
    return await _store(context, "")


@routes.post("/studies/{study}")
@receives_upload
async def store_study_objects(context: Context, study: str) -> Response:
    """Store objects of one study; those of another are refused."""
    return await _store(context, study)


async def _store(context: DicomwebContext, study: str) -> Response:
    principal = await require_login(context.service_context.principal)
    headers = context.request.headers
    if principal.door is Door.COOKIE and "origin" not in headers and "sec-fetch-site" not in headers:
        check_csrf(principal, headers.get(CSRF_HEADER))  # else the browser says that its page is of this site
    received = await receive_objects(
        context.server, context.request, principal, context.project, study, partial(_build_study, context)
    )
    if isinstance(received, KeptObject):
        return _answer(context, [_outcome_of_kept(received)])
    return _answer(context, await _find_outcomes(context, received), received.uuid)


def _outcome_of_kept(kept: KeptObject) -> ObjectOutcome:
    """What becomes of an object that stands in the prearchive as it is, once its session is built."""
    sent = kept.routed.sent
    session = uris.parse_session(kept.uri)
    address = StoredAddress(session.project, False, sent.study_uid, kept.routed.series_uid, sent.sop_uid)
    return ObjectOutcome(sent, address=address)


async def _build_study(context: DicomwebContext, study_uid: str) -> None:
    """Have what was kept of a study be imported, as far as who sends may look at it, before more of it is."""
    principal = context.service_context.principal
    upload_ids = await context.read(lambda c: find_promised_studies(c, principal, study_uid))
    await try_to_build(context, upload_ids, context.server.settings.stow_seconds)


async def _find_outcomes(context: DicomwebContext, received: ReceivedObjects) -> list[ObjectOutcome]:
    """What became of the objects, once their import has ended; what is known then where that takes too long."""
    if received.uuid is None:
        return unknown_outcomes(received.objects)
    try:
        async with asyncio.timeout(context.server.settings.stow_seconds):
            ended = await wait_for_import(context, received.uuid)
    except TimeoutError:
        return unknown_outcomes(received.objects)
    server = context.server
    return await context.run(lambda: read_outcomes(server.catalog, server.store, ended, received.objects))


def _answer(context: DicomwebContext, outcomes: Sequence[ObjectOutcome], uuid: str | None = None) -> Response:
    """`uuid`: the upload that the objects came as, where it may still be imported."""
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    kept = [outcome for outcome in outcomes if outcome.failure is None]
    items = [_stored_item(context, outcome) for outcome in kept]
    studies = {study for study, _ in items if study}
    body: dict[str, Any] = {}
    if len(studies) == 1 and all(study for study, _ in items):
        body[_RETRIEVE_URL] = _element("UR", urls.dicomweb_study(context.base, studies.pop()))
    if failed:
        body[_FAILED] = {"vr": "SQ", "Value": [_failed_item(outcome) for outcome in failed]}
    if items:
        body[_STORED] = {"vr": "SQ", "Value": [item for _, item in items]}
    unknown = any(not outcome.known for outcome in outcomes)
    headers = {}
    if unknown and uuid is not None:
        headers["Content-Location"] = site_address(context.request) + urls.api_import(uuid)
    if not kept:
        status = 409
    else:
        is_plain = not failed and not unknown and not any(_WARNING in item for _, item in items)
        status = 200 if is_plain and not any(outcome.held for outcome in kept) else 202
    return json_response(context.request, _encode(body), status=status, headers=headers)


def _stored_item(context: DicomwebContext, outcome: ObjectOutcome) -> tuple[str, dict[str, Any]]:
    """The UID of the study at whose address the base shows an object, empty where it does not; what is said of it."""
    sent, address = outcome.sent, outcome.address
    item: dict[str, Any] = {_CLASS: _element("UI", sent.sop_class), _INSTANCE: _element("UI", sent.sop_uid)}
    study = ""
    if address is not None and _is_shown(context, archived=address.archived, project=address.project):
        shown_study = address.study_uid or sent.study_uid
        uids = (shown_study, address.series_uid, address.sop_uid)
        if not any("/" in uid or uid in _NO_SEGMENTS for uid in uids):  # what is no UID may have no address
            study = shown_study
            item[_RETRIEVE_URL] = _element("UR", urls.dicomweb_instance(context.base, *uids))
    if outcome.held or (address is not None and address.sop_uid != sent.sop_uid):
        item[_WARNING] = _element("US", COERCED)
    return study, item


def _is_shown(context: DicomwebContext, *, archived: bool, project: str) -> bool:
    """Whether a session is below the base that was asked: that of a project shows its archive alone."""
    return context.project is None or (archived and project.casefold() == context.project.casefold())


def _failed_item(outcome: ObjectOutcome) -> dict[str, Any]:
    return {
        _CLASS: _element("UI", outcome.sent.sop_class),
        _INSTANCE: _element("UI", outcome.sent.sop_uid),
        _FAILURE: _element("US", int(outcome.failure or FailureReason.PROCESSING)),
    }


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}


def _encode(body: dict[str, Any]) -> Iterable[bytes]:
    yield json.dumps(body, separators=(",", ":")).encode()

"""DICOM receivers as XNAT's clients administer them: `/xapi/dicomscp` (xnat-behaviour.md 11.1).

What a receiver has here and XNAT has not gets its default, and survives XNAT's PUT.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.access.principal import Hidden, ObjectHidden
from scandock.model import request_limits
from scandock.model.receivers import Receiver
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.receiver_errors import ReceiverInvalid
from scandock.services.receiver_records import ReceiverChanges
from scandock.services.receivers import (
    add_receiver,
    find_receiver_number,
    find_receiver_title,
    list_receivers,
    remove_receiver,
    set_receiver,
    start_receivers,
    stop_receivers,
)
from scandock.web.request_context import RequestContext
from scandock.web.xnat.configuration import parse_truth, read_text_body
from scandock.web.xnat.routing import SignedInContext, make_router

routes = make_router()

IDENTIFIER: Final = "dicomObjectIdentifier"
_IDENTIFIER_CLASS: Final = "ClassicDicomObjectIdentifier"
_MOST_BODY: Final = 4 * 64 * request_limits.KIB
_TEXTS: Final = {
    "aeTitle": "ae_title",
    "label": "label",
    "projectRoutingExpression": "project_rules",
    "subjectRoutingExpression": "subject_rules",
    "sessionRoutingExpression": "session_rules",
}
_FLAGS: Final = {
    "enabled": "enabled",
    "anonymizationEnabled": "anonymize",
    "whitelistEnabled": "allow_list_enabled",
    "routingExpressionsEnabled": "rules_enabled",
}
_NONE_HERE: Final = {"customProcessing": "custom processing", "fileNamer": "file namers"}


@routes.get("/xapi/dicomscp")
async def receivers(context: SignedInContext) -> Response:
    """Those that somebody may read: all for administrators."""
    listed = await context.read(lambda c: list_receivers(c, context.service_context.principal))
    return JSONResponse([_to_json(one) for one in listed])


@routes.post("/xapi/dicomscp")
async def create(context: SignedInContext) -> Response:
    await _check(context)
    changes = _parse(await _read_values(context), None)
    return JSONResponse(_to_json(await context.run(lambda: add_receiver(context.service_context, changes))))


@routes.get("/xapi/dicomscp/identifiers")
async def identifiers(context: SignedInContext) -> Response:
    """How objects are told apart: there is one way, the routing of every import."""
    await _check(context, Action.ACCOUNT_READ)
    return JSONResponse({IDENTIFIER: f"Default DICOM object identifier ({_IDENTIFIER_CLASS})"})


@routes.get("/xapi/dicomscp/identifiers/{name}")
async def identifier(context: SignedInContext, name: str) -> Response:
    await _check(context, Action.ACCOUNT_READ)
    if name not in (IDENTIFIER, "default"):
        raise ObjectHidden(f"There is no identifier {name[:60]!r}.")
    return PlainTextResponse(f"org.nrg.dcm.id.{_IDENTIFIER_CLASS}")


@routes.put("/xapi/dicomscp/identifiers")
@routes.put("/xapi/dicomscp/identifiers/{name}")
async def refresh_identifiers(context: SignedInContext) -> Response:
    """XNAT reads its identifiers again; here is nothing to do."""
    await _check(context)
    return PlainTextResponse("")


@routes.put("/xapi/dicomscp/start")
async def start_all(context: SignedInContext) -> Response:
    """Those that were stopped, and whether each is enabled: XNAT's starts none that somebody has disabled, too."""
    started = await context.run(lambda: start_receivers(context.service_context))
    return JSONResponse([_switched(one, is_done=is_started) for one, is_started in started])


@routes.put("/xapi/dicomscp/stop")
async def stop_all(context: SignedInContext) -> Response:
    """Those that were enabled."""
    stopped = await context.run(lambda: stop_receivers(context.service_context))
    return JSONResponse([_switched(one, is_done=True) for one in stopped])


@routes.get("/xapi/dicomscp/title/{title}/{port}")
async def titled(context: SignedInContext, title: str, port: int) -> Response:
    await _check(context)
    return JSONResponse(
        _to_json(
            await _find(context, lambda c: find_receiver_title(c, context.service_context.principal, title, port),
                        f"{title}:{port}")
        )
    )  # fmt: skip


@routes.get("/xapi/dicomscp/{number}")
async def receiver(context: SignedInContext, number: int) -> Response:
    return JSONResponse(_to_json(await _find_number(context, number)))


@routes.put("/xapi/dicomscp/{number}")
async def change(context: SignedInContext, number: int) -> Response:
    """What is given is changed, the rest stays; an id in the body is passed over."""
    before = await _find_number(context, number)
    changes = _parse(await _read_values(context), before)
    changed = await context.run(lambda: set_receiver(context.service_context, before.uuid, changes))
    return JSONResponse(_to_json(changed))


@routes.delete("/xapi/dicomscp/{number}")
async def delete(context: SignedInContext, number: int) -> Response:
    before = await _find_number(context, number, f"Could not find DICOM SCP instance with ID {number}")
    await context.run(lambda: remove_receiver(context.service_context, before.uuid))
    return PlainTextResponse("")


@routes.get("/xapi/dicomscp/{number}/enabled")
async def enabled(context: SignedInContext, number: int) -> Response:
    return JSONResponse((await _find_number(context, number)).enabled)


@routes.put("/xapi/dicomscp/{number}/enabled/{flag}")
async def enable(context: SignedInContext, number: int, flag: str) -> Response:
    before = await _find_number(context, number)
    changes = ReceiverChanges(enabled=parse_truth(flag, "enabled"))
    return JSONResponse(
        _to_json(await context.run(lambda: set_receiver(context.service_context, before.uuid, changes)))
    )


async def _check(context: RequestContext, action: Action = Action.SITE_ADMIN) -> None:
    await context.read(lambda c: rights.check(c, context.service_context.principal, action, None))


async def _find_number(context: RequestContext, number: int, message: str = "") -> Receiver:
    """AccessDenied, for administrators in XNAT's words."""
    await _check(context)
    return await _find(
        context, lambda c: find_receiver_number(c, context.service_context.principal, number), f"id: {number}", message
    )


async def _find(
    context: RequestContext, find: Callable[[Connection], Receiver], name: str, message: str = ""
) -> Receiver:
    try:
        return await context.read(find)
    except Hidden:
        text = message or f"Unable to find requested file or resource: DicomSCPInstance({name})"
        raise ObjectHidden(text) from None


def _switched(one: Receiver, *, is_done: bool) -> dict[str, object]:
    return {"left": one.title, "middle": one.port, "right": is_done}


async def _read_values(context: RequestContext) -> Mapping[str, Any]:
    """The body's object. ReceiverInvalid."""
    try:
        values = json.loads(await read_text_body(context.request, _MOST_BODY))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ReceiverInvalid("The body is no JSON object of a receiver.", "Send its fields by their names.")
    return values


def _parse(values: Mapping[str, Any], before: Receiver | None) -> ReceiverChanges:
    """What XNAT's words set of a receiver. ReceiverInvalid."""
    changes: dict[str, Any] = {}
    for name, field in _TEXTS.items():
        if name in values:
            changes[field] = _text(name, values[name])
    for name, field in _FLAGS.items():
        if values.get(name) is not None:
            changes[field] = _flag(name, values[name])
    if "port" in values:
        changes["port"] = _port(values["port"])
    if values.get("whitelist") is not None:
        changes["allow_list"] = _entries(values["whitelist"])
    if values.get("directArchive") is not None:
        direct = _flag("directArchive", values["directArchive"])
        destination = None if before is None else before.destination
        changes["destination"] = "archive" if direct else (None if destination == "archive" else destination)
    given = values.get("identifier")
    if given not in (None, "", IDENTIFIER):
        raise ReceiverInvalid(f"There is no identifier {str(given)[:60]!r}.", f"Known is {IDENTIFIER}.")
    for name, words in _NONE_HERE.items():
        if values.get(name) not in (None, "", False):
            raise ReceiverInvalid(f"{name} is set, and Scandock has no {words}.", "Leave it out.")
    return cast("ReceiverChanges", changes)


def _text(name: str, value: object) -> str:
    """ReceiverInvalid."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ReceiverInvalid(f"{name} is no text.", "Send a text.")
    return value


def _flag(name: str, value: object) -> bool:
    """ReceiverInvalid."""
    if not isinstance(value, bool):
        raise ReceiverInvalid(f"{name} is neither true nor false.", "Send true or false.")
    return value


def _port(value: object) -> int:
    """ReceiverInvalid."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len("65535"):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ReceiverInvalid("The port is no number.", "Right is 1 to 65,535.")
    return value


def _entries(value: object) -> list[str]:
    """ReceiverInvalid."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ReceiverInvalid("The whitelist is no list of texts.", "Send a list.")
    return value


def _to_json(one: Receiver) -> dict[str, object]:
    return {
        "id": one.number,
        "aeTitle": one.title,
        "port": one.port,
        "identifier": IDENTIFIER,
        "fileNamer": None,
        "label": one.label or None,
        "enabled": one.enabled,
        "disabled": 0 if one.enabled else one.modified,
        "customProcessing": False,
        "directArchive": one.destination == "archive",
        "anonymizationEnabled": one.anonymize,
        "whitelistEnabled": one.allow_list_enabled,
        "whitelist": list(one.allow_list),
        "routingExpressionsEnabled": one.rules_enabled,
        "projectRoutingExpression": one.project_rules or None,
        "subjectRoutingExpression": one.subject_rules or None,
        "sessionRoutingExpression": one.session_rules or None,
        "created": one.created,
        "timestamp": one.modified,
    }

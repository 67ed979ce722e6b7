"""What is done to one session at its own address, in the prearchive or archived directly (xnat-behaviour.md 5.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.catalog.records import SessionRecord
from scandock.model.errors import ScandockError
from scandock.model.request_errors import RequestInvalid
from scandock.model.uris import without_data
from scandock.rules.permissions import Action
from scandock.services.committing import CommitResult, commit_session
from scandock.services.context import ServiceContext
from scandock.services.prearchive import rebuild_session
from scandock.services.session_errors import HeldUndecided
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import (
    EXPERIMENTS,
    PREARCHIVE_SESSION,
    lookup_experiment,
    lookup_prearchive_session,
)
from scandock.web.xnat.archive_errors import ARCHIVE_ERRORS, PREARCHIVE_ERRORS, refusal_response
from scandock.web.xnat.archive_parameters import read_archive_parameters, read_new_project
from scandock.web.xnat.import_waiting import complete_commit, complete_outcome
from scandock.web.xnat.listener_keys import read_listener_key, run_tracked
from scandock.web.xnat.parameters import Parameters, read_parameters
from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services.archive_tracking import ActionOutcome, make_archive_outcome

routes = make_router()
INITIATED: Final = "Archival initiated"


@routes.post(PREARCHIVE_SESSION)
async def run_action(request: Request, context: SignedInContext) -> Response:
    """`action`: build, commit, move, reset-status, set-status, delete."""
    params = await read_parameters(request)
    action = params.get("action", "").strip().lower()
    if not action:
        name = context.service_context.principal.name
        return text_response(400, f"No action parameter was specified for the request by user {name}")
    if action not in ("commit", "move") and action not in _ACTIONS:
        return text_response(400, f"unsupported action on prearchive session: {action[:64]}")
    needed = Action.PREARCHIVE_DELETE if action == "delete" else Action.PREARCHIVE_EDIT
    try:
        target = (await context.read(lambda c: lookup_prearchive_session(c, context, needed))).record
        if action == "commit":
            return await _commit(context, target, params)
        if action == "move":
            return await _move(context, target, params)
        return await context.run(lambda: _ACTIONS[action](context.service_context, target, params))
    except ScandockError as error:
        return refusal_response(error, ARCHIVE_ERRORS if action == "commit" else PREARCHIVE_ERRORS)


@routes.delete(PREARCHIVE_SESSION)
async def delete(context: SignedInContext) -> Response:
    """Into the trash."""
    try:
        target = (await context.read(lambda c: lookup_prearchive_session(c, context, Action.PREARCHIVE_DELETE))).record
        await context.run(lambda: delete_session(context.service_context, target.uuid, place="prearchive"))
    except ScandockError as error:
        return refusal_response(error)
    return text_response(200, "")


def _build(service_context: ServiceContext, target: SessionRecord, _: Parameters) -> Response:
    rebuild_session(service_context, target.uuid)
    return PlainTextResponse(target.uri)


async def _commit(context: RequestContext, target: SessionRecord, params: Parameters) -> Response:
    """200 and where it waits, or 301 without Location and where it is archived now: clients tell them apart by this.

    Who names a listener's key hears 200, as of what goes on beside, and the end from the key.
    """
    key, archive_parameters = read_listener_key(params), read_archive_parameters(params)
    committed = await run_tracked(
        context,
        key,
        [target.uri],
        lambda: commit_session(context.service_context, target, archive_parameters),
        lambda commit_result: _summarize_commit(target, commit_result),
        "Committing",
        finish=lambda commit_result: complete_commit(context, commit_result, is_followed=bool(key)),
    )
    if committed.archived is None:
        return PlainTextResponse(target.uri)
    return PlainTextResponse(INITIATED) if key else PlainTextResponse(str(committed.archived.after), 301)


def _summarize_commit(target: SessionRecord, committed: CommitResult) -> ActionOutcome:
    """What was to be archived and stays is a failure to who follows; what was bound to stay is none."""
    if committed.archived is not None:
        return make_archive_outcome(committed.archived)
    uri = without_data(target.uri)
    if committed.why:
        return ActionOutcome(succeeded=False, final=f"{committed.why} It stays at {uri}.")
    return ActionOutcome(succeeded=True, final=f"Prearchive:{uri}")


async def _move(context: RequestContext, target: SessionRecord, params: Parameters) -> Response:
    new_project = read_new_project(params)
    outcome = await context.run(lambda: move_session(context.service_context, target.uuid, project_name=new_project))
    outcome = await complete_outcome(context, outcome)
    return PlainTextResponse(str(outcome.after), 301)


def _reset(_context: ServiceContext, target: SessionRecord, _: Parameters) -> Response:
    """A session's status is what it is, and nothing is ever stuck; what waits for a decision is not decided by this."""
    if target.held[0]:
        raise HeldUndecided(*target.held[1:])
    return PlainTextResponse(target.uri)


def _set_status(service_context: ServiceContext, target: SessionRecord, params: Parameters) -> Response:
    status = params.get("status", "").strip().upper()
    if status != "READY":
        raise RequestInvalid(f"The status can't be set to {status[:40]!r}.", "READY can be asked for.")
    return _reset(service_context, target, params)


def _delete(service_context: ServiceContext, target: SessionRecord, _: Parameters) -> Response:
    delete_session(service_context, target.uuid, place="prearchive")
    return PlainTextResponse(target.uri)


_ACTIONS: Final[dict[str, Callable[[ServiceContext, SessionRecord, Parameters], Response]]] = {
    "build": _build,
    "reset-status": _reset,
    "set-status": _set_status,
    "delete": _delete,
}


async def commit_archived(request: Request, context: SignedInContext) -> Response:
    """Commit what was archived directly, at the address that the import answered: it is done already."""
    action = (await read_parameters(request)).get("action", "").strip().lower()
    target = await context.read(lambda c: lookup_experiment(c, context, Action.SESSION_EDIT))
    if action not in ("", "commit"):
        return text_response(400, f"unsupported action on archived session: {action[:64]}")
    return PlainTextResponse(target.record.uri)


for _where in EXPERIMENTS:
    routes.post(_where)(commit_archived)

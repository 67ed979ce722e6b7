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
from scandock.services.moving import move_session
from scandock.services.prearchive import rebuild_session
from scandock.services.session_errors import HeldUndecided
from scandock.services.trash import delete_session
from scandock.web.request_context import RequestContext
from scandock.web.xnat.archive_parameters import new_project, wishes_of
from scandock.web.xnat.codes import ARCHIVING, VERBS, refused
from scandock.web.xnat.following import followed, key_of
from scandock.web.xnat.parameters import Parameters, parameters
from scandock.web.xnat.places import EXPERIMENTS, PREARCHIVED, experiment_of, waiting_of
from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services.tracked_work import End, end_of_archiving

routes = router()
INITIATED: Final = "Archival initiated"


@routes.post(PREARCHIVED)
async def act(request: Request, work: Known) -> Response:
    """`action`: build, commit, move, reset-status, set-status, delete."""
    asked = await parameters(request)
    action = asked.get("action", "").strip().lower()
    if not action:
        name = work.context.principal.name
        return said(400, f"No action parameter was specified for the request by user {name}")
    if action != "commit" and action not in _ACTIONS:
        return said(400, f"unsupported action on prearchive session: {action[:64]}")
    needed = Action.PREARCHIVE_DELETE if action == "delete" else Action.PREARCHIVE_EDIT
    try:
        found = (await work.read(lambda c: waiting_of(c, work, needed))).standing
        if action == "commit":
            return await _commit(work, found, asked)
        return await work.do(lambda: _ACTIONS[action](work.context, found, asked))
    except ScandockError as error:
        return refused(error, ARCHIVING if action == "commit" else VERBS)


@routes.delete(PREARCHIVED)
async def delete(work: Known) -> Response:
    """Into the trash."""
    try:
        found = (await work.read(lambda c: waiting_of(c, work, Action.PREARCHIVE_DELETE))).standing
        await work.do(lambda: delete_session(work.context, found.uuid, place="prearchive"))
    except ScandockError as error:
        return refused(error)
    return said(200, "")


def _build(context: ServiceContext, found: SessionRecord, _: Parameters) -> Response:
    rebuild_session(context, found.uuid)
    return PlainTextResponse(found.uri)


async def _commit(work: RequestContext, found: SessionRecord, asked: Parameters) -> Response:
    """200 and where it waits, or 301 without Location and where it is archived now: clients tell them apart by this.

    Who names a listener's key hears 200, as of what goes on beside, and the end from the key.
    """
    key, wishes = key_of(asked), wishes_of(asked)
    committed = await followed(
        work,
        key,
        [found.uri],
        lambda: commit_session(work.context, found, wishes),
        lambda told: _end_of(found, told),
        "Committing",
    )
    if committed.archived is None:
        return PlainTextResponse(found.uri)
    return PlainTextResponse(INITIATED) if key else PlainTextResponse(str(committed.archived.after), 301)


def _end_of(found: SessionRecord, committed: CommitResult) -> End:
    """What was to be archived and stays is a failure to who follows; what was bound to stay is none."""
    if committed.archived is not None:
        return end_of_archiving(committed.archived)
    where = without_data(found.uri)
    if committed.why:
        return End(succeeded=False, final=f"{committed.why} It stays at {where}.")
    return End(succeeded=True, final=f"Prearchive:{where}")


def _move(context: ServiceContext, found: SessionRecord, asked: Parameters) -> Response:
    outcome = move_session(context, found.uuid, project_name=new_project(asked))
    return PlainTextResponse(str(outcome.after), 301)


def _reset(_context: ServiceContext, found: SessionRecord, _: Parameters) -> Response:
    """A session's status is what it is, and nothing is ever stuck; what waits for a decision is not decided by this."""
    if found.held[0]:
        raise HeldUndecided(*found.held[1:])
    return PlainTextResponse(found.uri)


def _set_status(context: ServiceContext, found: SessionRecord, asked: Parameters) -> Response:
    status = asked.get("status", "").strip().upper()
    if status != "READY":
        raise RequestInvalid(f"The status can't be set to {status[:40]!r}.", "READY can be asked for.")
    return _reset(context, found, asked)


def _delete(context: ServiceContext, found: SessionRecord, _: Parameters) -> Response:
    delete_session(context, found.uuid, place="prearchive")
    return PlainTextResponse(found.uri)


_ACTIONS: Final[dict[str, Callable[[ServiceContext, SessionRecord, Parameters], Response]]] = {
    "build": _build,
    "move": _move,
    "reset-status": _reset,
    "set-status": _set_status,
    "delete": _delete,
}


async def commit_archived(request: Request, work: Known) -> Response:
    """Commit what was archived directly, at the address that the import answered: it is done already."""
    action = (await parameters(request)).get("action", "").strip().lower()
    found = await work.read(lambda c: experiment_of(c, work, Action.SESSION_EDIT))
    if action not in ("", "commit"):
        return said(400, f"unsupported action on archived session: {action[:64]}")
    return PlainTextResponse(found.standing.uri)


for _where in EXPERIMENTS:
    routes.post(_where)(commit_archived)

"""What is done to prearchive sessions: actions on one, and the services for many (xnat-behaviour.md 5.6, 5.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import Principal
from scandock.catalog.standing import Standing
from scandock.http.v1.desks import Work
from scandock.http.xnat.answers import listing
from scandock.http.xnat.codes import ARCHIVING, VERBS, refusal, refused
from scandock.http.xnat.importing import uri_list
from scandock.http.xnat.parameters import Parameters, parameters
from scandock.http.xnat.places import PREARCHIVED, waiting_of
from scandock.http.xnat.routing import Known, router, said
from scandock.http.xnat.wishes import true
from scandock.model.errors import ScandockError, Usage
from scandock.model.importing import Overwrite
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action
from scandock.rules.said_fields import SESSION_FIELDS, said_of
from scandock.services.moving import Desk, Outcome, move
from scandock.services.prearchive import MANY, rebuild
from scandock.services.trash import delete_session
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.committing import Wishes, archive_as, commit
from scandock.services.xnat.validating import validate
from scandock.services.xnat.waiting import Address, address_of, find_waiting, row_of

routes = router()
_DEST: Final = re.compile(
    r"(?:/data)?/archive(?:/projects/(?P<project>[^/]+))?(?:/subjects/(?P<subject>[^/]+))?"
    r"(?:/experiments/(?P<session>[^/]+))?/?"
)
_OVERWRITE: Final[dict[str, Overwrite]] = {"append": "append", "delete": "delete", "override": "delete"}


def wishes_of(asked: Parameters) -> Wishes:
    """How a session is to be archived: `overwrite` is append or delete, anything else is none (5.6)."""
    overwrite = _OVERWRITE.get(asked.get("overwrite", "").strip().lower())
    if overwrite is None and asked.get("overwrite", "").strip():
        overwrite = "none"
    if overwrite == "append" and true(asked.get("overwrite_files")):
        overwrite = "delete"
    place = _dest(asked)
    auto = asked.get("AA", asked.get("auto-archive", "")).strip()
    return Wishes(
        overwrite=overwrite,
        subject=_first(asked, "subject", "SUBJECT_ID") or place.get("subject"),
        session=_first(asked, "session", "EXPT_LABEL", "label") or place.get("session"),
        auto=true(auto) if auto else None,
        fields=said_of(_paths(asked)).known(SESSION_FIELDS),
    )


def _paths(asked: Parameters) -> list[tuple[str, str]]:
    """What is said of the session itself: by paths into its document, or its visit by a name of its own (5.6)."""
    return [(name, value) for name, value in asked.multi_items() if name.startswith("xnat:") or name == "VISIT"]


def _first(asked: Parameters, *names: str) -> str | None:
    return next((asked[name].strip() for name in names if asked.get(name, "").strip()), None)


def _dest(asked: Parameters) -> dict[str, str]:
    """What `dest` names of the archive; nothing where it is not there."""
    dest = asked.get("dest", "").strip()
    if not dest:
        return {}
    found = _DEST.fullmatch(dest)
    if found is None:
        raise Usage("request_invalid", "Parameter dest format error")
    return {name: value for name, value in found.groupdict().items() if value}


# -- one session -------------------------------------------------------------------------------------------------------


@routes.post(PREARCHIVED)
async def act(request: Request, work: Known) -> Response:
    """`action`: build, commit, move, reset-status, set-status, delete."""
    asked = await parameters(request)
    action = asked.get("action", "").strip().lower()
    if not action:
        name = work.desk.principal.name
        return said(400, f"No action parameter was specified for the request by user {name}")
    act = _ACTIONS.get(action)
    if act is None:
        return said(400, f"unsupported action on prearchive session: {action[:64]}")
    needed = Action.PREARCHIVE_DELETE if action == "delete" else Action.PREARCHIVE_EDIT
    try:
        found = (await work.read(lambda c: waiting_of(c, work, needed))).standing
        return await work.do(lambda: act(work.desk, found, asked))
    except ScandockError as error:
        return refused(error)


@routes.delete(PREARCHIVED)
async def delete(work: Known) -> Response:
    """Into the trash."""
    try:
        found = (await work.read(lambda c: waiting_of(c, work, Action.PREARCHIVE_DELETE))).standing
        await work.do(lambda: delete_session(work.desk, found.uuid, place="prearchive"))
    except ScandockError as error:
        return refused(error)
    return said(200, "")


def _build(desk: Desk, found: Standing, _: Parameters) -> Response:
    rebuild(desk, found.uuid)
    return PlainTextResponse(found.uri)


def _commit(desk: Desk, found: Standing, asked: Parameters) -> Response:
    """200 and where it waits, or 301 without Location and where it is archived now: clients tell them apart by this."""
    outcome = commit(desk, found, wishes_of(asked))
    return PlainTextResponse(found.uri) if outcome is None else PlainTextResponse(str(outcome.after), 301)


def _move(desk: Desk, found: Standing, asked: Parameters) -> Response:
    outcome = move(desk, found.uuid, project_name=_new_project(asked))
    return PlainTextResponse(str(outcome.after), 301)


def _new_project(asked: Parameters) -> str:
    name = asked.get("newProject", "").strip()
    if not name:
        raise Usage("request_invalid", "Required parameter newProject is missing.", "Name the project to move to.")
    return name


def _reset(_desk: Desk, found: Standing, _: Parameters) -> Response:
    """A session's status is what it is, and nothing is ever stuck; what waits for a decision is not decided by this."""
    if found.held[0]:
        raise Usage("held_undecided", *found.held[1:])
    return PlainTextResponse(found.uri)


def _set_status(desk: Desk, found: Standing, asked: Parameters) -> Response:
    status = asked.get("status", "").strip().upper()
    if status != "READY":
        raise Usage("request_invalid", f"The status can't be set to {status[:40]!r}.", "READY can be asked for.")
    return _reset(desk, found, asked)


def _delete(desk: Desk, found: Standing, _: Parameters) -> Response:
    delete_session(desk, found.uuid, place="prearchive")
    return PlainTextResponse(found.uri)


_ACTIONS: Final[dict[str, Callable[[Desk, Standing, Parameters], Response]]] = {
    "build": _build,
    "commit": _commit,
    "move": _move,
    "reset-status": _reset,
    "set-status": _set_status,
    "delete": _delete,
}


# -- several at once ---------------------------------------------------------------------------------------------------


def _sources(asked: Parameters) -> list[Address]:
    """The sessions that a service is asked for. Usage `request_invalid`."""
    found = [address_of(one) for one in asked.getlist("src") if one.strip()]
    named = [asked.get(one, "").strip() for one in ("project", "PREARC_TIMESTAMP", "PREARC_SESSION_FOLDER")]
    if not found and all(named):
        found = [Address(*named)]
    if not found:
        raise Usage("request_invalid", "Unknown prearchive session: no src parameter was specified.")
    if len(found) > MANY:
        raise Usage("request_invalid", f"These are {len(found)} sessions.", f"Name at most {MANY} at once.")
    return list(dict.fromkeys(found))


def _found(connection: Connection, principal: Principal, where: list[Address], action: Action) -> list[Standing]:
    """Each of them, before anything is done to any. Denied."""
    return [find_waiting(connection, principal, one, action).standing for one in where]


async def _each(
    work: Work, asked: Parameters, action: Action, verb: Callable[[Standing], Outcome], gone: str
) -> Response:
    """Do a verb to each; one alone is refused as such, of several each row says how it went."""
    words = ARCHIVING if action is Action.SESSION_ARCHIVE else VERBS
    where = _sources(asked)

    def all_of_them() -> Rows:
        rows, names = [], list[str]()
        for one in found:
            before = _row(work, one)
            names = [*before.names, "message"]
            try:
                rows.append([*_row_after(work, one, before, verb(one), gone), ""])
            except ScandockError as error:
                if len(found) == 1:
                    raise
                rows.append([*_texts(before), refusal(error, words)[1]])
        return Rows(names, rows)

    try:
        found = await work.read(lambda c: _found(c, work.desk.principal, where, action))
        rows = await work.do(all_of_them)
    except ScandockError as error:
        return refused(error, words)
    return listing(work.request, rows, title="Prearchive")


def _row(work: Work, one: Standing) -> Rows:
    with work.site.catalog.read() as connection:
        return row_of(connection, one)


def _texts(rows: Rows) -> list[str]:
    """The only row; empty texts where the session has gone meanwhile."""
    return [one or "" for one in rows.rows[0]] if rows.rows else [""] * len(rows.names)


def _row_after(work: Work, one: Standing, before: Rows, outcome: Outcome, gone: str) -> list[str]:
    """A session's row after a verb; of one that has left the prearchive the last, with the status it left by."""
    now = _row(work, one)
    if now.rows:
        return _texts(now)
    row = _texts(before)
    row[before.names.index("status")] = gone
    if outcome.after:
        row[before.names.index("url")] = outcome.after.removeprefix("/data")
    return row


@routes.post("/data/services/prearchive/delete")
async def delete_service(request: Request, work: Known) -> Response:
    """Done when this answers, whatever `async` says."""
    asked = await parameters(request)
    return await _each(
        work, asked, Action.PREARCHIVE_DELETE,
        lambda one: delete_session(work.desk, one.uuid, place="prearchive"), "QUEUED_DELETING",
    )  # fmt: skip


@routes.post("/data/services/prearchive/rebuild")
async def rebuild_service(request: Request, work: Known) -> Response:
    asked = await parameters(request)
    return await _each(work, asked, Action.PREARCHIVE_EDIT, lambda one: rebuild(work.desk, one.uuid), "QUEUED_BUILDING")


@routes.post("/data/services/prearchive/move")
async def move_service(request: Request, work: Known) -> Response:
    asked = await parameters(request)
    to = _new_project(asked)
    return await _each(
        work, asked, Action.PREARCHIVE_EDIT, lambda one: move(work.desk, one.uuid, project_name=to), "QUEUED_MOVING"
    )


# -- into the archive --------------------------------------------------------------------------------------------------


def _archivable(asked: Parameters) -> tuple[list[Address], Wishes]:
    """What is to be archived, and how. Usage where it belongs to no project, or to another than is named."""
    where, wishes = _sources(asked), wishes_of(asked)
    for project in (asked.get("project", "").strip(), _dest(asked).get("project")):
        for one in where:
            if one.project.casefold() == UNASSIGNED.casefold():
                raise Usage("project_unassigned", "What belongs to no project can't be archived.", "Move it first.")
            if project and project.casefold() != one.project.casefold():
                raise Usage(
                    "request_invalid", "Invalid modification of session project via archive process.", "Move it first."
                )
    return where, wishes


@routes.post("/data/services/archive")
async def archive_service(request: Request, work: Known) -> Response:
    """One session: its URI. Several: a table of what became of each."""
    asked = await parameters(request)
    try:
        where, wishes = _archivable(asked)
        if len(where) > 1:
            return await _each(
                work, asked, Action.SESSION_ARCHIVE, lambda one: archive_as(work.desk, one, wishes), "QUEUED_ARCHIVING"
            )
        (found,) = await work.read(lambda c: _found(c, work.desk.principal, where, Action.SESSION_ARCHIVE))
        outcome = await work.do(lambda: archive_as(work.desk, found, wishes))
    except ScandockError as error:
        return refused(error, ARCHIVING)
    return uri_list(request, [str(outcome.after)])


@routes.post("/data/services/validate-archive")
async def validate_service(request: Request, work: Known) -> Response:
    """What stands against archiving a session: nothing is changed."""
    asked = await parameters(request)
    if len(asked.getlist("src")) > 1:
        return said(400, "Cannot validate multiple sessions in one request.")
    where, wishes = _sources(asked), wishes_of(asked)
    named = asked.get("project", "").strip() or _dest(asked).get("project")
    (found,) = await work.read(lambda c: _found(c, work.desk.principal, where, Action.SESSION_ARCHIVE))
    rows = await work.do(lambda: validate(work.desk, found, wishes, project_name=named))
    return listing(request, rows, title="Validation")

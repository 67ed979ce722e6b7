"""Services for prearchive sessions, one or many: moved, built, deleted, archived, validated (xnat-behaviour.md 5.6 to
5.8).
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.catalog.records import SessionRecord
from scandock.model.errors import ScandockError
from scandock.model.request_errors import RequestInvalid
from scandock.model.uris import PrearchiveSessionUri, without_data
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action
from scandock.services.committing import archive_with_parameters
from scandock.services.moving import Outcome, move_session
from scandock.services.prearchive import MAX_SESSIONS, rebuild_session
from scandock.services.session_errors import ProjectUnassigned
from scandock.services.trash import delete_session
from scandock.services.xnat_lookup import find_prearchive_session
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import listing
from scandock.web.xnat.archive_parameters import new_project, projects_of, wishes_of
from scandock.web.xnat.codes import ARCHIVING, VERBS, refusal, refused
from scandock.web.xnat.following import followed, key_of
from scandock.web.xnat.importing import uri_list
from scandock.web.xnat.parameters import Parameters, parameters
from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.prearchive_sessions import parse_src, row_names, row_of
from scandock.web.xnat.services.tracked_work import End, archived_at, end_of_archiving
from scandock.web.xnat.services.validating import validate

routes = router()


def _sources(asked: Parameters) -> list[PrearchiveSessionUri]:
    """The sessions that a service is asked for. Usage `request_invalid`."""
    found = [parse_src(one) for one in asked.getlist("src") if one.strip()]
    named = [asked.get(one, "").strip() for one in ("project", "PREARC_TIMESTAMP", "PREARC_SESSION_FOLDER")]
    if not found and all(named):
        found = [PrearchiveSessionUri(*named)]
    if not found:
        raise RequestInvalid(
            "Unknown prearchive session: no src parameter was specified.",
            "Name each by src=/prearchive/projects/{project}/{timestamp}/{label}.",
        )
    if len(found) > MAX_SESSIONS:
        raise RequestInvalid(f"These are {len(found)} sessions.", f"Name at most {MAX_SESSIONS} at once.")
    return list(dict.fromkeys(found))


def _found(
    connection: Connection, principal: Principal, where: list[PrearchiveSessionUri], action: Action
) -> list[SessionRecord | ScandockError]:
    """Each of them, or why it is not to be had, before anything is done to any. Denied where none is."""
    found = list[SessionRecord | ScandockError]()
    for one in where:
        try:
            found.append(find_prearchive_session(connection, principal, one, action).standing)
        except ScandockError as error:
            found.append(error)
    missed = [one for one in found if isinstance(one, ScandockError)]
    if len(missed) == len(found):
        raise missed[0]
    return found


async def _each(
    work: RequestContext, asked: Parameters, action: Action, verb: Callable[[SessionRecord], Outcome], gone: str
) -> Response:
    """Do a verb to each; one alone is refused as such, of several each row says how it went."""
    archives = action is Action.SESSION_ARCHIVE
    words = ARCHIVING if archives else VERBS
    where, key = _sources(asked), key_of(asked) if archives else ""

    def all_of_them() -> Rows:
        rows = []
        for source, one in zip(where, found, strict=True):
            row = _named(source)
            try:
                if isinstance(one, ScandockError):
                    raise one
                row = _texts(_row(work, one)) or row
                rows.append([*_row_after(work, one, row, verb(one), gone), ""])
            except ScandockError as error:
                if len(found) == 1:
                    raise
                rows.append([*row, refusal(error, words)[1]])
        return Rows([*row_names(), "message"], rows)

    try:
        found = await work.read(lambda c: _found(c, work.context.principal, where, action))
        rows = await followed(work, key, [one.uri for one in where], all_of_them, _end_of)
    except ScandockError as error:
        return refused(error, words)
    return listing(work.request, rows, title="Prearchive")


def _named(waiting: PrearchiveSessionUri) -> list[str]:
    """The row of a session that is not to be had: what the request says of it."""
    said = {
        "project": waiting.project,
        "timestamp": waiting.timestamp,
        "folderName": waiting.label,
        "name": waiting.label,
        "url": without_data(waiting.uri),
    }
    return [said.get(name, "") for name in row_names()]


def _end_of(rows: Rows) -> End:
    """How the archiving of several ended, each by itself; a good end only where all of them did."""
    url, message = rows.names.index("url"), rows.names.index("message")
    places = [(str(row[url]), str(row[message] or "")) for row in rows.rows]
    entries = [("Failed", f"{where}: {why}") if why else ("Completed", f"Archived: {where}") for where, why in places]
    missed = [f"{where}: {why}" for where, why in places if why]
    final = " ".join(missed) if missed else archived_at([where for where, _ in places])
    return End(succeeded=not missed, final=final, entries=tuple(entries))


def _row(work: RequestContext, one: SessionRecord) -> Rows:
    with work.site.catalog.read() as connection:
        return row_of(connection, one)


def _texts(rows: Rows) -> list[str]:
    """The only row; none where the session has gone meanwhile."""
    return [one or "" for one in rows.rows[0]] if rows.rows else []


def _row_after(work: RequestContext, one: SessionRecord, before: list[str], outcome: Outcome, gone: str) -> list[str]:
    """A session's row after a verb; of one that has left the prearchive the last, with the status it left by."""
    now = _row(work, one)
    if now.rows:
        return _texts(now)
    row, names = [*before], row_names()
    row[names.index("status")] = gone
    if outcome.after:
        row[names.index("url")] = without_data(outcome.after)
    return row


@routes.post("/data/services/prearchive/delete")
async def delete_service(request: Request, work: Known) -> Response:
    """Done when this answers, whatever `async` says."""
    asked = await parameters(request)
    return await _each(
        work, asked, Action.PREARCHIVE_DELETE,
        lambda one: delete_session(work.context, one.uuid, place="prearchive"), "QUEUED_DELETING",
    )  # fmt: skip


@routes.post("/data/services/prearchive/rebuild")
async def rebuild_service(request: Request, work: Known) -> Response:
    asked = await parameters(request)
    return await _each(
        work, asked, Action.PREARCHIVE_EDIT, lambda one: rebuild_session(work.context, one.uuid), "QUEUED_BUILDING"
    )


@routes.post("/data/services/prearchive/move")
async def move_service(request: Request, work: Known) -> Response:
    asked = await parameters(request)
    to = new_project(asked)
    return await _each(
        work,
        asked,
        Action.PREARCHIVE_EDIT,
        lambda one: move_session(work.context, one.uuid, project_name=to),
        "QUEUED_MOVING",
    )


# -- into the archive --------------------------------------------------------------------------------------------------


def _check_project(asked: Parameters, project: str) -> None:
    """Usage where a session belongs to no project, or to another than the request names."""
    if project.casefold() == UNASSIGNED.casefold():
        raise ProjectUnassigned("What belongs to no project can't be archived.", "Move it first.")
    for named in projects_of(asked):
        if named.casefold() != project.casefold():
            raise RequestInvalid("Invalid modification of session project via archive process.", "Move it first.")


@routes.post("/data/services/archive")
async def archive_service(request: Request, work: Known) -> Response:
    """One session: its URI. Several: a table of what became of each, for which none costs another anything."""
    asked = await parameters(request)
    try:
        where, wishes, key = _sources(asked), wishes_of(asked), key_of(asked)

        def archived(one: SessionRecord) -> Outcome:
            _check_project(asked, one.project)
            return archive_with_parameters(work.context, one, wishes)

        if len(where) > 1:
            return await _each(work, asked, Action.SESSION_ARCHIVE, archived, "QUEUED_ARCHIVING")
        _check_project(asked, where[0].project)
        found = await _one(work, where[0])
        outcome = await followed(work, key, [found.uri], lambda: archived(found), end_of_archiving)
    except ScandockError as error:
        return refused(error, ARCHIVING)
    return uri_list(request, [str(outcome.after)])


async def _one(work: RequestContext, where: PrearchiveSessionUri) -> SessionRecord:
    """A session that is to be archived. Denied."""
    return await work.read(
        lambda c: find_prearchive_session(c, work.context.principal, where, Action.SESSION_ARCHIVE).standing
    )


@routes.post("/data/services/validate-archive")
async def validate_service(request: Request, work: Known) -> Response:
    """What stands against archiving a session: nothing is changed."""
    asked = await parameters(request)
    if len(asked.getlist("src")) > 1:
        return said(400, "Cannot validate multiple sessions in one request.")
    where, wishes = _sources(asked), wishes_of(asked)
    named = next((one for one in projects_of(asked) if one.casefold() != where[0].project.casefold()), None)
    found = await _one(work, where[0])
    rows = await work.do(lambda: validate(work.context, found, wishes, project_name=named))
    return listing(request, rows, title="Validation")

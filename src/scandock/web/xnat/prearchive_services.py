"""Services for prearchive sessions, one or many: moved, built, deleted, archived, validated (xnat-behaviour.md 5.6 to
5.8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.catalog.records import SessionRecord
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.model.request_errors import RequestInvalid
from scandock.model.uris import PrearchiveSessionUri, without_data
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action
from scandock.services.committing import archive_with_parameters
from scandock.services.outcomes import Outcome
from scandock.services.prearchive import MAX_SESSIONS, rebuild_session
from scandock.services.session_errors import ProjectUnassigned
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session
from scandock.services.xnat_lookup import find_prearchive_session
from scandock.web.request_context import RequestContext
from scandock.web.session_building import build_sessions
from scandock.web.xnat.archive_errors import ARCHIVE_ERRORS, PREARCHIVE_ERRORS, describe_refusal, refusal_response
from scandock.web.xnat.archive_parameters import read_archive_parameters, read_new_project, read_project_names
from scandock.web.xnat.import_service import uri_list_response
from scandock.web.xnat.import_waiting import complete_outcome
from scandock.web.xnat.listener_keys import read_listener_key, run_tracked
from scandock.web.xnat.parameters import Parameters, read_parameters
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services.archive_tracking import ActionOutcome, make_archive_outcome, make_archived_message
from scandock.web.xnat.services.archive_validation import validate_archiving
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.prearchive_sessions import list_column_names, parse_src, read_session_row

routes = make_router()


def _read_sources(params: Parameters) -> list[PrearchiveSessionUri]:
    """The sessions that a service is asked for. Usage `request_invalid`."""
    uris = [parse_src(value) for value in params.getlist("src") if value.strip()]
    names = [params.get(value, "").strip() for value in ("project", "PREARC_TIMESTAMP", "PREARC_SESSION_FOLDER")]
    if not uris and all(names):
        uris = [PrearchiveSessionUri(*names)]
    if not uris:
        raise RequestInvalid(
            "Unknown prearchive session: no src parameter was specified.",
            "Name each by src=/prearchive/projects/{project}/{timestamp}/{label}.",
        )
    if len(uris) > MAX_SESSIONS:
        raise RequestInvalid(f"These are {len(uris)} sessions.", f"Name at most {MAX_SESSIONS} at once.")
    return list(dict.fromkeys(uris))


def _find_sessions(
    connection: Connection, principal: Principal, uris: list[PrearchiveSessionUri], action: Action
) -> list[SessionRecord | ScandockError]:
    """Each of them, or why it is not to be had, before anything is done to any. AccessDenied where none is."""
    results = list[SessionRecord | ScandockError]()
    for entry in uris:
        try:
            results.append(find_prearchive_session(connection, principal, entry, action).record)
        except ScandockError as error:
            results.append(error)
    errors = [entry for entry in results if isinstance(entry, ScandockError)]
    if len(errors) == len(results):
        raise errors[0]
    return results


async def _run_for_each(
    context: RequestContext,
    params: Parameters,
    action: Action,
    verb: Callable[[SessionRecord], Outcome],
    gone_status: str,
) -> Response:
    """Do a verb to each; one alone is refused as such, of several each row says how it went."""
    archives = action is Action.SESSION_ARCHIVE
    words = ARCHIVE_ERRORS if archives else PREARCHIVE_ERRORS
    uris, key = _read_sources(params), read_listener_key(params) if archives else ""

    def run_all() -> list[_Result]:
        done = []
        for source, entry in zip(uris, results, strict=True):
            row = _make_missing_row(source)
            try:
                if isinstance(entry, ScandockError):
                    raise entry
                row = _row_texts(_read_row(context, entry)) or row
                done.append(_Result(row, (entry, verb(entry))))
            except ScandockError as error:
                if len(results) == 1:
                    raise
                done.append(_Result(row, error))
        return done

    async def complete_all(done: list[_Result]) -> list[_Result]:
        return [await _complete(context, result, is_alone=len(done) == 1, is_followed=bool(key)) for result in done]

    def make_rows(done: list[_Result]) -> Rows:
        rows = []
        for result in done:
            if isinstance(result.came, ScandockError):
                rows.append([*result.row, describe_refusal(result.came, words)[1]])
            else:
                rows.append([*_read_row_after(context, *result.came, result.row, gone_status), ""])
        return Rows([*list_column_names(), "message"], rows)

    try:
        await build_sessions(context, uris)
        results = await context.read(lambda c: _find_sessions(c, context.service_context.principal, uris, action))
        done = await run_tracked(
            context, key, [entry.uri for entry in uris], run_all, lambda done: _summarize_outcomes(make_rows(done)),
            finish=complete_all,
        )  # fmt: skip
        rows = await context.run_read(lambda: make_rows(done))
    except ScandockError as error:
        return refusal_response(error, words)
    return list_response(context.request, rows, title="Prearchive")


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one of several sessions."""

    row: list[str]
    """Its row before."""
    came: tuple[SessionRecord, Outcome] | ScandockError
    """The session and what was done to it, or why nothing was."""


async def _complete(context: RequestContext, result: _Result, *, is_alone: bool, is_followed: bool) -> _Result:
    """The same, once the import has ended that does it, if one does."""
    if isinstance(result.came, ScandockError):
        return result
    session, outcome = result.came
    try:
        return replace(result, came=(session, await complete_outcome(context, outcome, is_followed=is_followed)))
    except ScandockError as error:
        if is_alone:
            raise
        return replace(result, came=error)


def _make_missing_row(uri: PrearchiveSessionUri) -> list[str]:
    """The row of a session that is not to be had: what the request says of it."""
    values = {
        "project": uri.project,
        "timestamp": uri.timestamp,
        "folderName": uri.label,
        "name": uri.label,
        "url": without_data(uri.uri),
    }
    return [values.get(name, "") for name in list_column_names()]


def _summarize_outcomes(rows: Rows) -> ActionOutcome:
    """How the archiving of several ended, each by itself; a good end only where all of them did."""
    url, message = rows.names.index("url"), rows.names.index("message")
    uris_and_messages = [(str(row[url]), str(row[message] or "")) for row in rows.rows]
    entries = [
        ("Failed", f"{uri}: {reason}") if reason else ("Completed", f"Archived: {uri}")
        for uri, reason in uris_and_messages
    ]
    failures = [f"{uri}: {reason}" for uri, reason in uris_and_messages if reason]
    final = " ".join(failures) if failures else make_archived_message([uri for uri, _ in uris_and_messages])
    return ActionOutcome(succeeded=not failures, final=final, entries=tuple(entries))


def _read_row(context: RequestContext, session: SessionRecord) -> Rows:
    with context.server.catalog.read() as connection:
        return read_session_row(connection, session)


def _row_texts(rows: Rows) -> list[str]:
    """The only row; none where the session has gone meanwhile."""
    return [value or "" for value in rows.rows[0]] if rows.rows else []


def _read_row_after(
    context: RequestContext, session: SessionRecord, outcome: Outcome, before: list[str], gone_status: str
) -> list[str]:
    """A session's row after a verb; of one that has left the prearchive the last, with the status it left by."""
    rows = _read_row(context, session)
    if rows.rows:
        return _row_texts(rows)
    row, names = [*before], list_column_names()
    row[names.index("status")] = gone_status
    if outcome.after:
        row[names.index("url")] = without_data(outcome.after)
    return row


@routes.post("/data/services/prearchive/delete")
async def delete_service(request: Request, context: SignedInContext) -> Response:
    """Done when this answers, whatever `async` says."""
    params = await read_parameters(request)
    return await _run_for_each(
        context, params, Action.PREARCHIVE_DELETE,
        lambda session: delete_session(context.service_context, session.uuid, place="prearchive"), "QUEUED_DELETING",
    )  # fmt: skip


@routes.post("/data/services/prearchive/rebuild")
async def rebuild_service(request: Request, context: SignedInContext) -> Response:
    params = await read_parameters(request)
    return await _run_for_each(
        context,
        params,
        Action.PREARCHIVE_EDIT,
        lambda session: rebuild_session(context.service_context, session.uuid),
        "QUEUED_BUILDING",
    )


@routes.post("/data/services/prearchive/move")
async def move_service(request: Request, context: SignedInContext) -> Response:
    params = await read_parameters(request)
    target_project = read_new_project(params)
    return await _run_for_each(
        context,
        params,
        Action.PREARCHIVE_EDIT,
        lambda session: move_session(context.service_context, session.uuid, project_name=target_project),
        "QUEUED_MOVING",
    )


# -- into the archive --------------------------------------------------------------------------------------------------


def _check_project(params: Parameters, project: str) -> None:
    """Usage where a session belongs to no project, or to another than the request names."""
    if project.casefold() == UNASSIGNED.casefold():
        raise ProjectUnassigned("What belongs to no project can't be archived.", "Move it first.")
    for name in read_project_names(params):
        if name.casefold() != project.casefold():
            raise RequestInvalid("Invalid modification of session project via archive process.", "Move it first.")


@routes.post("/data/services/archive")
async def archive_service(request: Request, context: SignedInContext) -> Response:
    """One session: its URI. Several: a table of what became of each, for which none costs another anything."""
    params = await read_parameters(request)
    try:
        uris, archive_parameters, key = (
            _read_sources(params),
            read_archive_parameters(params),
            read_listener_key(params),
        )

        def archive_one(session: SessionRecord) -> Outcome:
            _check_project(params, session.project)
            return archive_with_parameters(context.service_context, session, archive_parameters)

        if len(uris) > 1:
            return await _run_for_each(context, params, Action.SESSION_ARCHIVE, archive_one, "QUEUED_ARCHIVING")
        _check_project(params, uris[0].project)
        target = await _find_session(context, uris[0])
        outcome = await run_tracked(
            context, key, [target.uri], lambda: archive_one(target), make_archive_outcome,
            finish=lambda outcome: complete_outcome(context, outcome, is_followed=bool(key)),
        )  # fmt: skip
    except ScandockError as error:
        return refusal_response(error, ARCHIVE_ERRORS)
    return uri_list_response(request, [str(outcome.after)])


async def _find_session(context: RequestContext, uri: PrearchiveSessionUri) -> SessionRecord:
    """A session that is to be archived, built first where it is not. AccessDenied."""
    await build_sessions(context, [uri])
    return await context.read(
        lambda c: find_prearchive_session(c, context.service_context.principal, uri, Action.SESSION_ARCHIVE).record
    )


@routes.post("/data/services/validate-archive")
async def validate_service(request: Request, context: SignedInContext) -> Response:
    """What stands against archiving a session: nothing is changed."""
    params = await read_parameters(request)
    if len(params.getlist("src")) > 1:
        return text_response(400, "Cannot validate multiple sessions in one request.")
    uris, archive_parameters = _read_sources(params), read_archive_parameters(params)
    project_name = next(
        (name for name in read_project_names(params) if name.casefold() != uris[0].project.casefold()), None
    )
    session = await _find_session(context, uris[0])
    rows = await context.run(
        lambda: validate_archiving(context.service_context, session, archive_parameters, project_name=project_name)
    )
    return list_response(request, rows, title="Validation")

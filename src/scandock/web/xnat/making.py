"""PUT of projects, subjects and experiments: made where missing, else changed (xnat-clients.md 2.4, 3 to 5).

200 with the id; of subjects and experiments that were made 201, as the original does it. What the query says of a
thing is kept where it has a place, and what a document in the body does. Of a subject's PUT the body is read only where
the request calls it a document: one client sends its user's password in it (5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import AccessDenied
from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid
from scandock.model.request_limits import DOCUMENT_SCANS
from scandock.model.xnat_ids import experiment_number, subject_id, subject_number
from scandock.rules.errors import TypeUnknown
from scandock.rules.permissions import AccessDecision, Action
from scandock.rules.project_fields import parse_project_fields
from scandock.rules.session_fields import SCAN_FIELDS, SESSION_FIELDS, DocumentFields, parse_fields
from scandock.rules.subject_fields import SUBJECT_FIELDS, parse_subject_fields
from scandock.services import rights, session_creation
from scandock.services.assessors import Assessor, find_any_assessor, put_assessor
from scandock.services.editing import rename_subject
from scandock.services.header_refresh import pull_headers
from scandock.services.prearchive import rebuild_session
from scandock.services.project_description import create_described_project, edit_description
from scandock.services.project_errors import AliasTaken
from scandock.services.project_names import MAX_SHOWN
from scandock.services.scan_types import fix_scan_types
from scandock.services.session_errors import LabelTaken
from scandock.services.subjects import create_subject, edit_subject, write_subject_attributes
from scandock.services.xnat_lookup import Experiment, SubjectRecord, find_experiment, find_subject
from scandock.web import urls
from scandock.web.errors import NotFound
from scandock.web.request_context import RequestContext
from scandock.web.xnat.assessor_items import said_in_assessor
from scandock.web.xnat.bodies import form_in
from scandock.web.xnat.documents import Document, read_document, said_in_document
from scandock.web.xnat.errors import ProjectOther, SubjectMissing
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.places import EXPERIMENTS, SUBJECTS, subject_of
from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.schema import SCANS, SESSIONS

routes = router()
T = TypeVar("T")
_OF_WHAT_STANDS: Final = ("pullDataFromHeaders", "fixScanTypes", "triggerPipelines", "activate", "quarantine")
"""What is asked of a session that is there: with these alone, none is to be made."""
_SCAN_TYPES: Final = {f"xnat:{one}ScanData".lower(): f"xnat:{one}ScanData" for one in SCANS}
_SESSION_TYPES: Final = {f"xnat:{one}SessionData".lower(): f"xnat:{one}SessionData" for one in SESSIONS}


def answer(text: str, *, new: bool = False) -> Response:
    """The id of a thing that was made, or was there. `new`: of those that the original answers with 201 then."""
    return PlainTextResponse(text, 201 if new else 200)


def posted(request: Request, id_: str) -> Response:
    """Where a thing stands that was made by a POST to the list of its kind."""
    address = urls.posted(request.scope["path"], id_)
    return PlainTextResponse(address, headers={"Location": address})


def nameless(what: str, field: str) -> Usage:
    """Why nothing is made of a POST that names no thing."""
    return RequestInvalid(f"The request gives the new {what} no {field}.", f"Say {field}, or PUT to its address.")


async def said_in(work: RequestContext, document: Sequence[tuple[str, str]] | None = None) -> DocumentFields:
    """What the query says, and a form or a document in the body where there is one, which may have been read."""
    pairs = list(await said_in_document(work) if document is None else document)
    return parse_fields([*(pairs or await form_in(work.request)), *work.request.query_params.multi_items()])


def found_or_none(ask: Callable[[], T]) -> T | None:
    """What is there and may be changed; None where there is nothing of that name."""
    try:
        return ask()
    except AccessDenied as error:
        if error.answer is AccessDecision.HIDDEN:
            return None
        raise


# -- projects and subjects ---------------------------------------------------------------------------------------------


@routes.put("/data/projects/{project}")
async def project(request: Request, work: Known, project: str) -> Response:
    """Made with its maker as owner, or what is said of it written. At an alias none is, as in the original: 409."""
    alias = getattr(request.state, "project_alias", "")
    if alias:
        raise AliasTaken(
            f"{alias[:MAX_SHOWN]!r} is an alias of the project {project}.",
            f"PUT to /data/projects/{project} to change that project, or choose another id.",
        )
    said = parse_project_fields([*await said_in_document(work), *request.query_params.multi_items()])
    there = await work.read(lambda c: rights.is_allowed(c, work.context.principal, Action.PROJECT_SEE, project))
    put = edit_description if there else create_described_project
    return answer(await work.do(lambda: put(work.context, project, said)))


@routes.post("/data/projects")
async def post_project(request: Request, work: Known) -> Response:
    """A new project of what a document, or the query, says."""
    pairs = [*await said_in_document(work), *request.query_params.multi_items()]
    named, said = parse_fields(pairs).get("id"), parse_project_fields(pairs)
    if not named:
        raise nameless("project", "ID")
    return posted(request, await work.do(lambda: create_described_project(work.context, named, said)))


@routes.post("/data/projects/{project}/subjects")
async def post_subject(request: Request, work: Known) -> Response:
    """A new subject of what a document, or the query, says."""
    pairs = [*await said_in_document(work), *request.query_params.multi_items()]
    label, said = parse_fields(pairs).get("label"), parse_subject_fields(pairs)
    if not label:
        raise nameless("subject", "label")
    project = request.path_params["project"]
    number, new = await work.do(lambda: create_subject(work.context, project, label, said))
    if not new:
        raise LabelTaken(f"There is a subject {label[:128]} already.", "Choose another label, or PUT it.")
    return posted(request, subject_id(number))


async def subject(request: Request, work: Known) -> Response:
    """Made where missing; another label renames it, and what is said of the person is written.

    A document takes back what it lacks where the query has `allowDataDeletion=true`.
    """
    document = await said_in_document(work, open_handed=False)
    whole = bool(document) and true(request.query_params.get("allowDataDeletion"))
    id_, new = await put_subject(work, [*document, *request.query_params.multi_items()], whole=whole)
    return answer(id_, new=new)


async def put_subject(
    work: RequestContext, pairs: Sequence[tuple[str, str]], *, whole: bool = False
) -> tuple[str, bool]:
    """The id of the subject at an address, made of what is said or changed by it; whether it is new.

    `whole`: what is not said is taken back.
    """
    label, said = parse_fields(pairs).get("label"), parse_subject_fields(pairs)
    if whole:
        said = dict.fromkeys(SUBJECT_FIELDS.values(), "") | said
    found = await work.read(lambda c: found_or_none(lambda: subject_of(c, work, Action.SUBJECT_EDIT)))
    places = work.request.path_params
    if found is None:
        if "project" not in places or subject_number(places["subject"]) is not None:
            await work.read(lambda c: subject_of(c, work, Action.SUBJECT_EDIT))  # which tells why not
        number, new = await work.do(lambda: create_subject(work.context, places["project"], places["subject"], said))
        if new:
            return subject_id(number), True
        found = await work.read(lambda c: subject_of(c, work, Action.SUBJECT_EDIT))  # made in this very moment
    uuid = found.uuid
    if label and label != found.label:
        await work.do(
            lambda: rename_subject(
                work.context, uuid, label, write=lambda c: write_subject_attributes(work.context, c, uuid, said)
            )
        )
    elif said:
        await work.do(lambda: edit_subject(work.context, uuid, said))
    return found.id, False


for _where in SUBJECTS:
    routes.put(_where)(subject)


# -- experiments -------------------------------------------------------------------------------------------------------


async def experiment(work: Known) -> Response:
    """Made where missing, with its subject; else changed, and whatever the query has done with it.

    An assessor of the name is changed, and none is made here: no address of this form says its session.
    """
    assessor = await work.read(lambda c: _assessor_there(c, work))
    if assessor is not None:
        said = await said_in_assessor(work)
        return answer((await work.do(lambda: put_assessor(work.context, assessor.session, assessor.id, said)))[0])
    document = await read_document(work)
    made, new = await put_experiment(work, document, await said_in(work, document.pairs))
    return answer(made.id, new=new)


async def post_experiment(request: Request, work: Known) -> Response:
    """A new session of what a document, or the query, says, with its scans."""
    document = await read_document(work)
    said = await said_in(work, document.pairs)
    label = said.get("label")
    if not label:
        raise nameless("session", "label")
    request.path_params["experiment"] = label
    if "subject" in request.path_params:
        await work.read(lambda c: subject_of(c, work, Action.SESSION_EDIT))  # which a PUT would make
    if await work.read(lambda c: _there(c, work)) is not None:
        raise LabelTaken(f"There is a session {label[:128]} already.", "Choose another label, or PUT it.")
    made, _ = await put_experiment(work, document, said)
    return posted(request, made.id)


async def put_experiment(work: RequestContext, document: Document, said: DocumentFields) -> tuple[Experiment, bool]:
    """The experiment at an address, made of what is said or changed by it; whether it is new."""
    request = work.request
    scans = scans_in(document)
    session_creation.check_scans(scans)  # nothing is made of what is refused
    found = await work.read(lambda c: _there(c, work))
    if found is None:
        # A document may be the copy of another session's: what is made of it is called by the address.
        label = (parse_fields(request.query_params.multi_items()) if document.pairs else said).get("label")
        label = label or request.path_params["experiment"]
        try:
            made = await work.do(lambda: _make_experiment(work, said, label, scans))
        except LabelTaken:
            found = await work.read(lambda c: _there(c, work))
            if found is None:  # else somebody has made it in this very moment
                raise
        else:
            quarantined = _status_of(work, made)
            if quarantined is not None:
                to = session_creation.SessionChange(quarantined=quarantined)
                await work.do(lambda: session_creation.change_session(work.context, made.standing.uuid, to))
            return made, True
    if found.standing.quarantined:
        in_project = found.standing.project
        await work.read(lambda c: _check_status(c, work, in_project))
    change = await work.read(lambda c: _change_of(c, work, found, said, scans))
    await work.do(lambda: session_creation.change_session(work.context, found.standing.uuid, change))
    uuid, asked = found.standing.uuid, request.query_params
    if true(asked.get("pullDataFromHeaders")):
        await work.do(lambda: pull_headers(work.context, uuid))
    elif true(asked.get("fixScanTypes")):
        await work.do(lambda: rebuild_session(work.context, uuid))
        await work.do(lambda: fix_scan_types(work.context, uuid))
    return found, False


async def make_scans(work: RequestContext, found: Experiment, scans: Sequence[session_creation.ScanRequest]) -> None:
    change = session_creation.SessionChange(scans=_of_session(scans, found.standing.xsi_type))
    await work.do(lambda: session_creation.change_session(work.context, found.standing.uuid, change))


def _of_session(scans: Sequence[session_creation.ScanRequest], xsi_type: str) -> list[session_creation.ScanRequest]:
    """Scans as a session of some type has them: of its own type's where none is named."""
    kind = xsi_type.replace("SessionData", "ScanData")
    return [replace(one, usual_type=_SCAN_TYPES.get(kind.lower(), "xnat:otherDicomScanData")) for one in scans]


def scans_in(document: Document) -> list[session_creation.ScanRequest]:
    """The scans within a session's document, each once. Usage `request_invalid`, `type_unknown`, `value_invalid`."""
    if len(document.scans) > DOCUMENT_SCANS:
        many = f"The document has {len(document.scans):,} scans."
        raise RequestInvalid(many, f"At most {DOCUMENT_SCANS:,} are made at once: send it in parts.")
    found: dict[str, session_creation.ScanRequest] = {}
    for pairs in document.scans:
        said = parse_fields(pairs)
        one = wanted_scan(said, said.get("id"))
        if one.id.casefold() in found:
            raise RequestInvalid(f"The document has the scan {one.id[:128]!r} twice.", "Say it once.")
        found[one.id.casefold()] = one
    return list(found.values())


def wanted_scan(said: DocumentFields, scan_id: str, told: str = "") -> session_creation.ScanRequest:
    """What is said of a scan; `told`: its type where no field says it. Usage `type_unknown`, `value_invalid`."""
    kind = said.get("type") or told
    edits = {name: said.fields[name] for name in ("quality", "note") if said.fields.get(name)}
    if said.get("type"):
        edits["type"] = kind
    return session_creation.ScanRequest(
        id=scan_id,
        type=kind,
        xsi_type=_kind_of_scan(said),
        attributes=said.known(SCAN_FIELDS),
        edits=edits,
        parameters=said.parameters(),
    )


def _kind_of_scan(said: DocumentFields) -> str:
    """The type that a request names; empty where it names none, or that of every scan. Usage `type_unknown`."""
    kind = _SCAN_TYPES.get(said.xsi_type.lower(), "")
    if not kind and said.xsi_type and said.xsi_type.lower() != "xnat:imagescandata":
        raise TypeUnknown(
            f"{said.xsi_type[:64]} is no type of a scan.",
            f"Say xsiType=xnat:mrScanData, or in the place of mr one of {', '.join(SCANS)}.",
        )
    return kind


def _check_status(connection: Connection, work: RequestContext, project: str) -> None:
    """Denied to who may not activate and asks for it, before any of the request is done."""
    if true(work.request.query_params.get("activate")):
        rights.check(connection, work.context.principal, Action.SESSION_ACTIVATE, project)


def _status_of(work: RequestContext, found: Experiment) -> bool | None:
    """Whether a session is to be in quarantine, where that is asked for and is not so yet.

    `activate=true` takes it out, which is for owners; `quarantine=true` puts it there.
    """
    asked = work.request.query_params
    wanted = False if true(asked.get("activate")) else True if true(asked.get("quarantine")) else None
    return wanted if wanted != found.standing.quarantined else None


def _there(connection: Connection, work: RequestContext) -> Experiment | None:
    """The experiment that an address names, under whatever subject it stands there now. Denied."""
    places = work.request.path_params
    return found_or_none(
        lambda: find_experiment(
            connection,
            work.context.principal,
            places["experiment"],
            in_project=places.get("project"),
            action=Action.SESSION_EDIT,
        )
    )


def _assessor_there(connection: Connection, work: RequestContext) -> Assessor | None:
    """The assessor that an address names, where no session has that name. Denied, also below another's subject."""
    if _there(connection, work) is not None:
        return None
    places = work.request.path_params

    def find(of_subject: str | None) -> Assessor:
        return find_any_assessor(
            connection,
            work.context.principal,
            places["experiment"],
            in_project=places.get("project"),
            of_subject=of_subject,
            action=Action.SESSION_EDIT,
        )

    if found_or_none(lambda: find(None)) is None:
        return None
    return find(places.get("subject"))


def _make_experiment(
    work: RequestContext, said: DocumentFields, label: str, scans: Sequence[session_creation.ScanRequest]
) -> Experiment:
    """A session made by hand, with its scans, without files."""
    places, context, asked = work.request.path_params, work.context, work.request.query_params
    to_be_changed = not said.xsi_type and any(true(asked.get(one)) for one in _OF_WHAT_STANDS)
    if to_be_changed or experiment_number(places["experiment"]) is not None:
        raise NotFound("There is no experiment of that name, or you may not know of it.", "Check the name.")
    kind = _SESSION_TYPES.get(said.xsi_type.lower())
    if kind is None:
        shown = f"{said.xsi_type[:64]} is" if said.xsi_type else "The request says"
        raise TypeUnknown(
            f"{shown} no type of an imaging session.",
            f"Say xsiType=xnat:mrSessionData, or in the place of mr one of {', '.join(SESSIONS)}.",
        )
    with context.catalog.read() as connection:
        person = _person(connection, work, said)
        _check_status(connection, work, person.project)
    attributes = {name: text for name, text in said.known(SESSION_FIELDS).items() if text}
    wanted = session_creation.NewSession(
        project=person.project,
        subject=person.label,
        label=label,
        xsi_type=kind,
        attributes=attributes,
        scans=_of_session(scans, kind),
    )
    session_creation.create_session(context, wanted)
    with context.catalog.read() as connection:
        return find_experiment(connection, context.principal, label, in_project=person.project)


@dataclass(frozen=True, slots=True)
class _Person:
    project: str
    label: str


def _person(connection: Connection, work: RequestContext, said: DocumentFields) -> _Person:
    """The subject that a new session is of: in the address, else in the query."""
    places, principal = work.request.path_params, work.context.principal
    in_project = places.get("project") or said.get("project") or None
    named = places.get("subject") or said.get("subject_id", "subject_label", "subject")
    if not named:
        raise SubjectMissing
    found = found_or_none(lambda: find_subject(connection, principal, named, in_project=in_project))
    if found is not None:
        return _Person(found.project, found.label)
    if in_project is None or subject_number(named) is not None:
        raise NotFound("There is no subject of that name, or you may not know of it.", "Check the address.")
    rights.check(connection, principal, Action.SESSION_EDIT, in_project)
    return _Person(in_project, named)


def _change_of(
    connection: Connection,
    work: RequestContext,
    found: Experiment,
    said: DocumentFields,
    scans: Sequence[session_creation.ScanRequest],
) -> session_creation.SessionChange:
    """Label, subject, type, status, attributes and scans, as far as they are said and differ."""
    one, places = found.standing, work.request.path_params
    project_name = said.get("project")
    if project_name and project_name.casefold() != one.project.casefold():
        raise ProjectOther
    label = said.get("label")
    label = label if label != one.label else ""
    person = ""
    for named in (said.get("subject_id", "subject_label"), places.get("subject", "")):
        if named and not person:
            person = _other_subject(connection, work, found, named)
    if person and not said.get("subject_id", "subject_label") and experiment_number(places["experiment"]) is None:
        raise LabelTaken("A session of that label stands under another subject.", "Choose another label.")
    return session_creation.SessionChange(
        label=label or None,
        subject=person or None,
        xsi_type=_SESSION_TYPES.get(said.xsi_type.lower(), ""),
        quarantined=_status_of(work, found),
        fields=said.known(SESSION_FIELDS),
        scans=_of_session(scans, one.xsi_type),
    )


def _other_subject(connection: Connection, work: RequestContext, found: Experiment, named: str) -> str:
    """The label of the subject that is named, where it is another than the session's; empty where it is not."""
    one = found.standing
    if named.casefold() == one.subject.casefold() or subject_number(named) == one.subject_id:
        return ""
    if subject_number(named) is None:
        return named
    other: SubjectRecord = find_subject(connection, work.context.principal, named, in_project=one.project)
    return other.label


for _where in EXPERIMENTS:
    routes.put(_where)(experiment)
for _where in ("/data/projects/{project}", *SUBJECTS):
    routes.post(f"{_where}/experiments")(post_experiment)

"""PUT of projects, subjects and experiments: made where missing, else changed (xnat-clients.md 2.4, 3 to 5).

200 with the id; of subjects and experiments that were made 201, as the original does it. What the query says of a
thing is kept where it has a place, and what a document in the body does. Of a subject's PUT the body is read only where
the request calls it a document: one client sends its user's password in it (5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import AccessDenied
from scandock.model.dataclass import dataclass
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
from scandock.web.xnat.address_lookup import EXPERIMENTS, SUBJECTS, lookup_subject
from scandock.web.xnat.assessor_items import read_assessor_request
from scandock.web.xnat.bodies import read_form
from scandock.web.xnat.documents import Document, read_document, read_document_pairs
from scandock.web.xnat.errors import ProjectOther, SubjectMissing
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.routing import SignedInContext, make_router
from scandock.web.xnat.schema import SCANS, SESSIONS

routes = make_router()
T = TypeVar("T")
_EXISTING_ONLY: Final = ("pullDataFromHeaders", "fixScanTypes", "triggerPipelines", "activate", "quarantine")
"""What is asked of a session that is there: with these alone, none is to be made."""
_SCAN_TYPES: Final = {f"xnat:{one}ScanData".lower(): f"xnat:{one}ScanData" for one in SCANS}
_SESSION_TYPES: Final = {f"xnat:{one}SessionData".lower(): f"xnat:{one}SessionData" for one in SESSIONS}


def id_response(text: str, *, new: bool = False) -> Response:
    """The id of a thing that was made, or was there. `new`: of those that the original answers with 201 then."""
    return PlainTextResponse(text, 201 if new else 200)


def created_response(request: Request, id_: str) -> Response:
    """Where a thing stands that was made by a POST to the list of its kind."""
    address = urls.posted(request.scope["path"], id_)
    return PlainTextResponse(address, headers={"Location": address})


def name_missing_error(kind: str, field: str) -> Usage:
    """Why nothing is made of a POST that names no thing."""
    return RequestInvalid(f"The request gives the new {kind} no {field}.", f"Say {field}, or PUT to its address.")


async def read_fields(context: RequestContext, document: Sequence[tuple[str, str]] | None = None) -> DocumentFields:
    """What the query says, and a form or a document in the body where there is one, which may have been read."""
    pairs = list(await read_document_pairs(context) if document is None else document)
    return parse_fields([*(pairs or await read_form(context.request)), *context.request.query_params.multi_items()])


def none_if_hidden(ask: Callable[[], T]) -> T | None:
    """What is there and may be changed; None where there is nothing of that name."""
    try:
        return ask()
    except AccessDenied as error:
        if error.answer is AccessDecision.HIDDEN:
            return None
        raise


# -- projects and subjects ---------------------------------------------------------------------------------------------


@routes.put("/data/projects/{project}")
async def project(request: Request, context: SignedInContext, project: str) -> Response:
    """Made with its maker as owner, or what is said of it written. At an alias none is, as in the original: 409."""
    alias = getattr(request.state, "project_alias", "")
    if alias:
        raise AliasTaken(
            f"{alias[:MAX_SHOWN]!r} is an alias of the project {project}.",
            f"PUT to /data/projects/{project} to change that project, or choose another id.",
        )
    fields = parse_project_fields([*await read_document_pairs(context), *request.query_params.multi_items()])
    exists = await context.read(
        lambda c: rights.is_allowed(c, context.service_context.principal, Action.PROJECT_SEE, project)
    )
    write = edit_description if exists else create_described_project
    return id_response(await context.run(lambda: write(context.service_context, project, fields)))


@routes.post("/data/projects")
async def post_project(request: Request, context: SignedInContext) -> Response:
    """A new project of what a document, or the query, says."""
    pairs = [*await read_document_pairs(context), *request.query_params.multi_items()]
    project_id, fields = parse_fields(pairs).get("id"), parse_project_fields(pairs)
    if not project_id:
        raise name_missing_error("project", "ID")
    return created_response(
        request, await context.run(lambda: create_described_project(context.service_context, project_id, fields))
    )


@routes.post("/data/projects/{project}/subjects")
async def post_subject(request: Request, context: SignedInContext) -> Response:
    """A new subject of what a document, or the query, says."""
    pairs = [*await read_document_pairs(context), *request.query_params.multi_items()]
    label, fields = parse_fields(pairs).get("label"), parse_subject_fields(pairs)
    if not label:
        raise name_missing_error("subject", "label")
    project = request.path_params["project"]
    number, new = await context.run(lambda: create_subject(context.service_context, project, label, fields))
    if not new:
        raise LabelTaken(f"There is a subject {label[:128]} already.", "Choose another label, or PUT it.")
    return created_response(request, subject_id(number))


async def subject(request: Request, context: SignedInContext) -> Response:
    """Made where missing; another label renames it, and what is said of the person is written.

    A document takes back what it lacks where the query has `allowDataDeletion=true`.
    """
    document = await read_document_pairs(context, sniff_body=False)
    whole = bool(document) and is_true(request.query_params.get("allowDataDeletion"))
    id_, new = await put_subject(context, [*document, *request.query_params.multi_items()], whole=whole)
    return id_response(id_, new=new)


async def put_subject(
    context: RequestContext, pairs: Sequence[tuple[str, str]], *, whole: bool = False
) -> tuple[str, bool]:
    """The id of the subject at an address, made of what is said or changed by it; whether it is new.

    `whole`: what is not said is taken back.
    """
    label, fields = parse_fields(pairs).get("label"), parse_subject_fields(pairs)
    if whole:
        fields = dict.fromkeys(SUBJECT_FIELDS.values(), "") | fields
    existing = await context.read(lambda c: none_if_hidden(lambda: lookup_subject(c, context, Action.SUBJECT_EDIT)))
    path_params = context.request.path_params
    if existing is None:
        if "project" not in path_params or subject_number(path_params["subject"]) is not None:
            await context.read(lambda c: lookup_subject(c, context, Action.SUBJECT_EDIT))  # which tells why not
        number, new = await context.run(
            lambda: create_subject(context.service_context, path_params["project"], path_params["subject"], fields)
        )
        if new:
            return subject_id(number), True
        existing = await context.read(
            lambda c: lookup_subject(c, context, Action.SUBJECT_EDIT)
        )  # made in this very moment
    uuid = existing.uuid
    if label and label != existing.label:
        await context.run(
            lambda: rename_subject(
                context.service_context,
                uuid,
                label,
                write=lambda c: write_subject_attributes(context.service_context, c, uuid, fields),
            )
        )
    elif fields:
        await context.run(lambda: edit_subject(context.service_context, uuid, fields))
    return existing.id, False


for _where in SUBJECTS:
    routes.put(_where)(subject)


# -- experiments -------------------------------------------------------------------------------------------------------


async def experiment(context: SignedInContext) -> Response:
    """Made where missing, with its subject; else changed, and whatever the query has done with it.

    An assessor of the name is changed, and none is made here: no address of this form says its session.
    """
    assessor = await context.read(lambda c: _find_existing_assessor(c, context))
    if assessor is not None:
        assessor_request = await read_assessor_request(context)
        return id_response(
            (
                await context.run(
                    lambda: put_assessor(context.service_context, assessor.session, assessor.id, assessor_request)
                )
            )[0]
        )
    document = await read_document(context)
    created, new = await put_experiment(context, document, await read_fields(context, document.pairs))
    return id_response(created.id, new=new)


async def post_experiment(request: Request, context: SignedInContext) -> Response:
    """A new session of what a document, or the query, says, with its scans."""
    document = await read_document(context)
    fields = await read_fields(context, document.pairs)
    label = fields.get("label")
    if not label:
        raise name_missing_error("session", "label")
    request.path_params["experiment"] = label
    if "subject" in request.path_params:
        await context.read(lambda c: lookup_subject(c, context, Action.SESSION_EDIT))  # which a PUT would make
    if await context.read(lambda c: _find_existing(c, context)) is not None:
        raise LabelTaken(f"There is a session {label[:128]} already.", "Choose another label, or PUT it.")
    created, _ = await put_experiment(context, document, fields)
    return created_response(request, created.id)


async def put_experiment(
    context: RequestContext, document: Document, fields: DocumentFields
) -> tuple[Experiment, bool]:
    """The experiment at an address, made of what is said or changed by it; whether it is new."""
    request = context.request
    scans = read_scan_requests(document)
    session_creation.check_scans(scans)  # nothing is made of what is refused
    existing = await context.read(lambda c: _find_existing(c, context))
    if existing is None:
        # A document may be the copy of another session's: what is made of it is called by the address.
        label = (parse_fields(request.query_params.multi_items()) if document.pairs else fields).get("label")
        label = label or request.path_params["experiment"]
        try:
            created = await context.run(lambda: _make_experiment(context, fields, label, scans))
        except LabelTaken:
            existing = await context.read(lambda c: _find_existing(c, context))
            if existing is None:  # else somebody has made it in this very moment
                raise
        else:
            quarantined = _read_quarantine(context, created)
            if quarantined is not None:
                status_change = session_creation.SessionChange(quarantined=quarantined)
                await context.run(
                    lambda: session_creation.change_session(context.service_context, created.record.uuid, status_change)
                )
            return created, True
    if existing.record.quarantined:
        in_project = existing.record.project
        await context.read(lambda c: _check_status(c, context, in_project))
    change = await context.read(lambda c: _make_change(c, context, existing, fields, scans))
    await context.run(lambda: session_creation.change_session(context.service_context, existing.record.uuid, change))
    uuid, query = existing.record.uuid, request.query_params
    if is_true(query.get("pullDataFromHeaders")):
        await context.run(lambda: pull_headers(context.service_context, uuid))
    elif is_true(query.get("fixScanTypes")):
        await context.run(lambda: rebuild_session(context.service_context, uuid))
        await context.run(lambda: fix_scan_types(context.service_context, uuid))
    return existing, False


async def make_scans(
    context: RequestContext, target: Experiment, scans: Sequence[session_creation.ScanRequest]
) -> None:
    change = session_creation.SessionChange(scans=_with_usual_type(scans, target.record.xsi_type))
    await context.run(lambda: session_creation.change_session(context.service_context, target.record.uuid, change))


def _with_usual_type(
    scans: Sequence[session_creation.ScanRequest], xsi_type: str
) -> list[session_creation.ScanRequest]:
    """Scans as a session of some type has them: of its own type's where none is named."""
    kind = xsi_type.replace("SessionData", "ScanData")
    return [
        replace(scan_request, usual_type=_SCAN_TYPES.get(kind.lower(), "xnat:otherDicomScanData"))
        for scan_request in scans
    ]


def read_scan_requests(document: Document) -> list[session_creation.ScanRequest]:
    """The scans within a session's document, each once. Usage `request_invalid`, `type_unknown`, `value_invalid`."""
    if len(document.scans) > DOCUMENT_SCANS:
        many = f"The document has {len(document.scans):,} scans."
        raise RequestInvalid(many, f"At most {DOCUMENT_SCANS:,} are made at once: send it in parts.")
    requests: dict[str, session_creation.ScanRequest] = {}
    for pairs in document.scans:
        fields = parse_fields(pairs)
        scan_request = make_scan_request(fields, fields.get("id"))
        if scan_request.id.casefold() in requests:
            raise RequestInvalid(f"The document has the scan {scan_request.id[:128]!r} twice.", "Say it once.")
        requests[scan_request.id.casefold()] = scan_request
    return list(requests.values())


def make_scan_request(fields: DocumentFields, scan_id: str, usual_type: str = "") -> session_creation.ScanRequest:
    """What is said of a scan; `usual_type`: its type where no field says it. Usage `type_unknown`, `value_invalid`."""
    kind = fields.get("type") or usual_type
    edits = {name: fields.fields[name] for name in ("quality", "note") if fields.fields.get(name)}
    if fields.get("type"):
        edits["type"] = kind
    return session_creation.ScanRequest(
        id=scan_id,
        type=kind,
        xsi_type=_read_scan_type(fields),
        attributes=fields.known(SCAN_FIELDS),
        edits=edits,
        parameters=fields.parameters(),
    )


def _read_scan_type(fields: DocumentFields) -> str:
    """The type that a request names; empty where it names none, or that of every scan. Usage `type_unknown`."""
    kind = _SCAN_TYPES.get(fields.xsi_type.lower(), "")
    if not kind and fields.xsi_type and fields.xsi_type.lower() != "xnat:imagescandata":
        raise TypeUnknown(
            f"{fields.xsi_type[:64]} is no type of a scan.",
            f"Say xsiType=xnat:mrScanData, or in the place of mr one of {', '.join(SCANS)}.",
        )
    return kind


def _check_status(connection: Connection, context: RequestContext, project: str) -> None:
    """AccessDenied to who may not activate and asks for it, before any of the request is done."""
    if is_true(context.request.query_params.get("activate")):
        rights.check(connection, context.service_context.principal, Action.SESSION_ACTIVATE, project)


def _read_quarantine(context: RequestContext, existing: Experiment) -> bool | None:
    """Whether a session is to be in quarantine, where that is asked for and is not so yet.

    `activate=true` takes it out, which is for owners; `quarantine=true` puts it there.
    """
    query = context.request.query_params
    quarantined = False if is_true(query.get("activate")) else True if is_true(query.get("quarantine")) else None
    return quarantined if quarantined != existing.record.quarantined else None


def _find_existing(connection: Connection, context: RequestContext) -> Experiment | None:
    """The experiment that an address names, under whatever subject it stands there now. AccessDenied."""
    path_params = context.request.path_params
    return none_if_hidden(
        lambda: find_experiment(
            connection,
            context.service_context.principal,
            path_params["experiment"],
            in_project=path_params.get("project"),
            action=Action.SESSION_EDIT,
        )
    )


def _find_existing_assessor(connection: Connection, context: RequestContext) -> Assessor | None:
    """The assessor that an address names, where no session has that name. AccessDenied below another subject, too."""
    if _find_existing(connection, context) is not None:
        return None
    path_params = context.request.path_params

    def find(of_subject: str | None) -> Assessor:
        return find_any_assessor(
            connection,
            context.service_context.principal,
            path_params["experiment"],
            in_project=path_params.get("project"),
            of_subject=of_subject,
            action=Action.SESSION_EDIT,
        )

    if none_if_hidden(lambda: find(None)) is None:
        return None
    return find(path_params.get("subject"))


def _make_experiment(
    context: RequestContext, fields: DocumentFields, label: str, scans: Sequence[session_creation.ScanRequest]
) -> Experiment:
    """A session made by hand, with its scans, without files."""
    path_params, service_context, query = (
        context.request.path_params,
        context.service_context,
        context.request.query_params,
    )
    to_be_changed = not fields.xsi_type and any(is_true(query.get(option)) for option in _EXISTING_ONLY)
    if to_be_changed or experiment_number(path_params["experiment"]) is not None:
        raise NotFound("There is no experiment of that name, or you may not know of it.", "Check the name.")
    kind = _SESSION_TYPES.get(fields.xsi_type.lower())
    if kind is None:
        problem = f"{fields.xsi_type[:64]} is" if fields.xsi_type else "The request says"
        raise TypeUnknown(
            f"{problem} no type of an imaging session.",
            f"Say xsiType=xnat:mrSessionData, or in the place of mr one of {', '.join(SESSIONS)}.",
        )
    with service_context.catalog.read() as connection:
        owner = _find_subject_name(connection, context, fields)
        _check_status(connection, context, owner.project)
    attributes = {name: text for name, text in fields.known(SESSION_FIELDS).items() if text}
    new_session = session_creation.NewSession(
        project=owner.project,
        subject=owner.label,
        label=label,
        xsi_type=kind,
        attributes=attributes,
        scans=_with_usual_type(scans, kind),
    )
    session_creation.create_session(service_context, new_session)
    with service_context.catalog.read() as connection:
        return find_experiment(connection, service_context.principal, label, in_project=owner.project)


@dataclass(frozen=True, slots=True)
class _SubjectName:
    project: str
    label: str


def _find_subject_name(connection: Connection, context: RequestContext, fields: DocumentFields) -> _SubjectName:
    """The subject that a new session is of: in the address, else in the query."""
    path_params, principal = context.request.path_params, context.service_context.principal
    in_project = path_params.get("project") or fields.get("project") or None
    subject_name = path_params.get("subject") or fields.get("subject_id", "subject_label", "subject")
    if not subject_name:
        raise SubjectMissing
    existing = none_if_hidden(lambda: find_subject(connection, principal, subject_name, in_project=in_project))
    if existing is not None:
        return _SubjectName(existing.project, existing.label)
    if in_project is None or subject_number(subject_name) is not None:
        raise NotFound("There is no subject of that name, or you may not know of it.", "Check the address.")
    rights.check(connection, principal, Action.SESSION_EDIT, in_project)
    return _SubjectName(in_project, subject_name)


def _make_change(
    connection: Connection,
    context: RequestContext,
    existing: Experiment,
    fields: DocumentFields,
    scans: Sequence[session_creation.ScanRequest],
) -> session_creation.SessionChange:
    """Label, subject, type, status, attributes and scans, as far as they are said and differ."""
    record, path_params = existing.record, context.request.path_params
    project_name = fields.get("project")
    if project_name and project_name.casefold() != record.project.casefold():
        raise ProjectOther
    label = fields.get("label")
    label = label if label != record.label else ""
    new_subject = ""
    for subject_name in (fields.get("subject_id", "subject_label"), path_params.get("subject", "")):
        if subject_name and not new_subject:
            new_subject = _find_other_subject(connection, context, existing, subject_name)
    if (
        new_subject
        and not fields.get("subject_id", "subject_label")
        and experiment_number(path_params["experiment"]) is None
    ):
        raise LabelTaken("A session of that label stands under another subject.", "Choose another label.")
    return session_creation.SessionChange(
        label=label or None,
        subject=new_subject or None,
        xsi_type=_SESSION_TYPES.get(fields.xsi_type.lower(), ""),
        quarantined=_read_quarantine(context, existing),
        fields=fields.known(SESSION_FIELDS),
        scans=_with_usual_type(scans, record.xsi_type),
    )


def _find_other_subject(
    connection: Connection, context: RequestContext, existing: Experiment, subject_name: str
) -> str:
    """The label of the subject that is named, where it is another than the session's; empty where it is not."""
    record = existing.record
    if subject_name.casefold() == record.subject.casefold() or subject_number(subject_name) == record.subject_id:
        return ""
    if subject_number(subject_name) is None:
        return subject_name
    other: SubjectRecord = find_subject(
        connection, context.service_context.principal, subject_name, in_project=record.project
    )
    return other.label


for _where in EXPERIMENTS:
    routes.put(_where)(experiment)
for _where in ("/data/projects/{project}", *SUBJECTS):
    routes.post(f"{_where}/experiments")(post_experiment)

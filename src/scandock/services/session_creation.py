"""Making sessions, scans and resources by hand, and changing what is said of them (xnat-clients.md 2.4).

A session made by hand has a tree like any other, which may be empty. Scans and resources without files are rows alone:
one transaction, made while nobody plans with the session.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import Final, TypedDict, cast

from sqlalchemy import Connection, delete, insert, select, update

from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.records import ScanEdit, SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.sessions import note_listing
from scandock.catalog.tables import project, resource, scan, session
from scandock.catalog.trees import ScanRow, resources_of, scans_of
from scandock.catalog.trees import scan_values as scan_values_of
from scandock.model.dataclass import dataclass
from scandock.model.xnat_ids import experiment_number, subject_number
from scandock.publishing.intents import OwnResourcesRow, SessionRow
from scandock.publishing.locks import locks_of, session_locks
from scandock.publishing.operations import Operation, lock_names, run_operation
from scandock.publishing.tree_plan import TreePlan, build_trees
from scandock.queue.tokens import new_uuid
from scandock.rules.errors import LabelUnusable
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.permissions import Action
from scandock.rules.session_fields import ADDED, list_fields_by_hand, merge_parameters, parameter_attributes
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.editing import check_scan_values, edit_session
from scandock.services.moving import check_label, check_no_assessor, find_sessions_by_label
from scandock.services.session_errors import LabelTaken, ProjectUnassigned, ScanIdInvalid, ScanUnknown, TypeOther
from scandock.services.session_parts import ALL
from scandock.store.paths import CHANGED_TREE, TreePath, archive_path, scan_id

_DEFAULT_EDITS: Final = {"type": "", "quality": "usable", "note": ""}
"""What is known of a new scan of which nobody said anything."""


def check_new_label(text: str) -> str:
    """A label for a thing that is to be made. Usage `label_unusable`."""
    if experiment_number(text) is not None or subject_number(text) is not None:
        raise LabelUnusable(
            f"{text[:100]!r} is an id of the server's own, of nothing that is there.",
            "Choose another label.",
        )
    label = check_label(text)
    assert label is not None
    return label


def find_project_for_changes(connection: Connection, name: str) -> tuple[int, str]:
    """Number and id of a project, whose rights were asked. Usage for `Unassigned`."""
    row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).one()
    if row.name == UNASSIGNED:
        raise ProjectUnassigned("In Unassigned nothing is made by hand.", "Choose another project.")
    return row.id, row.name


# -- sessions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session that is to be made."""

    project: str
    subject: str
    label: str
    xsi_type: str
    attributes: Mapping[str, str]
    scans: Sequence[ScanRequest] = ()
    """Each once."""


def create_session(context: ServiceContext, new_session: NewSession) -> str:
    """Make an archived session without files, its subject where missing; its UUID. AccessDenied, Usage `label_taken`.

    With its scans, or not at all: also where the program is killed.
    """
    check_scans(new_session.scans)
    scans = [_new_scan(each_scan, n) for n, each_scan in enumerate(new_session.scans)]
    label, subject_label = check_new_label(new_session.label), check_new_label(new_session.subject)
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SESSION_EDIT, new_session.project)
        project_id, name = find_project_for_changes(connection, new_session.project)
    uuid = new_uuid()
    with run_operation(context.catalog, context.store, "make") as running:
        reserved = session_locks(name, label=label, subject=subject_label, study_uid=None)
        with running.reserve_names({name}, lambda _: reserved) as connection:
            if find_sessions_by_label(connection, project_id, label):
                raise LabelTaken("There is a session of that label already.", "Choose another label.")
            check_no_assessor(connection, project_id, label)
            quarantined = connection.execute(
                select(project.c.quarantine).where(project.c.id == project_id)
            ).scalar_one()
        row = SessionRow(
            uuid=uuid,
            new=True,
            project_id=project_id,
            subject=subject_label,
            make_subject=True,
            label=label,
            key=label_key(label),
            place="archive",
            timestamp="",
            state="ready",
            study_uid=None,
            patient_id="",
            ecat=False,
            by_hand=True,
            type_by_hand=True,
            fields_by_hand=sorted(new_session.attributes),
            quarantined=quarantined,
            xsi_type=new_session.xsi_type,
            attributes=dict(new_session.attributes),
            edits=_scan_edits(new_session.scans),
            scans=len(scans),
        )

        def note(connection: Connection) -> None:
            context.note(connection, "edit", uuid, name, {"made": True})
            for each_scan in scans:
                context.note(connection, "edit", uuid, name, {"scan": each_scan.scan_id, "made": True})

        publish_empty_tree(running, archive_path(name, label), row, scans, note)
    return uuid


def publish_empty_tree(
    running: Operation,
    name: TreePath,
    row: SessionRow | OwnResourcesRow,
    scans: Sequence[ScanRow],
    note: Callable[[Connection], object],
) -> None:
    """Show a tree that is new and has no file."""
    plan = TreePlan(root=CHANGED_TREE, scans=scans, resources=())
    (built,) = build_trees(running.catalog, running.stage, running.lease, [plan], running.check)
    running.stage.seal()
    running.show([built.placement(name, row)], [], note)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """What a request says of an archived session that is there: None, or nothing, leaves that as it is."""

    label: str | None = None
    subject: str | None = None
    quarantined: bool | None = None
    xsi_type: str = ""
    """Of one made by hand alone."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Attributes, which imports then leave; an empty text takes one back, and what its objects say comes back with the
    next import.
    """
    scans: Sequence[ScanRequest] = ()
    """Scans that are made, or of which more is said where they are there."""


def change_session(context: ServiceContext, uuid: str, change: SessionChange) -> None:
    """Do all that a request says of a session, or nothing of it, also where the program is killed.

    AccessDenied, Usage `label_taken`, `scan_id_invalid`, and `type_other` where a scan that is there is of another
    type.
    """
    check_scans(change.scans)
    if (change.label, change.subject, change.quarantined) != (None, None, None):
        edit_session(
            context,
            uuid,
            label=change.label,
            subject_label=change.subject,
            quarantined=change.quarantined,
            more=lambda connection, source: _row_values(connection, source, change),
            write=lambda connection, source: _write_scans(context, connection, source, change),
        )
        return
    if not (change.fields or change.xsi_type or change.scans):
        return
    with session_transaction(context, uuid) as (connection, source):
        values = _row_values(connection, source, change)
        if values:
            connection.execute(update(session).where(session.c.id == source.id).values(**to_column_values(values)))
        _write_scans(context, connection, source, change)


class SessionValues(TypedDict, total=False):
    """What a session's row says anew, by fields of `SessionRow`."""

    attributes: dict[str, str]
    fields_by_hand: list[str]
    xsi_type: str
    type_by_hand: bool
    scans: int


def _row_values(connection: Connection, source: SessionRecord, change: SessionChange) -> SessionValues:
    """What a session's row says once a change is made, by fields of `SessionRow`."""
    values: SessionValues = edited_row_values(source, fields) if (fields := _changed_fields(source, change)) else {}
    if change.xsi_type and change.xsi_type != source.xsi_type and source.by_hand:
        values["xsi_type"], values["type_by_hand"] = change.xsi_type, True
    if change.scans:
        scan_ids = {each_scan.scan_id for each_scan in scans_of(connection, source.tree_id)}
        values["scans"] = len(scan_ids | {each_scan.id for each_scan in change.scans})
    return values


def _changed_fields(source: SessionRecord, change: SessionChange) -> dict[str, str]:
    return {name: text for name, text in change.fields.items() if source.attributes.get(name, "") != text}


def _write_scans(context: ServiceContext, connection: Connection, source: SessionRecord, change: SessionChange) -> None:
    """Write a session's scans, and the audit of what its row says."""
    _create_scans(context, connection, source, change.scans)
    if fields := _changed_fields(source, change):
        context.note(connection, "edit", source.uuid, source.project, {"fields": sorted(fields)})


def edited_row_values(source: SessionRecord, fields: Mapping[str, str]) -> SessionValues:
    """What a session's row says once a person has said these fields; an empty text takes one back."""
    attributes = {**source.attributes, **fields}
    return {
        "attributes": {name: text for name, text in attributes.items() if text},
        "fields_by_hand": list_fields_by_hand(source.fields_by_hand, fields),
    }


def to_column_values(values: SessionValues) -> dict[str, object]:
    """The same as columns have it: lists and objects as JSON."""
    return {name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in values.items()}


@contextmanager
def session_transaction(
    context: ServiceContext, uuid: str, action: Action = Action.SESSION_EDIT
) -> Iterator[tuple[Connection, SessionRecord]]:
    """A transaction that changes rows of an archived session, while nobody plans with it.

    AccessDenied, `session_busy`.
    """

    def find(connection: Connection) -> SessionRecord:
        return rights.find_session_for(connection, context.principal, uuid, action, place="archive")

    with context.catalog.read() as connection:
        name = find(connection).project
    with lock_names(context.catalog, {name}, lambda c: locks_of(find(c))) as connection:
        source = find(connection)
        yield connection, source
        note_listing(connection, source.id)
        connection.execute(update(session).where(session.c.id == source.id).values(modified=context.catalog.now()))
        mark_project_changed(connection, source.project_id)


# -- scans and resources -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """A scan as a request says it."""

    id: str
    type: str = ""
    """Of a new one."""
    xsi_type: str = ""
    """Empty where the request names none."""
    usual_type: str = "xnat:otherDicomScanData"
    """The type of a new one where none is named."""
    attributes: Mapping[str, str]
    edits: Mapping[str, str]
    """Type, quality and note that are said of it (`editing.check_scan_values`), where it has others."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Those that are added to it; an empty text takes one back."""


def _create_scans(
    context: ServiceContext, connection: Connection, source: SessionRecord, requests: Sequence[ScanRequest]
) -> None:
    """Make empty scans, or say more of those that are there."""
    if not requests:
        return
    scans = {each_scan.scan_id: each_scan for each_scan in scans_of(connection, source.tree_id)}
    last = max((each_scan.n for each_scan in scans.values()), default=-1)
    used_ids = {each_scan.casefold() for each_scan in scans}
    for request in requests:
        row = scans.get(request.id)
        new = row is None
        if row is not None:
            _update_scan(connection, source, row, request)
        else:
            _check_scan_id_free(used_ids, request.id)
            used_ids.add(request.id.casefold())
            last += 1
            row = scans[request.id] = _new_scan(request, last)
            _add_scan(context, connection, source, row)
        _edit_scan(context, connection, source, row, request)
        context.note(connection, "edit", source.uuid, source.project, {"scan": request.id, "made": new})


def check_scans(requests: Iterable[ScanRequest]) -> None:
    """Usage for what no session's scans can be, before anything is made of it."""
    for request in requests:
        _check_scan_id(request.id)
        check_scan_values(request.edits)
        merge_parameters("{}", request.parameters)


def _new_scan(request: ScanRequest, n: int) -> ScanRow:
    kind = request.xsi_type or request.usual_type
    attributes = {name: text for name, text in request.attributes.items() if text}
    return ScanRow(n, request.id, None, "", kind, request.type, {**attributes, "type": request.type})


def _scan_edits(requests: Sequence[ScanRequest]) -> list[ScanEdit]:
    """What a person said of new scans, as rows of `scan_edit`: none of those of which nothing was said."""
    scan_edits: list[ScanEdit] = []
    for request in requests:
        edits = {"type": request.type, **check_scan_values(request.edits)}
        changed = {name: text for name, text in edits.items() if text != _DEFAULT_EDITS[name]}
        if changed or request.parameters:
            parameters = merge_parameters("{}", request.parameters)
            said = {**dict.fromkeys(_DEFAULT_EDITS), **changed}
            scan_edits.append(cast("ScanEdit", {"scan_id": request.id, **said, "parameters": parameters}))
    return scan_edits


def _check_scan_id(text: str) -> None:
    """Usage `scan_id_invalid`; also for the word that addresses every scan of a session."""
    try:
        scan_id(text)
        usual = text.upper() not in ALL
    except ValueError:
        usual = False
    if not usual:
        raise ScanIdInvalid(text[:100])


def _check_scan_id_free(used_ids: set[str], scan_id: str) -> None:
    """Folders of scans are told apart in any case."""
    if scan_id.casefold() in used_ids:
        raise LabelTaken("There is a scan of that id in another case already.", "Choose another id.")


def _add_scan(context: ServiceContext, connection: Connection, source: SessionRecord, row: ScanRow) -> None:
    connection.execute(insert(scan).values(**scan_values_of(source.tree_id, row)))
    connection.execute(delete(scan_edit).where(scan_edit.c.session_id == source.id, scan_edit.c.scan_id == row.scan_id))
    if row.type:  # what a person says stays when headers are read
        values = {"session_id": source.id, "scan_id": row.scan_id, "type": row.type, "modified": context.catalog.now()}
        connection.execute(insert(scan_edit).values(**values))


def _update_scan(connection: Connection, source: SessionRecord, row: ScanRow, request: ScanRequest) -> None:
    if request.xsi_type and request.xsi_type != row.xsi_type:
        raise TypeOther(request.id, row.xsi_type, request.xsi_type)
    attributes = {name: text for name, text in {**row.attributes, **request.attributes}.items() if text}
    if attributes != row.attributes:
        where = (scan.c.tree_id == source.tree_id, scan.c.n == row.n)
        connection.execute(update(scan).where(*where).values(attributes=json.dumps(attributes)))


def _edit_scan(
    context: ServiceContext, connection: Connection, source: SessionRecord, scan_row: ScanRow, request: ScanRequest
) -> None:
    """Note what a person says of a scan, where that is other than what is known of it."""
    where = (scan_edit.c.session_id == source.id, scan_edit.c.scan_id == scan_row.scan_id)
    columns = (scan_edit.c.type, scan_edit.c.quality, scan_edit.c.note, scan_edit.c.parameters)
    row = connection.execute(select(*columns).where(*where)).first()
    usual = {**_DEFAULT_EDITS, "type": scan_row.type, "parameters": "{}"}
    current = usual if row is None else {**usual, **{k: v for k, v in row._asdict().items() if v is not None}}
    before = parameter_attributes(current["parameters"])
    added = {  # without what its headers say already: a document that is sent back changes nothing
        name: text
        for name, text in request.parameters.items()
        if f"{ADDED}{name}" in before or text != scan_row.attributes.get(f"{ADDED}{name}")
    }
    edits = {**check_scan_values(request.edits), "parameters": merge_parameters(current["parameters"], added)}
    values: dict[str, object] = {name: text for name, text in edits.items() if text != current[name]}
    if not values:
        return
    values["modified"] = context.catalog.now()
    if row is not None:
        connection.execute(update(scan_edit).where(*where).values(**values))
    else:
        connection.execute(insert(scan_edit).values(session_id=source.id, scan_id=scan_row.scan_id, **values))


def create_resource(
    context: ServiceContext, uuid: str, scan_id: str | None, label: str, kind: Mapping[str, str]
) -> bool:
    """Make an empty resource, or say its content, format and tags anew; whether it is new. Usage `scan_unknown`."""
    with session_transaction(context, uuid) as (connection, source):
        scan_n = None
        if scan_id is not None:
            scan_n = next((row.n for row in scans_of(connection, source.tree_id) if row.scan_id == scan_id), None)
            if scan_n is None:
                raise ScanUnknown(
                    f"The session has no scan {scan_id[:128]!r}.",
                    "Make it first, or name one that is there.",
                )
        new = upsert_resource(connection, source.tree_id, scan_n, label, kind)
        context.note(connection, "edit", uuid, source.project, {"fields": ["resources"], "made": new})
    return new


def upsert_resource(
    connection: Connection, tree_id: int, scan_n: int | None, label: str, kind: Mapping[str, str]
) -> bool:
    """Let a tree have a resource, or say more of the one that it has; whether it is new."""
    rows = resources_of(connection, tree_id)
    existing = next((r for r in rows if r.scan_n == scan_n and r.label.casefold() == label.casefold()), None)
    values_given = {name: text for name, text in kind.items() if text}
    if existing is None:
        n = max((row.n for row in rows), default=-1) + 1
        values = {"scan_n": scan_n, "label": label, "content": "", "format": "", "files": 0, "bytes": 0, **values_given}
        connection.execute(insert(resource).values(tree_id=tree_id, n=n, **values))
    elif values_given:
        where = (resource.c.tree_id == tree_id, resource.c.n == existing.n)
        connection.execute(update(resource).where(*where).values(**values_given))
    return existing is None

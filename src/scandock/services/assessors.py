"""Image assessors: experiments that belong to a session (quality control, FreeSurfer), made, changed, found, deleted.

Who may do something to a session's fields may do it to its assessors; they go where the session goes, to the trash too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from scandock.access.principal import Principal, ProjectRights, decide_access_of, raise_denied
from scandock.catalog.assessors import assessor_rows, assessors_labelled, labels_of_assessors
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession, assessor
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.xnat_ids import experiment_id, experiment_number, subject_number
from scandock.queue.tokens import new_uuid
from scandock.rules.assessor_documents import (
    AssessorDocument,
    SaidOfAssessor,
    apply_said,
    as_json,
    new_document,
    type_missing,
)
from scandock.rules.labels import label_key
from scandock.rules.permissions import AccessDecision, Action
from scandock.services.audit import DetailValue
from scandock.services.context import ServiceContext
from scandock.services.moving import check_label, check_no_assessor, find_sessions_by_label
from scandock.services.session_creation import check_new_label, session_transaction
from scandock.services.session_errors import AssessorTypeOther, LabelTaken
from scandock.services.xnat_lookup import Experiment

_MANY = 1000
"""Assessors of one label, in as many projects, that are looked at."""

_MANY_FIELDS = 50
"""Fields that a line of the audit names."""


@dataclass(frozen=True, slots=True)
class Assessor:
    """An assessor of an archived session."""

    number: int
    uuid: str
    label: str
    xsi_type: str
    document: str
    """As the catalog keeps it (`AssessorDocument`); empty where it was not asked for."""
    created: int
    session: Experiment

    @classmethod
    def from_row(cls, row: RowMapping, experiment: Experiment) -> Self:
        """A row of `assessor_rows`, of an assessor of that session."""
        return cls(
            number=row["number"],
            uuid=row["uuid"],
            label=row["label"],
            xsi_type=row["xsi_type"],
            document=row.get("document", ""),
            created=row["created"],
            session=experiment,
        )

    @property
    def id(self) -> str:
        return experiment_id(self.number)

    @property
    def uri(self) -> str:
        return uris.experiment(self.id)


def find_assessor(connection: Connection, principal: Principal, name: str, experiment: Experiment) -> Assessor:
    """The assessor of an id or label of a session, whose rights were asked. AccessDenied where it has none."""
    found = _find_in_session(connection, experiment, name)
    if found is None:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    return found


def find_any_assessor(
    connection: Connection,
    principal: Principal,
    name: str,
    *,
    in_project: str | None = None,
    of_subject: str | None = None,
    action: Action = Action.SESSION_READ,
) -> Assessor:
    """The assessor of an id or label, whatever session has it, as `xnat_lookup.find_experiment` finds one.

    AccessDenied.
    """
    number = experiment_number(name)
    own_number = accession.alias("own_number")
    query = (
        session_rows()
        .add_columns(accession.c.number, own_number.c.number.label("own"))
        .join(accession, accession.c.uuid == session.c.uuid)
        .join(assessor, assessor.c.session_uuid == session.c.uuid)
        .join(own_number, own_number.c.uuid == assessor.c.uuid)
        .where(session.c.place == "archive")
        .where(assessor.c.key == label_key(name) if number is None else own_number.c.number == number)
    )
    if in_project is not None:
        query = query.where(project.c.key == in_project.casefold())
    if of_subject is not None:
        subject_id = subject_number(of_subject)
        subject_condition = subject.c.key == of_subject.casefold() if subject_id is None else subject.c.id == subject_id
        query = query.join(subject, subject.c.id == session.c.subject_id).where(subject_condition)
    project_rights = ProjectRights(connection)
    rows = list(connection.execute(query.limit(_MANY)).mappings())
    experiments, own_numbers = [Experiment.from_row(row) for row in rows], [row["own"] for row in rows]
    answers = [decide_access_of(principal, action, item.record.project, project_rights) for item in experiments]
    allowed = [at for at, answer in enumerate(answers) if answer is AccessDecision.ALLOWED]
    if len(allowed) != 1:
        hidden = AccessDecision.HIDDEN if principal.signed_in or allowed else AccessDecision.SIGN_IN
        raise_denied(
            AccessDecision.FORBIDDEN if AccessDecision.FORBIDDEN in answers and not allowed else hidden,
            principal,
            action,
        )
    (at,) = allowed
    query = assessor_rows().where(accession.c.number == own_numbers[at])
    return Assessor.from_row(connection.execute(query).mappings().one(), experiments[at])


def list_assessors(
    connection: Connection, sessions: Sequence[Experiment], *, most_bytes: int
) -> dict[int, list[Assessor]]:
    """The assessors of sessions, by the numbers of their rows; without their documents where these are too large."""
    if not sessions:
        return {}
    by_uuid = {item.record.uuid: item for item in sessions}
    total = func.coalesce(func.sum(func.length(assessor.c.document)), 0)
    assessors_by_session: dict[int, list[Assessor]] = {}
    uuids = list(by_uuid)
    chunks = [uuids[at : at + 500] for at in range(0, len(uuids), 500)]
    size = sum(
        connection.execute(select(total).where(assessor.c.session_uuid.in_(chunk))).scalar_one() for chunk in chunks
    )
    if not size:
        return {}
    for chunk in chunks:
        query = assessor_rows().where(assessor.c.session_uuid.in_(chunk)).order_by(assessor.c.id)
        if size > most_bytes:
            columns = [item for item in assessor.c if item.name not in ("document", "fields")]
            query = query.with_only_columns(*columns, accession.c.number, maintain_column_froms=True)
        for row in connection.execute(query).mappings():
            experiment = by_uuid[row["session_uuid"]]
            assessors_by_session.setdefault(experiment.record.id, []).append(Assessor.from_row(row, experiment))
    return assessors_by_session


def put_assessor(
    context: ServiceContext, experiment: Experiment, name: str, changes: SaidOfAssessor, *, new: bool = False
) -> tuple[str, bool]:
    """Make an assessor of a session, or say more of it; its id, and whether it was made.

    AccessDenied; Usage `label_taken` (also where it is there and `new`), `type_unknown` where its type is not said,
    `type_other` where it is of another, `session_busy`.
    """
    with session_transaction(context, experiment.record.uuid) as (connection, source):
        found = _find_in_session(connection, experiment, name)
        if found is None:
            return experiment_id(_create_assessor(context, connection, source, name, changes)), True
        if new:
            raise _label_taken(name)
        _update_assessor(context, connection, source, found, changes)
        return found.id, False


def delete_assessor(context: ServiceContext, target: Assessor) -> None:
    """Delete an assessor; nothing brings it back. AccessDenied, which needs the right to delete its session."""
    with session_transaction(context, target.session.record.uuid, Action.SESSION_DELETE) as (connection, source):
        if not connection.execute(delete(assessor).where(assessor.c.uuid == target.uuid)).rowcount:
            raise_denied(AccessDecision.HIDDEN)
        details: dict[str, DetailValue] = {"assessor": target.label, "type": target.xsi_type, "deleted": True}
        context.note(connection, "edit", source.uuid, source.project, details)


def check_labels_of_restored(connection: Connection, project_id: int, session_uuid: str, session_label: str) -> None:
    """Usage `label_taken` where an archived session comes back, and another experiment has got its label meanwhile,
    or that of one of its assessors.
    """
    check_no_assessor(connection, project_id, session_label)
    for label in labels_of_assessors(connection, session_uuid):
        if label_key(label) == label_key(session_label):
            raise LabelTaken(f"The session has an assessor {label} itself.", "Choose another label for the session.")
        if find_sessions_by_label(connection, project_id, label) or assessors_labelled(connection, project_id, label):
            raise LabelTaken(
                f"The session has an assessor {label}, and another experiment of that label stands in the project.",
                "Give that one another label first.",
            )


def _create_assessor(
    context: ServiceContext, connection: Connection, source: SessionRecord, name: str, request: SaidOfAssessor
) -> int:
    if experiment_number(name) is not None:
        raise_denied(AccessDecision.HIDDEN)
    label = check_new_label(request.label or name)
    if not request.xsi_type:
        raise type_missing(request)
    _check_label_free(connection, source.project_id, label)
    before = new_document(request.xsi_type)
    document = apply_said(before, request)
    uuid, now = new_uuid(), context.catalog.now()
    connection.execute(
        insert(assessor).values(
            uuid=uuid,
            session_uuid=source.uuid,
            label=label,
            key=label_key(label),
            xsi_type=request.xsi_type,
            document=document.as_json(),
            fields=as_json(document.fields),
            created=now,
            modified=now,
        )
    )
    connection.execute(insert(accession).values(uuid=uuid))
    details: dict[str, DetailValue] = {"assessor": label, "type": request.xsi_type, "made": True}
    details |= _name_fields(document.differing_fields(before))
    context.note(connection, "edit", source.uuid, source.project, details)
    number: int = connection.execute(select(accession.c.number).where(accession.c.uuid == uuid)).scalar_one()
    return number


def _update_assessor(
    context: ServiceContext, connection: Connection, source: SessionRecord, target: Assessor, changes: SaidOfAssessor
) -> None:
    if changes.xsi_type and changes.xsi_type.lower() != target.xsi_type.lower():
        raise AssessorTypeOther(target.label, target.xsi_type, changes.xsi_type)
    before = AssessorDocument.from_json(target.document)
    if not changes.xsi_type and changes.document is not None and not before.has_root_of(changes.document):
        raise type_missing(changes)
    label = check_label(changes.label or None) or target.label
    if label_key(label) != label_key(target.label):
        _check_label_free(connection, source.project_id, label)
    document = apply_said(before, changes)
    values: dict[str, object] = {
        "label": label,
        "key": label_key(label),
        "document": document.as_json(),
        "fields": as_json(document.fields),
    }
    changed = [name for name in ("label", "document") if values[name] != getattr(target, name)]
    if changed:
        values["modified"] = context.catalog.now()
        connection.execute(update(assessor).where(assessor.c.uuid == target.uuid).values(**values))
        fields = document.differing_fields(before) if "document" in changed else []
        if "document" in changed and not fields:
            fields = ["document"]  # another order, or what is deeper in it than any path
        details: dict[str, DetailValue] = {"assessor": label, "type": target.xsi_type}
        details |= _name_fields([*(["label"] if "label" in changed else []), *fields])
        context.note(connection, "edit", source.uuid, source.project, details)


def _name_fields(fields: Sequence[str]) -> dict[str, DetailValue]:
    """The fields that a line of the audit names, and how many more there are."""
    named: dict[str, DetailValue] = {"fields": list(fields[:_MANY_FIELDS])}
    return named if len(fields) <= _MANY_FIELDS else {**named, "more_fields": len(fields) - _MANY_FIELDS}


def _check_label_free(connection: Connection, project_id: int, label: str) -> None:
    """Usage `label_taken` where another experiment of a project has a label: a session, or an assessor."""
    if find_sessions_by_label(connection, project_id, label) or assessors_labelled(connection, project_id, label):
        raise _label_taken(label)


def _label_taken(label: str) -> LabelTaken:
    return LabelTaken(f"There is an experiment {label[:128]} in this project already.", "Choose another label.")


def _find_in_session(connection: Connection, experiment: Experiment, name: str) -> Assessor | None:
    """The assessor of an id or label that a session has; None where it has none."""
    number = experiment_number(name)
    condition = assessor.c.key == label_key(name) if number is None else accession.c.number == number
    query = assessor_rows().where(assessor.c.session_uuid == experiment.record.uuid, condition)
    row = connection.execute(query).mappings().first()
    return None if row is None else Assessor.from_row(row, experiment)

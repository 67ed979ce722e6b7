"""Giving a session another place, label or subject: one rename in the store, one transaction in the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.catalog.assessors import assessors_labelled
from scandock.catalog.own_resources import Holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import session, tree
from scandock.catalog.view import SqlView
from scandock.model import uris
from scandock.model.tree_parts import TreeParts
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.operations import Operation
from scandock.rules.errors import LabelUnusable
from scandock.rules.labels import OWN_ID, clean_label, label_key
from scandock.rules.naming import own_id_error
from scandock.rules.notices import Notice, make_notice
from scandock.rules.prearchive import PrearchiveSlots
from scandock.services import audit
from scandock.services.context import ServiceContext
from scandock.services.outcomes import Outcome
from scandock.services.session_errors import LabelTaken, SessionFolderMissing
from scandock.store.paths import tree_path
from scandock.store.port import Mark

if TYPE_CHECKING:
    pass


def publish_session_row(
    context: ServiceContext,
    running: Operation,
    source: SessionRecord,
    row: SessionRow,
    project_name: str,
    *,
    warnings: tuple[Notice, ...],
    dry_run: bool,
    action: str,
    details: Mapping[str, audit.DetailValue] | None = None,
    write: Callable[[Connection], object] = lambda connection: None,  # noqa: ARG005
) -> Outcome:
    """Let a session have the row and the name that belong to it now, and note it in the audit trail.

    `write` changes other rows of it in the transaction from which on all of this is done, also after a kill.
    """
    after = uris.session(row.place, project_name, row.timestamp, row.subject, row.label)
    outcome = Outcome(
        session=source.uuid, action=action, dry_run=dry_run, before=source.uri, after=after, warnings=warnings
    )
    before = tree_path(source.parts)
    name = tree_path(TreeParts(row.place, project_name, row.timestamp, row.label))
    moved = name != before
    if moved and context.store.current(name) is not None:
        raise LabelTaken(f"A session stands at {name} already.", "Choose another label.")
    if dry_run:
        return outcome
    placement = Placement(
        n=0,
        name=name,
        staged=None,
        mark=current_mark(context, source),
        tree_id=source.tree_id,
        base_tree_id=None,
        base_mark=None,
        keep_base=False,
        session=row,
        moves=before,
    )
    audit_details = {"from": source.project, "to": project_name, **(details or {})}

    def note(connection: Connection) -> None:
        context.note(connection, action, source.uuid, project_name, audit_details)
        write(connection)

    running.show([placement], [], note)
    return outcome


def current_mark(context: ServiceContext, source: Holder) -> Mark:
    """The mark of a session's or own resources' tree. Raises Usage `tree_missing` where somebody took it away."""
    mark = context.store.current(tree_path(source.parts))
    if mark is None:
        raise SessionFolderMissing
    return mark


def check_label(label: str | None) -> str | None:
    """A label as a person named it. Raises Usage `label_unusable` where it would have to be changed to be one."""
    if label is None:
        return None
    if not label or clean_label(label) != label:
        raise LabelUnusable(
            f"{label[:100]!r} can't be a label.",
            "A label is 1 to 64 letters, digits, _ and -, one of them a letter or digit.",
        )
    if OWN_ID.fullmatch(label):
        raise own_id_error(label)
    return label


def find_free_timestamp(context: ServiceContext, connection: Connection, project_name: str) -> str:
    """A prearchive timestamp of a project that no session has."""
    _, stamp = PrearchiveSlots(project_name, SqlView(connection), datetime.now(context.settings.zone)).join(())
    return stamp


def subject_warnings(
    connection: Connection, project_name: str, subject: str, source: SessionRecord
) -> tuple[Notice, ...]:
    """The warning that a subject will hold another patient than it does, of those whom its uploader has brought.

    That is so for what is in `Unassigned`, whoever moves it there; elsewhere a subject is the project's.
    """
    brought = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
    current_subject = SqlView(connection, brought).subject(project_name, subject)
    other_patients = (current_subject.patient_ids if current_subject is not None else frozenset()) - {
        source.patient_token
    }
    return (make_notice("subject_other_patient", subject=subject),) if other_patients and source.patient_token else ()


def find_sessions_by_label(connection: Connection, project_id: int, label: str) -> list[str]:
    """UUIDs of the archived sessions of a label."""
    return list(
        connection.execute(
            select(session.c.uuid).where(
                session.c.project_id == project_id, session.c.place == "archive", session.c.key == label_key(label)
            )
        ).scalars()
    )


def check_no_assessor(connection: Connection, project_id: int, label: str) -> None:
    """Usage `label_taken` where an assessor of a project has the label that a session is to get."""
    if assessors_labelled(connection, project_id, label):
        raise LabelTaken("There is an assessor of that label already.", "Choose another label.")

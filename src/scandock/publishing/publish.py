"""Switch and publish: the names change, then the catalog points at them. Each step may be repeated after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, bindparam, delete, insert, select, update

from scandock.catalog.dicom_listings import point_listing
from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.records import DeletedSession, ScanEdit
from scandock.catalog.server_tables import accession, scan_edit, trashed
from scandock.catalog.sessions import note_listing
from scandock.catalog.subjects import add_subject
from scandock.catalog.tables import intent, joined_session, session, shelf, subject, subject_patient, tree, upload
from scandock.model.crash_points import reach
from scandock.publishing.deletes import Removal, publish_removal
from scandock.publishing.intents import OwnResourcesRow, Placement, SessionRow, name_taken_fault
from scandock.queue.leases import Lease, check_lease
from scandock.queue.tokens import new_uuid
from scandock.store.moves import MoveTree, PublishNew, PublishReplace, RestoreTree, TrashStaged, TreeMove
from scandock.store.paths import parse_tree
from scandock.store.port import Stage, Store

_SHOW_TREE: Final = update(tree).where(tree.c.id == bindparam("of_tree")).values(state="current")
_ACCESSION: Final = select(accession.c.number).where(accession.c.uuid == bindparam("of"))
_NEW_ACCESSION: Final = insert(accession)
_SUBJECT: Final = select(subject.c.id).where(
    subject.c.project_id == bindparam("of"), subject.c.key == bindparam("called")
)
_PATIENTS: Final = select(subject_patient.c.patient_id).where(subject_patient.c.subject_id == bindparam("of"))
_NEW_PATIENTS: Final = insert(subject_patient)


def rename_trees(store: Store, stage: Stage, placements: list[Placement]) -> None:
    """Give every staged tree its name. A tree that has its name already is left; a stale stage raises TokenLost.

    Fault `name_taken` where a folder that the catalog does not know stands there: once it has gone, this goes on.
    """
    try:
        store.place(_moves_of(stage, placements))
    except FileExistsError as error:
        raise name_taken_fault(parse_tree(error.filename)) from error
    reach("switched")


def _moves_of(stage: Stage, placements: list[Placement]) -> Iterator[TreeMove]:
    for placement in placements:
        yield _move_of(stage, placement)
        reach("switched_one")


def _move_of(stage: Stage, placement: Placement) -> TreeMove:
    name, mark = placement.name, placement.mark
    if placement.moves is not None:
        return MoveTree(placement.moves, name, mark)
    if placement.restores is not None:
        return RestoreTree(placement.restores, name, mark)
    if placement.base_mark is not None:
        return PublishReplace(stage, placement.staged_path, name, mark)
    return PublishNew(stage, placement.staged_path, name, mark)


def publish(catalog: Catalog, lease: Lease, placements: list[Placement], removals: Sequence[Removal] = ()) -> None:
    """Make the switched trees what the catalog shows, in one transaction that holds only with the token."""
    with catalog.write() as connection:
        check_lease(catalog, connection, lease)
        for removal in removals:
            publish_removal(catalog, connection, removal)
        changed_projects: set[int] = set()
        for placement in placements:
            changed_projects |= _publish_one(catalog, connection, lease, placement)
        for project_id in sorted(changed_projects):
            mark_project_changed(connection, project_id)
        connection.execute(
            update(intent).where(lease.holds(intent), intent.c.state == "intent").values(state="published")
        )


def _publish_one(catalog: Catalog, connection: Connection, lease: Lease, placement: Placement) -> set[int]:
    """Make one tree what the catalog shows; gives the projects that this changes."""
    facts = placement.session
    connection.execute(_SHOW_TREE, {"of_tree": placement.tree_id, "files": facts.files, "bytes": facts.bytes})
    if placement.base_tree_id is not None:
        connection.execute(update(tree).where(tree.c.id == placement.base_tree_id).values(state="retired"))
    if isinstance(facts, OwnResourcesRow):
        _publish_own_resources(catalog, connection, facts, placement.tree_id)
        return {facts.project_id}
    values = {
        **facts.columns(),
        "key": facts.key,
        "subject_id": _make_subject(catalog, connection, facts) if facts.make_subject else None,
        "tree_id": placement.tree_id,
    }
    touched = {facts.project_id}
    if not facts.new:
        where = session.c.uuid == facts.uuid
        before = connection.execute(select(session.c.id, session.c.project_id).where(where)).one()
        session_id = before.id
        touched.add(before.project_id)
        connection.execute(update(session).where(where).values(**values, modified=catalog.now()))
    else:
        session_id = _insert_session(catalog, connection, lease, facts, values)
        _give_accession(connection, facts.uuid)
        _write_scan_edits(connection, facts.uuid, facts.edits, modified=catalog.now())
    if placement.restores is not None:
        _restore_scan_edits(connection, facts.uuid)
    note_listing(connection, session_id)
    point_listing(connection, session_id, placement.tree_id, facts.project_id, facts.place)
    return touched


def _insert_session(
    catalog: Catalog, connection: Connection, lease: Lease, facts: SessionRow, values: Mapping[str, object]
) -> int:
    """The row of a session that is new, or comes back from the trash: with the day and the import of its first time.

    The number of an import's row that is gone may be another's by now: one that began after the session was there.
    """
    row = {**values, "uuid": facts.uuid}
    if facts.received is None:
        result = connection.execute(_first_insertion(sqlite=catalog.sqlite), {**row, "received_by": lease.upload_id})
    else:
        first = select(upload.c.id).where(upload.c.id == facts.received_by, upload.c.created <= facts.received)
        times = {"created": catalog.now(), "modified": catalog.now(), "received": facts.received}
        result = connection.execute(insert(session).values(**row, **times, received_by=first.scalar_subquery()))
    assert result.inserted_primary_key is not None
    session_id: int = result.inserted_primary_key[0]
    return session_id


@cache
def _first_insertion(*, sqlite: bool) -> Insert:
    now = database_now(sqlite=sqlite)
    return insert(session).values(created=now, modified=now, received=now)


def _publish_own_resources(catalog: Catalog, connection: Connection, facts: OwnResourcesRow, tree_id: int) -> None:
    now = catalog.now()
    values = {"tree_id": tree_id, "files": facts.files, "bytes": facts.bytes, "modified": now}
    if not facts.new:
        connection.execute(update(shelf).where(shelf.c.uuid == facts.uuid).values(**values))
    else:
        connection.execute(
            insert(shelf).values(
                uuid=facts.uuid, project_id=facts.project_id, subject_id=facts.subject_id, key=facts.key, created=now,
                **values,
            )
        )  # fmt: skip


def _give_accession(connection: Connection, uuid: str) -> None:
    """A new session gets its number; one that comes back from the trash has it still."""
    if connection.execute(_ACCESSION, {"of": uuid}).first() is None:
        connection.execute(_NEW_ACCESSION, {"uuid": uuid})


def _restore_scan_edits(connection: Connection, uuid: str) -> None:
    """A session that came out of the trash has again what people had said of its scans."""
    text = connection.execute(select(trashed.c.session).where(trashed.c.uuid == uuid)).scalar_one()
    _write_scan_edits(connection, uuid, DeletedSession.from_json(json.loads(text)).edits)
    connection.execute(delete(trashed).where(trashed.c.uuid == uuid))
    connection.execute(delete(joined_session).where(joined_session.c.uuid == uuid))  # it stands by itself again


def _write_scan_edits(connection: Connection, uuid: str, edits: Sequence[ScanEdit], **common: Any) -> None:  # noqa: ANN401  values of columns
    """Write what people said of a session's scans, and what is `common` to all of it."""
    if edits:
        number = connection.execute(select(session.c.id).where(session.c.uuid == uuid)).scalar_one()
        rows = [{**edit, "session_id": number} for edit in edits]
        connection.execute(insert(scan_edit).values(**common), rows)


def _make_subject(catalog: Catalog, connection: Connection, facts: SessionRow) -> int:
    """The subject's row, made where missing (xnat-behaviour.md 5.7, 4), with the patients that it stands for."""
    key = facts.subject.casefold()
    number: int | None = connection.execute(_SUBJECT, {"of": facts.project_id, "called": key}).scalar_one_or_none()
    if number is None:
        number = add_subject(catalog, connection, uuid=new_uuid(), project_id=facts.project_id, label=facts.subject)
    known = set(connection.execute(_PATIENTS, {"of": number}).scalars())
    new = [{"subject_id": number, "patient_id": patient_id} for patient_id in sorted(set(facts.patient_ids) - known)]
    if new:
        connection.execute(_NEW_PATIENTS, new)
    return number


def trash_replaced(store: Store, stage: Stage, placements: list[Placement], note: dict[str, object]) -> None:
    """What replaces took out goes to the trash; trees that were only added to are given up with the stage."""
    store.place(
        TrashStaged(stage, placement.staged_path, placement.trash, {**note, "name": placement.name})
        for placement in placements
        if placement.base_mark is not None and placement.trash is not None
    )
    for placement in placements:
        if placement.discard and placement.trash is not None:
            store.discard_trash(placement.trash, erase=True)
    reach("retired")

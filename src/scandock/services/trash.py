"""Deleting sessions into the trash, looking at it, and bringing back what was not meant."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select

from scandock.access.principal import SYSTEM
from scandock.access.visible import projects_where
from scandock.catalog.assessors import forget_assessors
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import trashed
from scandock.catalog.standing import Standing, row_json
from scandock.catalog.tables import project, session
from scandock.catalog.view import SqlView
from scandock.model import uris
from scandock.model.errors import Usage
from scandock.model.tree_parts import TreeParts
from scandock.placing.deletes import Removal
from scandock.placing.forget import forget_tree
from scandock.placing.intents import Placement, SessionRow
from scandock.placing.locks import LockName, locks_of, session_locks
from scandock.placing.moves import operation
from scandock.placing.tree_files import damaged_paths_of
from scandock.rules.notices import Notice, notice
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.assessors import check_labels_of_restored
from scandock.services.audit import Did, record
from scandock.services.damage import damaged_of
from scandock.services.listing import Page, Sorting, page_of
from scandock.services.moving import Desk, Outcome, free_timestamp, standing_inode, usable
from scandock.services.verifying import verify_again
from scandock.store.paths import tree_path
from scandock.store.port import Store

SORTS = {"deleted": trashed.c.deleted}
"""What the trash may be sorted by."""


def set_aside(files: int, days: int) -> str:
    """What becomes of files that others take the place of: they lie in the trash's folder, as no session that could
    be listed and brought back. Nothing, where there are none.
    """
    if not files:
        return ""
    return (
        f" What is set aside stays for {days} {'day' if days == 1 else 'days'} in the trash folder of the server, where"
        " its administrator finds it; the Trash page lists whole sessions alone."
    )


def delete_session(desk: Desk, uuid: str, *, place: str | None = None, dry_run: bool = False) -> Outcome:
    """Move a session to the trash, where it can be brought back from until its time there is over."""
    with desk.catalog.read() as connection:
        source = _deletable(connection, desk, uuid, place)
    outcome = Outcome(session=uuid, action="delete", dry_run=dry_run, before=source.uri, after=None)
    if dry_run:
        return outcome
    put_in_trash(desk, source, lambda connection: _deletable(connection, desk, uuid, place))
    return outcome


def put_in_trash(
    desk: Desk, source: Standing, find: Callable[[Connection], Standing], *, deleting: bool = False
) -> None:
    """Move a session to the trash; `find` gives it as it is, or refuses, once nobody else plans with its names.

    `deleting`: it leaves a project that is being deleted.
    """
    with operation(desk.catalog, desk.store, "delete") as running:
        with running.reserved({source.project}, lambda _: locks_of(source), deleting=deleting) as connection:
            source = find(connection)
        removal = removal_of(desk, source, keep=True)

        def note(connection: Connection) -> None:
            desk.note(
                connection,
                "delete",
                source.uuid,
                source.project,
                {"files": source.files, "bytes": source.bytes, "trash": removal.trash},
            )

        running.show([], [removal], note)


def _deletable(connection: Connection, desk: Desk, uuid: str, place: str | None) -> Standing:
    return rights.session_for(
        connection, desk.principal, uuid, Action.SESSION_DELETE, waiting=Action.PREARCHIVE_DELETE, place=place
    )


def removal_of(desk: Desk, source: Standing, *, keep: bool, n: int = 1) -> Removal:
    """The removal of a session that stands; its row as JSON, so that it can come back."""
    with desk.catalog.read() as connection:
        row = row_json(connection, source)
    return Removal(
        n=n,
        uuid=source.uuid,
        name=tree_path(source.parts),
        inode=standing_inode(desk, source),
        tree_id=source.tree_id,
        project_id=source.project_id,
        trash=desk.store.new_trash_id(),
        keep=keep,
        row=row,
        account_id=desk.principal.account_id,
    )


def list_trash(connection: Connection, desk: Desk, sorting: Sorting, *, project_name: str | None = None) -> Page:
    """What was deleted, of the projects whose trash the principal may see; the oldest first unless asked otherwise."""
    rights.check_scope(desk.principal, Action.TRASH_READ)
    query = (
        select(trashed, project.c.name.label("project"), damaged_of(trashed.c.tree_id).label("damaged"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(projects_where(desk.principal, Action.TRASH_READ))
    )
    if project_name is not None:
        query = query.where(project.c.key == project_name.casefold())
    return page_of(connection, query, SORTS, trashed.c.uuid, sorting, _item)


def _item(row: RowMapping) -> dict[str, Any]:
    kept = json.loads(row["session"])
    return {
        "id": row["uuid"],
        "project": row["project"],
        "subject": kept["subject"],
        "label": kept["label"],
        "place": kept["place"],
        "study_uid": kept["study_uid"],
        "files": kept["files"],
        "bytes": kept["bytes"],
        "damaged": row["damaged"],
        "deleted": row["deleted"],
    }


def restore(desk: Desk, uuid: str, *, label: str | None = None, dry_run: bool = False) -> Outcome:
    """Bring a deleted session back to where it stood, or under another label where that is taken.

    Nothing in the trash is verified: it is read again before all else once it is back, and what was known to be damaged
    when it was deleted is warned of. Usage `label_taken`, `trash_gone` where its time is over.
    """
    with desk.catalog.read() as connection:
        row = _kept(connection, desk, uuid)
    label = usable(label)
    kept = json.loads(row["session"])
    wanted = label or kept["label"]

    def names(connection: Connection) -> set[LockName]:
        kept["timestamp"] = _timestamp(desk, connection, row["project"], kept)
        return session_locks(
            row["project"],
            label=wanted,
            subject=kept["subject"],
            study_uid=kept["study_uid"],
            timestamp=kept["timestamp"],
        )

    with operation(desk.catalog, desk.store, "restore") as running:
        with running.reserved({row["project"]}, names) as connection:
            row = _kept(connection, desk, uuid)
            placement = _placement(desk, connection, row, kept, wanted)
        after = uris.session(kept["place"], row["project"], kept["timestamp"], kept["subject"], wanted)
        warnings = _damage(desk, row["tree_id"], wanted)
        outcome = Outcome(session=uuid, action="restore", dry_run=dry_run, before="", after=after, warnings=warnings)
        if dry_run:
            return outcome

        def note(connection: Connection) -> None:
            desk.note(connection, "restore", uuid, row["project"])
            verify_again(desk.catalog, connection, row["tree_id"])

        running.show([placement], [], note)
        return outcome


def _damage(desk: Desk, tree_id: int, label: str) -> tuple[Notice, ...]:
    """What is to be known of a session whose files were damaged when it was deleted."""
    with desk.catalog.read() as connection:
        paths = sorted(damaged_paths_of(connection, tree_id))
    first = paths[0].rpartition("/")[2] if paths else ""
    return (notice("restored_damaged", label=label, count=len(paths), file=first),) if paths else ()


def _kept(connection: Connection, desk: Desk, uuid: str) -> RowMapping:
    row = connection.execute(
        select(trashed, project.c.name.label("project"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(trashed.c.uuid == uuid)
    ).mappings().first()  # fmt: skip
    rights.check(connection, desk.principal, Action.TRASH_RESTORE, row["project"] if row is not None else "")
    assert row is not None
    return row


def _timestamp(desk: Desk, connection: Connection, project_name: str, kept: Mapping[str, Any]) -> str:
    if kept["place"] == "prearchive" and SqlView(connection).timestamp_taken(project_name, kept["timestamp"]):
        return free_timestamp(desk, connection, project_name)
    return str(kept["timestamp"])


def _placement(desk: Desk, connection: Connection, row: RowMapping, kept: Mapping[str, Any], label: str) -> Placement:
    taken = connection.execute(
        select(session.c.uuid).where(
            session.c.project_id == row["project_id"],
            session.c.place == kept["place"],
            session.c.timestamp == kept["timestamp"],
            session.c.key == label.casefold(),
        )
    ).first()
    if taken is not None:
        raise Usage("label_taken", "A session of that label stands there already.", "Name another label.")
    if kept["place"] == "archive":
        check_labels_of_restored(connection, row["project_id"], row["uuid"], label)
    inode = desk.store.trashed(row["trash_id"])
    if inode is None:
        raise Usage("trash_gone", "Its time in the trash is over: its files are deleted.")
    return Placement(
        n=0,
        name=tree_path(TreeParts(kept["place"], row["project"], kept["timestamp"], label)),
        staged=None,
        inode=inode,
        tree_id=row["tree_id"],
        base_tree_id=None,
        base_inode=None,
        keep_base=False,
        restores=row["trash_id"],
        session=SessionRow(
            uuid=row["uuid"],
            new=True,
            project_id=row["project_id"],
            subject=kept["subject"],
            make_subject=kept["place"] == "archive",
            label=label,
            key=label.casefold(),
            place=kept["place"],
            timestamp=kept["timestamp"],
            state=kept["state"],
            study_uid=kept["study_uid"],
            patient_id=kept["patient_id"],
            ecat=kept["ecat"],
            by_hand=kept["by_hand"],
            # what was deleted before there were these says nothing of them
            quarantined=kept.get("quarantined", False),
            type_by_hand=kept.get("type_by_hand", kept["by_hand"]),
            fields_by_hand=kept.get("fields_by_hand", []),
            folder=kept.get("folder", ""),
            overwrite=kept.get("overwrite", ""),
            xsi_type=kept["xsi_type"],
            attributes=kept["attributes"],
            warnings=kept["warnings"],
            held=tuple(kept["held"]),
            patient_ids=[kept["patient_id"]] if kept["patient_id"] else [],
            scans=kept["scans"],
            files=kept["files"],
            bytes=kept["bytes"],
        ),
    )


def empty_trash(catalog: Catalog, store: Store, days: float, *, now: float | None = None) -> list[str]:
    """Give up what was deleted more than `days` ago, rows and files; gives the sessions' UUIDs. The janitor's."""
    moment = time.time() if now is None else now
    with catalog.read() as connection:
        over = connection.execute(
            select(trashed.c.uuid, trashed.c.tree_id, project.c.name)
            .join(project, project.c.id == trashed.c.project_id)
            .where(trashed.c.deleted <= (moment - days * 86_400) * 1000)
        ).all()
    for row in over:
        with catalog.write() as connection:
            gone = connection.execute(delete(trashed).where(trashed.c.uuid == row.uuid)).rowcount
            if gone:
                forget_assessors(connection, [row.uuid])
                record(connection, SYSTEM, Did.PURGE, "session", row.uuid, project=row.name)
        forget_tree(catalog, row.tree_id)
    store.purge(days * 86_400, now=moment)
    return [row.uuid for row in over]

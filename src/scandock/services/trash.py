"""Deleting sessions into the trash, looking at it, and bringing back what was not meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection, select

from scandock.access.visibility import projects_where
from scandock.catalog.records import DeletedSession, SessionRecord, TrashedRecord
from scandock.catalog.server_tables import trashed
from scandock.catalog.sessions import read_for_trash
from scandock.catalog.tables import project, session
from scandock.catalog.view import SqlView
from scandock.model import uris
from scandock.model.tree_parts import TreeParts
from scandock.publishing.deletes import Removal
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.locks import LockName, locks_of, session_locks
from scandock.publishing.operations import run_operation
from scandock.publishing.tree_files import damaged_paths_of
from scandock.rules.notices import Notice, make_notice
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.assessors import check_labels_of_restored
from scandock.services.damage import damaged_of
from scandock.services.file_errors import TrashGone
from scandock.services.listing import Page, Sorting, page_of
from scandock.services.moving import Desk, Outcome, free_timestamp, standing_inode, usable
from scandock.services.records import Trashed
from scandock.services.session_errors import LabelTaken
from scandock.services.verifying import verify_again
from scandock.store.paths import tree_path

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
    desk: Desk, source: SessionRecord, find: Callable[[Connection], SessionRecord], *, deleting: bool = False
) -> None:
    """Move a session to the trash; `find` gives it as it is, or refuses, once nobody else plans with its names.

    `deleting`: it leaves a project that is being deleted.
    """
    with run_operation(desk.catalog, desk.store, "delete") as running:
        with running.reserve_names({source.project}, lambda _: locks_of(source), deleting=deleting) as connection:
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


def _deletable(connection: Connection, desk: Desk, uuid: str, place: str | None) -> SessionRecord:
    return rights.session_for(
        connection, desk.principal, uuid, Action.SESSION_DELETE, waiting=Action.PREARCHIVE_DELETE, place=place
    )


def removal_of(desk: Desk, source: SessionRecord, *, keep: bool, n: int = 1) -> Removal:
    """The removal of a session that stands; its row as JSON, so that it can come back."""
    with desk.catalog.read() as connection:
        row = read_for_trash(connection, source)
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


def list_trash(
    connection: Connection, desk: Desk, sorting: Sorting, *, project_name: str | None = None
) -> Page[Trashed]:
    """What was deleted, of the projects whose trash the principal may see; the oldest first unless asked otherwise."""
    rights.check_scope(desk.principal, Action.TRASH_READ)
    query = (
        select(trashed, project.c.name.label("project"), damaged_of(trashed.c.tree_id).label("damaged"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(projects_where(desk.principal, Action.TRASH_READ))
    )
    if project_name is not None:
        query = query.where(project.c.key == project_name.casefold())
    return page_of(connection, query, SORTS, trashed.c.uuid, sorting, Trashed.from_row)


def restore(desk: Desk, uuid: str, *, label: str | None = None, dry_run: bool = False) -> Outcome:
    """Bring a deleted session back to where it stood, or under another label where that is taken.

    Nothing in the trash is verified: it is read again before all else once it is back, and what was known to be damaged
    when it was deleted is warned of. Usage `label_taken`, `trash_gone` where its time is over.
    """
    with desk.catalog.read() as connection:
        trashed_session = _kept(connection, desk, uuid)
    label = usable(label)
    project_name, kept = trashed_session.project, trashed_session.session
    wanted = label or kept.label

    def names(connection: Connection) -> set[LockName]:
        nonlocal kept
        kept = replace(kept, timestamp=_timestamp(desk, connection, project_name, kept))
        return session_locks(
            project_name, label=wanted, subject=kept.subject, study_uid=kept.study_uid, timestamp=kept.timestamp
        )

    with run_operation(desk.catalog, desk.store, "restore") as running:
        with running.reserve_names({project_name}, names) as connection:
            trashed_session = _kept(connection, desk, uuid)
            placement = _placement(desk, connection, trashed_session, kept, wanted)
        after = uris.session(kept.place, project_name, kept.timestamp, kept.subject, wanted)
        warnings = _damage(desk, trashed_session.tree_id, wanted)
        outcome = Outcome(session=uuid, action="restore", dry_run=dry_run, before="", after=after, warnings=warnings)
        if dry_run:
            return outcome

        def note(connection: Connection) -> None:
            desk.note(connection, "restore", uuid, project_name)
            verify_again(desk.catalog, connection, trashed_session.tree_id)

        running.show([placement], [], note)
        return outcome


def _damage(desk: Desk, tree_id: int, label: str) -> tuple[Notice, ...]:
    """What is to be known of a session whose files were damaged when it was deleted."""
    with desk.catalog.read() as connection:
        paths = sorted(damaged_paths_of(connection, tree_id))
    first = paths[0].rpartition("/")[2] if paths else ""
    return (make_notice("restored_damaged", label=label, count=len(paths), file=first),) if paths else ()


def _kept(connection: Connection, desk: Desk, uuid: str) -> TrashedRecord:
    row = connection.execute(
        select(trashed, project.c.name.label("project"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(trashed.c.uuid == uuid)
    ).mappings().first()  # fmt: skip
    kept = TrashedRecord.from_row(row) if row is not None else None
    rights.check(connection, desk.principal, Action.TRASH_RESTORE, kept.project if kept is not None else "")
    assert kept is not None
    return kept


def _timestamp(desk: Desk, connection: Connection, project_name: str, kept: DeletedSession) -> str:
    if kept.place == "prearchive" and SqlView(connection).is_timestamp_taken(project_name, kept.timestamp):
        return free_timestamp(desk, connection, project_name)
    return kept.timestamp


def _placement(
    desk: Desk, connection: Connection, trashed_session: TrashedRecord, kept: DeletedSession, label: str
) -> Placement:
    taken = connection.execute(
        select(session.c.uuid).where(
            session.c.project_id == trashed_session.project_id,
            session.c.place == kept.place,
            session.c.timestamp == kept.timestamp,
            session.c.key == label.casefold(),
        )
    ).first()
    if taken is not None:
        raise LabelTaken("A session of that label stands there already.", "Name another label.")
    if kept.place == "archive":
        check_labels_of_restored(connection, trashed_session.project_id, trashed_session.uuid, label)
    inode = desk.store.trashed(trashed_session.trash_id)
    if inode is None:
        raise TrashGone
    return Placement(
        n=0,
        name=tree_path(TreeParts(kept.place, trashed_session.project, kept.timestamp, label)),
        staged=None,
        inode=inode,
        tree_id=trashed_session.tree_id,
        base_tree_id=None,
        base_inode=None,
        keep_base=False,
        restores=trashed_session.trash_id,
        session=SessionRow.of(
            kept, new=True, uuid=trashed_session.uuid, project_id=trashed_session.project_id, label=label
        ),
    )

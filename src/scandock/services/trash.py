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
from scandock.publishing.deletes import Removal, new_trash_id
from scandock.publishing.intents import Placement, SessionRow
from scandock.publishing.locks import LockName, locks_of, session_locks
from scandock.publishing.operations import run_operation
from scandock.publishing.tree_files import damaged_paths_of
from scandock.rules.notices import Notice, make_notice
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.assessors import check_labels_of_restored
from scandock.services.context import ServiceContext
from scandock.services.damage import count_damaged_files
from scandock.services.file_errors import TrashGone
from scandock.services.file_verification import mark_for_verification
from scandock.services.moving import check_label, current_mark, find_free_timestamp
from scandock.services.outcomes import Outcome
from scandock.services.pagination import Page, Sorting, read_page
from scandock.services.records import Trashed
from scandock.services.session_errors import LabelTaken
from scandock.store.paths import tree_path

SORTS = {"deleted": trashed.c.deleted}
"""What the trash may be sorted by."""


def replaced_files_sentence(files: int, days: int) -> str:
    """What becomes of files that others take the place of: they lie in the trash's folder, as no session that could
    be listed and brought back. Nothing, where there are none.
    """
    if not files:
        return ""
    return (
        f" The server keeps replaced and left-out files for {days} {'day' if days == 1 else 'days'}; until then an"
        " administrator can get them back."
    )


def delete_session(context: ServiceContext, uuid: str, *, place: str | None = None, dry_run: bool = False) -> Outcome:
    """Move a session to the trash, where it can be brought back from until its time there is over."""
    with context.catalog.read() as connection:
        source = _find_deletable(connection, context, uuid, place)
    outcome = Outcome(session=uuid, action="delete", dry_run=dry_run, before=source.uri, after=None)
    if dry_run:
        return outcome
    move_to_trash(context, source, lambda connection: _find_deletable(connection, context, uuid, place))
    return outcome


def move_to_trash(
    context: ServiceContext,
    source: SessionRecord,
    find: Callable[[Connection], SessionRecord],
    *,
    deleting: bool = False,
) -> None:
    """Move a session to the trash; `find` gives it as it is, or refuses, once nobody else plans with its names.

    `deleting`: it leaves a project that is being deleted.
    """
    with run_operation(context.catalog, context.store, "delete") as running:
        with running.reserve_names({source.project}, lambda _: locks_of(source), deleting=deleting) as connection:
            source = find(connection)
        removal = build_removal(context, source, keep=True)

        def note(connection: Connection) -> None:
            context.note(
                connection,
                "delete",
                source.uuid,
                source.project,
                {"files": source.files, "bytes": source.bytes, "trash": removal.trash},
            )

        running.show([], [removal], note)


def _find_deletable(connection: Connection, context: ServiceContext, uuid: str, place: str | None) -> SessionRecord:
    return rights.find_session_for(
        connection,
        context.principal,
        uuid,
        Action.SESSION_DELETE,
        prearchive_action=Action.PREARCHIVE_DELETE,
        place=place,
    )


def build_removal(context: ServiceContext, source: SessionRecord, *, keep: bool, n: int = 1) -> Removal:
    """The removal of a session that stands; its row as JSON, so that it can come back."""
    with context.catalog.read() as connection:
        row = read_for_trash(connection, source)
    return Removal(
        n=n,
        uuid=source.uuid,
        name=tree_path(source.parts),
        mark=current_mark(context, source),
        tree_id=source.tree_id,
        project_id=source.project_id,
        trash=new_trash_id(context.catalog, context.store),
        keep=keep,
        row=row,
        account_id=context.principal.account_id,
    )


def list_trash(
    connection: Connection, context: ServiceContext, sorting: Sorting, *, project_name: str | None = None
) -> Page[Trashed]:
    """What was deleted, of the projects whose trash the principal may see; the oldest first unless asked otherwise."""
    rights.check_scope(context.principal, Action.TRASH_READ)
    query = (
        select(trashed, project.c.name.label("project"), count_damaged_files(trashed.c.tree_id).label("damaged"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(projects_where(context.principal, Action.TRASH_READ))
    )
    if project_name is not None:
        query = query.where(project.c.key == project_name.casefold())
    return read_page(connection, query, SORTS, trashed.c.uuid, sorting, Trashed.from_row)


def restore_session(context: ServiceContext, uuid: str, *, label: str | None = None, dry_run: bool = False) -> Outcome:
    """Bring a deleted session back to where it stood, or under another label where that is taken.

    Nothing in the trash is verified: it is read again before all else once it is back, and what was known to be damaged
    when it was deleted is warned of. Usage `label_taken`, `trash_gone` where its time is over.
    """
    with context.catalog.read() as connection:
        trashed_session = _find_trashed(connection, context, uuid)
    label = check_label(label)
    project_name, deleted_session = trashed_session.project, trashed_session.session
    new_label = label or deleted_session.label

    def names(connection: Connection) -> set[LockName]:
        nonlocal deleted_session
        deleted_session = replace(
            deleted_session, timestamp=_choose_timestamp(context, connection, project_name, deleted_session)
        )
        return session_locks(
            project_name,
            label=new_label,
            subject=deleted_session.subject,
            study_uid=deleted_session.study_uid,
            timestamp=deleted_session.timestamp,
        )

    with run_operation(context.catalog, context.store, "restore") as running:
        with running.reserve_names({project_name}, names) as connection:
            trashed_session = _find_trashed(connection, context, uuid)
            placement = _build_placement(context, connection, trashed_session, deleted_session, new_label)
        after = uris.session(
            deleted_session.place, project_name, deleted_session.timestamp, deleted_session.subject, new_label
        )
        warnings = _damage_notice(context, trashed_session.tree_id, new_label)
        outcome = Outcome(session=uuid, action="restore", dry_run=dry_run, before="", after=after, warnings=warnings)
        if dry_run:
            return outcome

        def note(connection: Connection) -> None:
            context.note(connection, "restore", uuid, project_name)
            mark_for_verification(context.catalog, connection, trashed_session.tree_id)

        running.show([placement], [], note)
        return outcome


def _damage_notice(context: ServiceContext, tree_id: int, label: str) -> tuple[Notice, ...]:
    """What is to be known of a session whose files were damaged when it was deleted."""
    with context.catalog.read() as connection:
        paths = sorted(damaged_paths_of(connection, tree_id))
    first = paths[0].rpartition("/")[2] if paths else ""
    return (make_notice("restored_damaged", label=label, count=len(paths), file=first),) if paths else ()


def _find_trashed(connection: Connection, context: ServiceContext, uuid: str) -> TrashedRecord:
    row = connection.execute(
        select(trashed, project.c.name.label("project"))
        .join(project, project.c.id == trashed.c.project_id)
        .where(trashed.c.uuid == uuid)
    ).mappings().first()  # fmt: skip
    record = TrashedRecord.from_row(row) if row is not None else None
    rights.check(connection, context.principal, Action.TRASH_RESTORE, record.project if record is not None else "")
    assert record is not None
    return record


def _choose_timestamp(
    context: ServiceContext, connection: Connection, project_name: str, deleted_session: DeletedSession
) -> str:
    if deleted_session.place == "prearchive" and SqlView(connection).is_timestamp_taken(
        project_name, deleted_session.timestamp
    ):
        return find_free_timestamp(context, connection, project_name)
    return deleted_session.timestamp


def _build_placement(
    context: ServiceContext,
    connection: Connection,
    trashed_session: TrashedRecord,
    deleted_session: DeletedSession,
    label: str,
) -> Placement:
    existing = connection.execute(
        select(session.c.uuid).where(
            session.c.project_id == trashed_session.project_id,
            session.c.place == deleted_session.place,
            session.c.timestamp == deleted_session.timestamp,
            session.c.key == label.casefold(),
        )
    ).first()
    if existing is not None:
        raise LabelTaken("A session of that label stands there already.", "Name another label.")
    if deleted_session.place == "archive":
        check_labels_of_restored(connection, trashed_session.project_id, trashed_session.uuid, label)
    mark = context.store.trashed(trashed_session.trash_id)
    if mark is None:
        raise TrashGone
    return Placement(
        n=0,
        name=tree_path(TreeParts(deleted_session.place, trashed_session.project, deleted_session.timestamp, label)),
        staged=None,
        mark=mark,
        tree_id=trashed_session.tree_id,
        base_tree_id=None,
        base_mark=None,
        keep_base=False,
        restores=trashed_session.trash_id,
        session=SessionRow.of(
            deleted_session, new=True, uuid=trashed_session.uuid, project_id=trashed_session.project_id, label=label
        ),
    )

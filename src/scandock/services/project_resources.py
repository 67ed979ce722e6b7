"""The files that projects and subjects have of their own: found, made, taken away (docs/design/0004-xnat-dialect.md).

A shelf is made when somebody puts something on it, with an empty tree. From there on its files are changed as those of
sessions are, by `hand_changes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, select, update

from scandock.access.principal import Principal, raise_denied
from scandock.catalog.own_resources import OwnResources, find_own_resources, project_resources, subject_resources
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.tables import project, shelf
from scandock.model import uris
from scandock.model.xnat_ids import subject_id
from scandock.publishing.deletes import Removal
from scandock.publishing.intents import OwnResourcesRow
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import run_operation, retry_while_busy, lock_names
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import Action, AccessDecision
from scandock.services import audit, rights, shelves
from scandock.services.finding import Subject
from scandock.services.making import project_of, put_resource, show_empty
from scandock.services.moving import Desk, standing_inode
from scandock.services.project_errors import OwnFilesLeft
from scandock.store.paths import tree_path


@dataclass(frozen=True, slots=True)
class Shelved:
    """A shelf as an experiment is, but it has no id of its own."""

    standing: OwnResources

    @property
    def id(self) -> str:
        return ""

    @property
    def uri(self) -> str:
        """Where its parts stand, whatever address it was asked by (rule 9)."""
        one = self.standing
        if one.subject_id is not None:
            return uris.subject_of_id(subject_id(one.subject_id))
        return uris.project(one.project)


def find_of_project(connection: Connection, principal: Principal, name: str, action: Action) -> Shelved:
    """The shelf of a project, made or not, where one may do to it what `action` is to a session.

    Denied; Usage `project_unassigned` where something would be kept in that one.
    """
    row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).first()
    rights.check(connection, principal, shelves.right_to(action, of_subject=False), name)
    assert row is not None
    if action is Action.SESSION_EDIT:
        project_of(connection, name)
    return Shelved(project_resources(connection, row.id, row.name))


def find_of_subject(connection: Connection, found: Subject) -> Shelved:
    """The shelf of a subject, made or not; who may see the subject was asked."""
    one = subject_resources(connection, found.number)
    if one is None:
        raise_denied(AccessDecision.HIDDEN)
    return Shelved(one)


def make_shelf(desk: Desk, wanted: OwnResources) -> str:
    """The UUID of a shelf, made where it is not. Denied; Usage `project_unassigned`, `session_busy`."""
    with desk.catalog.read() as connection:
        shelves.check(connection, desk.principal, wanted, Action.SESSION_EDIT)
        project_of(connection, wanted.project)
    return wanted.uuid or retry_while_busy(partial(_make, desk, wanted))


def _make(desk: Desk, wanted: OwnResources) -> str:
    with desk.catalog.read() as connection:
        there = _again(connection, wanted)
    if there.uuid:  # made while this one waited, and changed already: what changes it is not to be waited for
        return there.uuid
    row = OwnResourcesRow(
        uuid=new_uuid(), new=True, project_id=wanted.project_id, subject_id=wanted.subject_id, key=wanted.key
    )
    with run_operation(desk.catalog, desk.store, "make") as running:
        with running.reserve_names({wanted.project}, lambda _: locks_of(wanted)) as connection:
            there = _again(connection, wanted)
            if there.uuid:  # made in this very moment
                return there.uuid

        def note(connection: Connection) -> None:
            shelves.note(desk, connection, "edit", wanted, {"fields": ["resources"], "made": True})

        show_empty(running, tree_path(wanted.parts), row, (), note)
    return row.uuid


def _again(connection: Connection, wanted: OwnResources) -> OwnResources:
    """A shelf as it is now. Denied where its subject or project is gone."""
    if wanted.subject_id is not None:
        now = subject_resources(connection, wanted.subject_id)
    else:
        there = select(project.c.id).where(project.c.id == wanted.project_id, project.c.name == wanted.project)
        gone = connection.execute(there).first() is None
        now = None if gone else project_resources(connection, wanted.project_id, wanted.project)
    if now is None:
        raise_denied(AccessDecision.HIDDEN)
    return now


def make_resource(desk: Desk, wanted: OwnResources, label: str, kind: Mapping[str, str]) -> str:
    """Make an empty resource on a shelf, or say its content, format and tags anew; the shelf's UUID."""
    uuid = make_shelf(desk, wanted)
    with lock_names(desk.catalog, {wanted.project}, lambda _: locks_of(wanted)) as connection:
        source = shelves.holder_for(connection, desk.principal, uuid, Action.SESSION_EDIT)
        new = put_resource(connection, source.tree_id, None, label, kind)
        connection.execute(update(shelf).where(shelf.c.uuid == uuid).values(modified=desk.catalog.now()))
        mark_project_changed(connection, wanted.project_id)
        shelves.note(desk, connection, "edit", source, {"fields": ["resources"], "made": new})
    return uuid


# -- taking away -------------------------------------------------------------------------------------------------------


def check_bare(desk: Desk, every: Iterable[OwnResources]) -> None:
    """Usage `has_own_files` where there is a file on one of these shelves."""
    for one in every:
        if one.files:
            whose = f"The {'project' if one.subject_id is None else 'subject'} {one.label}"
            files = f"{one.files} {'file' if one.files == 1 else 'files'}"
            raise OwnFilesLeft(whose, files, desk.settings.trash_days)


def remove_shelf(desk: Desk, of: OwnResources, *, with_files: bool, deleting: bool = False) -> None:
    """Take a shelf away, its tree into the trash folder. Denied, Usage `has_own_files`, `session_busy`.

    `deleting`: its project is being deleted, for which the right was asked when that began.
    """
    with run_operation(desk.catalog, desk.store, "delete") as running:
        with running.reserve_names({of.project}, lambda _: locks_of(of), deleting=deleting) as connection:
            source = find_own_resources(connection, of.uuid)
            if source is None:
                return
            if not deleting:
                shelves.check(connection, desk.principal, source, Action.SESSION_DELETE)
            if not with_files:
                check_bare(desk, [source])
        removal = Removal(
            n=0,
            uuid=source.uuid,
            name=tree_path(source.parts),
            inode=standing_inode(desk, source),
            tree_id=source.tree_id,
            project_id=source.project_id,
            trash=desk.store.new_trash_id(),
            keep=False,
            shelf=True,
        )

        def note(connection: Connection) -> None:
            said: Mapping[str, audit.Value] = {
                "fields": ["resources"],
                "files": source.files,
                "bytes": source.bytes,
                "trash": removal.trash,
            }
            shelves.note(desk, connection, "edit", source, said)

        running.show([], [removal], note)

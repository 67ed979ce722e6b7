"""Changes by hand to the files of an archived session, or a shelf: a new tree of what stays and comes, shown as ever.

By the steps of every change to what is shown (docs/design/0003-placing.md): a kill at any point leaves the session as
it was, or as it was to be. What stays is hard-linked; a tree from which something was taken goes to the trash whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.access.principal import raise_denied
from scandock.catalog.records import SessionRecord
from scandock.catalog.own_resources import Holder, OwnResources, find_holder
from scandock.catalog.tables import tree
from scandock.model.errors import ScandockError
from scandock.model.crash_points import reach
from scandock.publishing.intents import Placement, SessionRow, OwnResourcesRow
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import Operation, run_operation, retry_while_busy
from scandock.publishing.tree_plan import build_trees
from scandock.rules.permissions import Action, AccessDecision
from scandock.services import audit, shelves
from scandock.services.file_errors import ResourceUnknown
from scandock.services.moving import Desk, standing_inode
from scandock.services.next_tree import NextTree, Place
from scandock.store.paths import tree_path

if TYPE_CHECKING:
    from scandock.store.port import Stage


@dataclass(slots=True)
class Change:
    """What one request wants of a session, or a shelf."""

    desk: Desk
    action: Action
    """As it is asked of a session; what that is of a shelf, `services.shelves` knows."""
    apply: Callable[[NextTree], Mapping[str, audit.Value]]
    """Changes the tree to be, whole or not at all; gives what the trail notes. Raises what refuses it."""
    stage: Stage | None = None
    """Where its files wait."""
    holds: ExitStack = field(default_factory=ExitStack)
    """Closed when the change is over."""


def make_changes(uuid: str, changes: Sequence[Change]) -> list[BaseException | None]:
    """Make changes to a session, or a shelf, in one new tree; gives for each what refused it, or None.

    Raises what keeps all of them from being made: Fault, Usage `session_busy`, Denied where it is gone.
    """
    return retry_while_busy(partial(_make, uuid, changes))


def _make(uuid: str, changes: Sequence[Change]) -> list[BaseException | None]:
    desk = changes[0].desk
    with desk.catalog.read() as connection:
        project = _source(connection, uuid).project
    with run_operation(desk.catalog, desk.store, "edit") as running:
        with running.reserve_names({project}, lambda c: locks_of(_source(c, uuid))) as connection:
            source = _source(connection, uuid)
            origin = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
            to_be = NextTree.read(connection, source)
            told = [_apply(connection, change, to_be) for change in changes]
        if to_be.changed:
            made = [change for change, why in zip(changes, told, strict=True) if not isinstance(why, ScandockError)]
            placement = _placement(desk, running, to_be, [one.stage for one in made if one.stage is not None])
            noted = [(one, why) for one, why in zip(changes, told, strict=True) if not isinstance(why, ScandockError)]

            def note(connection: Connection) -> None:
                for change, details in noted:
                    shelves.note(change.desk, connection, "edit", source, details)

            running.show([placement], [], note, origin=origin)
    return [one if isinstance(one, ScandockError) else None for one in told]


def _source(connection: Connection, uuid: str) -> Holder:
    found = find_holder(connection, uuid)
    if found is None or (isinstance(found, SessionRecord) and found.place != "archive"):
        raise_denied(AccessDecision.HIDDEN)
    return found


def _apply(connection: Connection, change: Change, to_be: NextTree) -> Mapping[str, audit.Value] | ScandockError:
    try:
        shelves.holder_for(connection, change.desk.principal, to_be.source.uuid, change.action, place="archive")
        return change.apply(to_be)
    except ScandockError as error:
        return error


def _placement(desk: Desk, running: Operation, to_be: NextTree, stages: Sequence[Stage]) -> Placement:
    """Build the tree, and have all of it on disk."""
    base_inode = standing_inode(desk, to_be.source)
    plan = to_be.plan()
    (built,) = build_trees(desk.catalog, running.stage, running.lease, [plan], running.check)
    for came in dict.fromkeys(stages):
        came.seal()  # each tells of the errors since it was begun: what it wrote lies in the tree now
    running.stage.seal()
    reach("sealed")
    running.check()
    return built.placement(tree_path(to_be.source.parts), _row(to_be), base_inode=base_inode)


def _row(to_be: NextTree) -> SessionRow | OwnResourcesRow:
    """What the catalog will say of it, once it is planned."""
    source, files = to_be.source, sum(one.files for one in to_be.resources)
    size = sum(one.bytes for one in to_be.resources)
    if isinstance(source, OwnResources):
        return OwnResourcesRow(
            uuid=source.uuid,
            new=False,
            project_id=source.project_id,
            subject_id=source.subject_id,
            key=source.key,
            files=files,
            bytes=size,
        )
    return SessionRow.of(source, scans=len(to_be.scans), files=files, bytes=size)


# -- taking out --------------------------------------------------------------------------------------------------------


def scans_change(desk: Desk, scan_ids: Sequence[str]) -> Change:
    """Take scans out of a session with all that is in them."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        for one in scan_ids:
            to_be.scan(one)
        for one in scan_ids:
            to_be.remove_scan(one)
        return {"fields": ["scans"], "removed": len(scan_ids)}

    return Change(desk, Action.SESSION_DELETE, apply)


def resources_change(desk: Desk, places: Sequence[Place]) -> Change:
    """Take resources out of a session with their files."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        for one in places:
            if to_be.resource(one) is None:
                raise ResourceUnknown(f"There is no resource {one.label[:128]!r}.")
        for one in places:
            to_be.remove_resource(one)
        return {"fields": ["resources"], "removed": len(places)}

    return Change(desk, Action.SESSION_DELETE, apply)


def files_change(desk: Desk, place: Place, name: str, *, folder: bool) -> Change:
    """Take one file out of a resource, or a folder with all that is in it: where no file has that name, or `folder`."""

    def apply(to_be: NextTree) -> Mapping[str, audit.Value]:
        return {"fields": ["files"], "removed": to_be.remove_files(place, name, folder=folder)}

    return Change(desk, Action.SESSION_DELETE, apply)

"""Changes by hand to the files of a session or own resources: a new tree of what stays and comes, shown as ever.

By the steps of every change to what is shown (docs/design/0003-placing.md): a kill at any point leaves the session as
it was, or as it was to be. What stays is hard-linked; a tree from which something was taken goes to the trash whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from scandock.access.principal import raise_denied
from scandock.catalog.own_resources import Holder, OwnResources, find_holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import tree
from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.publishing.intents import OwnResourcesRow, Placement, SessionRow
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import Operation, retry_while_busy, run_operation
from scandock.publishing.tree_plan import build_trees
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import audit, own_resources
from scandock.services.context import ServiceContext
from scandock.services.file_errors import ResourceUnknown
from scandock.services.moving import current_mark
from scandock.services.next_tree import NextTree, ResourcePath
from scandock.store.paths import tree_path

if TYPE_CHECKING:
    from scandock.store.port import Stage


@dataclass(slots=True)
class TreeChange:
    """What one request wants of a session, or own resources."""

    context: ServiceContext
    action: Action
    """As it is asked of a session; what that is of own resources, `services.own_resources` knows."""
    apply: Callable[[NextTree], Mapping[str, audit.DetailValue]]
    """Changes the tree to be, whole or not at all; gives what the trail notes. Raises what refuses it."""
    stage: Stage | None = None
    """Where its files wait."""
    holds: ExitStack = field(default_factory=ExitStack)
    """Closed when the change is over."""


def apply_changes(uuid: str, changes: Sequence[TreeChange]) -> list[BaseException | None]:
    """Make changes to a session, or own resources, in one new tree; gives for each what refused it, or None.

    Raises what keeps all of them from being made: Fault, Usage `session_busy`, AccessDenied where it is gone.
    """
    return retry_while_busy(partial(_apply_changes, uuid, changes))


def _apply_changes(uuid: str, changes: Sequence[TreeChange]) -> list[BaseException | None]:
    context = changes[0].context
    with context.catalog.read() as connection:
        project = _find_source(connection, uuid).project
    with run_operation(context.catalog, context.store, "edit") as running:
        with running.reserve_names({project}, lambda c: locks_of(_find_source(c, uuid))) as connection:
            source = _find_source(connection, uuid)
            origin = connection.execute(select(tree.c.upload_id).where(tree.c.id == source.tree_id)).scalar_one()
            next_tree = NextTree.read(connection, source)
            results = [_apply_change(connection, change, next_tree) for change in changes]
        if next_tree.changed:
            applied = [
                change
                for change, result_ in zip(changes, results, strict=True)
                if not isinstance(result_, ScandockError)
            ]
            placement = _build_placement(
                context, running, next_tree, [result.stage for result in applied if result.stage is not None]
            )
            audit_details = [
                (result, result_)
                for result, result_ in zip(changes, results, strict=True)
                if not isinstance(result_, ScandockError)
            ]

            def note(connection: Connection) -> None:
                for change, details in audit_details:
                    own_resources.record_in_audit(change.context, connection, "edit", source, details)

            running.show([placement], [], note, origin=origin)
    return [result if isinstance(result, ScandockError) else None for result in results]


def _find_source(connection: Connection, uuid: str) -> Holder:
    holder = find_holder(connection, uuid)
    if holder is None or (isinstance(holder, SessionRecord) and holder.place != "archive"):
        raise_denied(AccessDecision.HIDDEN)
    return holder


def _apply_change(
    connection: Connection, change: TreeChange, next_tree: NextTree
) -> Mapping[str, audit.DetailValue] | ScandockError:
    try:
        own_resources.find_holder_for(
            connection, change.context.principal, next_tree.source.uuid, change.action, place="archive"
        )
        return change.apply(next_tree)
    except ScandockError as error:
        return error


def _build_placement(
    context: ServiceContext, running: Operation, next_tree: NextTree, stages: Sequence[Stage]
) -> Placement:
    """Build the tree, and have all of it on disk."""
    base_mark = current_mark(context, next_tree.source)
    plan = next_tree.plan()
    (built,) = build_trees(context.catalog, running.stage, running.lease, [plan], running.check)
    for change_stage in dict.fromkeys(stages):
        # Each tells of the errors since it was begun: what it wrote is in the tree now.
        change_stage.seal(running.check)
    running.stage.seal(running.check)
    reach("sealed")
    running.check()
    return built.placement(tree_path(next_tree.source.parts), _build_row(next_tree), base_mark=base_mark)


def _build_row(next_tree: NextTree) -> SessionRow | OwnResourcesRow:
    """What the catalog will say of it, once it is planned."""
    source, files = next_tree.source, sum(resource_row.files for resource_row in next_tree.resources)
    size = sum(resource_row.bytes for resource_row in next_tree.resources)
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
    return SessionRow.of(source, scans=len(next_tree.scans), files=files, bytes=size)


# -- taking out --------------------------------------------------------------------------------------------------------


def make_scan_removal(context: ServiceContext, scan_ids: Sequence[str]) -> TreeChange:
    """Take scans out of a session with all that is in them."""

    def apply(next_tree: NextTree) -> Mapping[str, audit.DetailValue]:
        for scan_id in scan_ids:
            next_tree.scan(scan_id)
        for scan_id in scan_ids:
            next_tree.remove_scan(scan_id)
        return {"fields": ["scans"], "removed": len(scan_ids)}

    return TreeChange(context, Action.SESSION_DELETE, apply)


def make_resource_removal(context: ServiceContext, places: Sequence[ResourcePath]) -> TreeChange:
    """Take resources out of a session with their files."""

    def apply(next_tree: NextTree) -> Mapping[str, audit.DetailValue]:
        for place in places:
            if next_tree.resource(place) is None:
                raise ResourceUnknown(f"There is no resource {place.label[:128]!r}.")
        for place in places:
            next_tree.remove_resource(place)
        return {"fields": ["resources"], "removed": len(places)}

    return TreeChange(context, Action.SESSION_DELETE, apply)


def make_file_removal(context: ServiceContext, place: ResourcePath, name: str, *, folder: bool) -> TreeChange:
    """Take one file out of a resource, or a folder with all that is in it: where no file has that name, or `folder`."""

    def apply(next_tree: NextTree) -> Mapping[str, audit.DetailValue]:
        return {"fields": ["files"], "removed": next_tree.remove_files(place, name, folder=folder)}

    return TreeChange(context, Action.SESSION_DELETE, apply)

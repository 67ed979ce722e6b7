"""The files that projects and subjects have of their own: found, made, taken away (docs/design/0004-xnat-dialect.md).

Their row is made when somebody adds something, with an empty tree. From there on their files are changed as those of
sessions are, by `hand_changes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from sqlalchemy import Connection, select, update

from scandock.access.principal import Principal, raise_denied
from scandock.catalog.own_resources import OwnResources, find_own_resources, project_resources, subject_resources
from scandock.catalog.project_sums import mark_project_changed
from scandock.catalog.tables import project, shelf
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.xnat_ids import subject_id
from scandock.publishing.deletes import Removal, new_trash_id
from scandock.publishing.intents import OwnResourcesRow
from scandock.publishing.locks import locks_of
from scandock.publishing.operations import lock_names, retry_while_busy, run_operation
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import audit, own_resources, rights
from scandock.services.context import ServiceContext
from scandock.services.moving import current_mark
from scandock.services.project_errors import OwnFilesLeft
from scandock.services.session_creation import find_project_for_changes, publish_empty_tree, upsert_resource
from scandock.services.xnat_lookup import SubjectRecord
from scandock.store.paths import tree_path


@dataclass(frozen=True, slots=True)
class ResourceOwner:
    """Own resources, used as an experiment is; they have no id."""

    record: OwnResources

    @property
    def id(self) -> str:
        return ""

    @property
    def uri(self) -> str:
        """Where its parts stand, whatever address it was asked by (rule 9)."""
        own_resources_ = self.record
        if own_resources_.subject_id is not None:
            return uris.subject_of_id(subject_id(own_resources_.subject_id))
        return uris.project(own_resources_.project)


def find_project_resources(connection: Connection, principal: Principal, name: str, action: Action) -> ResourceOwner:
    """The own resources of a project, made or not, where one may do to it what `action` is to a session.

    AccessDenied; Usage `project_unassigned` where something would be kept in that one.
    """
    row = connection.execute(select(project.c.id, project.c.name).where(project.c.key == name.casefold())).first()
    rights.check(connection, principal, own_resources.required_action(action, of_subject=False), name)
    assert row is not None
    if action is Action.SESSION_EDIT:
        find_project_for_changes(connection, name)
    return ResourceOwner(project_resources(connection, row.id, row.name))


def find_subject_resources(connection: Connection, subject_record: SubjectRecord) -> ResourceOwner:
    """The own resources of a subject, made or not; who may see the subject was asked."""
    own = subject_resources(connection, subject_record.number)
    if own is None:
        raise_denied(AccessDecision.HIDDEN)
    return ResourceOwner(own)


def create_own_resources(context: ServiceContext, template: OwnResources) -> str:
    """The UUID of own resources, made where they are not. AccessDenied; Usage `project_unassigned`, `session_busy`."""
    with context.catalog.read() as connection:
        own_resources.check_right(connection, context.principal, template, Action.SESSION_EDIT)
        find_project_for_changes(connection, template.project)
    return template.uuid or retry_while_busy(partial(_create_own_resources, context, template))


def _create_own_resources(context: ServiceContext, template: OwnResources) -> str:
    with context.catalog.read() as connection:
        current = _read_again(connection, template)
    if current.uuid:  # made while this one waited, and changed already: what changes it is not to be waited for
        return current.uuid
    row = OwnResourcesRow(
        uuid=new_uuid(), new=True, project_id=template.project_id, subject_id=template.subject_id, key=template.key
    )
    with run_operation(context.catalog, context.store, "make") as running:
        with running.reserve_names({template.project}, lambda _: locks_of(template)) as connection:
            current = _read_again(connection, template)
            if current.uuid:  # made in this very moment
                return current.uuid

        def note(connection: Connection) -> None:
            own_resources.record_in_audit(
                context, connection, "edit", template, {"fields": ["resources"], "made": True}
            )

        publish_empty_tree(running, tree_path(template.parts), row, (), note)
    return row.uuid


def _read_again(connection: Connection, template: OwnResources) -> OwnResources:
    """Own resources as they are now. AccessDenied where its subject or project is gone."""
    if template.subject_id is not None:
        now = subject_resources(connection, template.subject_id)
    else:
        query = select(project.c.id).where(project.c.id == template.project_id, project.c.name == template.project)
        is_gone = connection.execute(query).first() is None
        now = None if is_gone else project_resources(connection, template.project_id, template.project)
    if now is None:
        raise_denied(AccessDecision.HIDDEN)
    return now


def create_resource(context: ServiceContext, template: OwnResources, label: str, kind: Mapping[str, str]) -> str:
    """Make an empty resource, or change its content, format and tags; the UUID of the own resources."""
    uuid = create_own_resources(context, template)
    with lock_names(context.catalog, {template.project}, lambda _: locks_of(template)) as connection:
        source = own_resources.find_holder_for(connection, context.principal, uuid, Action.SESSION_EDIT)
        new = upsert_resource(connection, source.tree_id, None, label, kind)
        connection.execute(update(shelf).where(shelf.c.uuid == uuid).values(modified=context.catalog.now()))
        mark_project_changed(connection, template.project_id)
        own_resources.record_in_audit(context, connection, "edit", source, {"fields": ["resources"], "made": new})
    return uuid


# -- taking away -------------------------------------------------------------------------------------------------------


def check_no_files(context: ServiceContext, all_resources: Iterable[OwnResources]) -> None:
    """Usage `has_own_files` where one of these own resources has a file."""
    for each_resources in all_resources:
        if each_resources.files:
            whose = f"The {'project' if each_resources.subject_id is None else 'subject'} {each_resources.label}"
            files = f"{each_resources.files} {'file' if each_resources.files == 1 else 'files'}"
            raise OwnFilesLeft(whose, files, context.settings.trash_days)


def remove_own_resources(
    context: ServiceContext, target: OwnResources, *, with_files: bool, deleting: bool = False
) -> None:
    """Take own resources away, its tree into the trash folder. AccessDenied, Usage `has_own_files`, `session_busy`.

    `deleting`: its project is being deleted, for which the right was asked when that began.
    """
    with run_operation(context.catalog, context.store, "delete") as running:
        with running.reserve_names({target.project}, lambda _: locks_of(target), deleting=deleting) as connection:
            source = find_own_resources(connection, target.uuid)
            if source is None:
                return
            if not deleting:
                own_resources.check_right(connection, context.principal, source, Action.SESSION_DELETE)
            if not with_files:
                check_no_files(context, [source])
        removal = Removal(
            n=0,
            uuid=source.uuid,
            name=tree_path(source.parts),
            mark=current_mark(context, source),
            tree_id=source.tree_id,
            project_id=source.project_id,
            trash=new_trash_id(context.catalog, context.store),
            keep=False,
            shelf=True,
        )

        def note(connection: Connection) -> None:
            details: Mapping[str, audit.DetailValue] = {
                "fields": ["resources"],
                "files": source.files,
                "bytes": source.bytes,
                "trash": removal.trash,
            }
            own_resources.record_in_audit(context, connection, "edit", source, details)

        running.show([], [removal], note)

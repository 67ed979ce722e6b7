"""Imports as people see and steer them: list, read, cancel, retry, delete.

They are their owner's, and their project's owners' to see. Whoever may not see one hears what
they would hear if there were none.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    delete,
    false,
    func,
    not_,
    or_,
    select,
    update,
)

from scandock.access.principal import Principal, ProjectRights, RequestInfo, decide_access_of, raise_denied
from scandock.access.visibility import projects_where
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file, event, progress, reception
from scandock.catalog.tables import project, tree, upload, upload_exception
from scandock.model.dataclass import dataclass
from scandock.model.verdicts import QUEUED, UNFINISHED, ImportState
from scandock.queue.cancel import CancelResult, cancel, is_placing
from scandock.queue.hosts import has_left, worker_lives
from scandock.queue.notify import notify
from scandock.queue.retry import retry_upload
from scandock.rules.import_request import ImportRequest
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import import_errors
from scandock.services.audit import AuditAction, record
from scandock.services.import_errors import ImportUnknown
from scandock.services.import_records import Import
from scandock.services.pagination import Page, Sorting, check_choices, like_pattern, read_rows
from scandock.services.progress import read_progress
from scandock.services.records import row_ids
from scandock.services.spool_removal import discard_spool
from scandock.store.port import Store

_CLAIM_MS: Final = 3000
"""For which an upload waits before it is asked whether there is anybody to import it: a host begins with its pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleImport:
    """An import that somebody may see."""

    upload_id: int
    uuid: str
    state: ImportState
    door: str
    project: str | None
    accepted: bool
    account_id: int | None
    """Who uploaded it."""
    deleted: bool
    """Whether its row is kept for what it has brought alone."""

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `_select_rows`."""
        return cls(
            upload_id=row["id"],
            uuid=row["uuid"],
            state=ImportState(row["state"]),
            door=row["door"],
            project=row["project"],
            accepted=row["accepted"] is not None,
            account_id=row["account_id"],
            deleted=row["deleted"],
        )


def find_import(
    connection: Connection, principal: Principal, uuid: str, action: Action = Action.IMPORT_READ
) -> VisibleImport:
    """The import of an id, where `principal` may. AccessDenied: `import_unknown`, 401 or 403."""
    row = connection.execute(_select_rows().where(upload.c.uuid == uuid)).mappings().first()
    visible = VisibleImport.from_row(row) if row is not None else None
    if visible is None or visible.deleted:
        _unknown_import(principal)
    is_own = principal.account_id is not None and visible.account_id == principal.account_id
    rights = ProjectRights(connection)
    can_know = decide_access_of(principal, Action.IMPORT_READ, visible.project, rights, own=is_own)
    if can_know is not AccessDecision.ALLOWED:
        _unknown_import(principal)  # also for members of its project: imports are not theirs to know of
    allowed = decide_access_of(principal, action, visible.project, rights, own=is_own)
    if allowed is not AccessDecision.ALLOWED:
        raise_denied(allowed, principal, action, visible.project or "")
    return visible


def read_import(catalog: Catalog, principal: Principal, uuid: str) -> Import:
    """The import, as it is now."""
    with catalog.read() as connection:
        visible = find_import(connection, principal, uuid)
        row = (
            connection.execute(_select_rows_with_lease(catalog).where(upload.c.id == visible.upload_id))
            .mappings()
            .one()
        )
        return Import.from_row(row, read_progress(connection, [visible.upload_id]))


def has_import_ended(catalog: Catalog, uuid: str) -> bool:
    """Whether an import has ended, or is not known any more; for who was told its id."""
    with catalog.read() as connection:
        state = connection.execute(select(upload.c.state).where(upload.c.uuid == uuid)).scalar()
    return state not in UNFINISHED


def read_import_request(catalog: Catalog, principal: Principal, uuid: str) -> ImportRequest:
    """What an import was asked for with. AccessDenied as `read_import`."""
    with catalog.read() as connection:
        visible = find_import(connection, principal, uuid)
        text = connection.execute(select(upload.c.request).where(upload.c.id == visible.upload_id)).scalar_one()
    return ImportRequest.from_json(text)


def list_imports(
    catalog: Catalog,
    principal: Principal,
    sorting: Sorting,
    *,
    project_name: str | None = None,
    states: tuple[str, ...] = (),
    mine: bool = False,
    search: str = "",
    has_waiting: ColumnElement[bool] | None = None,
) -> Page[Import]:
    """A page of the imports that `principal` may see, the newest first; without the entries of their sessions.

    `mine`: those alone that they uploaded; `search`: in the archive's name, anywhere and in any case; `has_waiting`:
    what else must be true of the upload.
    """
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    query = _select_rows_with_lease(catalog).where(_visible_condition(principal), ~upload.c.deleted)
    if project_name is not None:
        query = query.where(project.c.key == project_name.casefold())
    check_choices("state", states, ImportState)
    if states:
        query = query.where(upload.c.state.in_(states))
    if mine:
        query = query.where(reception.c.account_id == principal.account_id)
    if search:
        query = query.where(func.lower(upload.c.archive).like(like_pattern(search.lower()), escape="\\"))
    if has_waiting is not None:
        query = query.where(has_waiting)
    with catalog.read() as connection:
        rows, following = read_rows(connection, query, {"id": upload.c.id}, upload.c.id, sorting)
        progress_by_id = read_progress(connection, row_ids(rows))
    return Page([Import.from_row(row, progress_by_id) for row in rows], following)


def cancel_import(catalog: Catalog, store: Store, principal: Principal, uuid: str, request: RequestInfo) -> ImportState:
    """Cancel; what it is now. Raises ImportPlacing or ImportEnded where it is too late.

    Raises StudyComing of a study that a DICOM receiver takes: its senders would go on, and be told that all is well.
    Raises StudyTaken of one that it took: nobody else may have it. It is discarded (`received_status.ask_for_study`)
    until it is being placed. Raises ObjectsComing of single objects whose import has not begun, unless whoever received
    them is gone.
    """
    with catalog.write() as connection:
        visible = find_import(connection, principal, uuid, Action.IMPORT_CANCEL)
        if visible.door == "dimse" and visible.state in UNFINISHED:
            if visible.state is ImportState.RUNNING and is_placing(connection, visible.upload_id):
                raise import_errors.ImportPlacing
            raise import_errors.StudyComing if visible.state is ImportState.RECEIVING else import_errors.StudyTaken
        comes = visible.door == "gradual" and visible.state is ImportState.RECEIVING
        if comes and not _is_left(catalog, connection, uuid):
            raise import_errors.ObjectsComing
        became = cancel(catalog, connection, visible.upload_id)
        if became in (CancelResult.DONE, CancelResult.COMING):
            _record(connection, principal, AuditAction.IMPORT_CANCEL, visible, request)
    return end_cancel(catalog, store, uuid, became)


def _is_left(catalog: Catalog, connection: Connection, uuid: str) -> bool:
    """Whether nobody is there who receives an upload."""
    owner = connection.execute(select(upload.c.owner).where(upload.c.uuid == uuid).with_for_update()).scalar_one()
    return has_left(catalog, connection, owner)


def end_cancel(catalog: Catalog, store: Store, uuid: str, became: CancelResult) -> ImportState:
    """What is left to do of a cancel that is in the catalog; what the import is now.

    Raises ImportPlacing or ImportEnded where it was too late.
    """
    if became is CancelResult.TOO_LATE:
        raise import_errors.ImportPlacing
    if became is CancelResult.ENDED:
        raise import_errors.ImportEnded
    if became is CancelResult.DONE:
        discard_spool(catalog, store, uuid)
        return ImportState.CANCELLED
    notify(store.path)
    return ImportState.RUNNING


def retry_import(catalog: Catalog, store: Store, principal: Principal, uuid: str, request: RequestInfo) -> None:
    """Have a failed import tried again, or one that waits for its next attempt begin it at once.

    Raises ImportNotFailed where there is nothing to try: bytes are kept of failed ones alone.
    """
    with catalog.write() as connection:
        visible = find_import(connection, principal, uuid, Action.IMPORT_CANCEL)
        if not retry_upload(catalog, connection, visible.upload_id):
            raise _NOT_TO_RETRY.get(visible.state, import_errors.ImportEndedWell)
        _record(connection, principal, AuditAction.IMPORT_RETRY, visible, request)
    notify(store.path)


def check_may_delete(catalog: Catalog, principal: Principal, uuid: str) -> None:
    """Raise AccessDenied unless `principal` may delete the import: asked before anything is stopped for it."""
    with catalog.read() as connection:
        find_import(connection, principal, uuid, Action.IMPORT_DELETE)


def delete_import(catalog: Catalog, store: Store, principal: Principal, uuid: str, request: RequestInfo) -> None:
    """Forget an import that has ended or never arrived, its receipt and its bytes; what it stored stays.

    Raises DeletedTooEarly where it waits or runs.
    """
    with catalog.write() as connection:
        visible = find_import(connection, principal, uuid, Action.IMPORT_DELETE)
        if visible.state in QUEUED or (visible.state is ImportState.RECEIVING and visible.door != "tus"):
            raise import_errors.DeletedTooEarly
        _record(connection, principal, AuditAction.IMPORT_DELETE, visible, request)
        _delete_row(catalog, connection, visible.upload_id)
    store.drop_receipt(uuid)
    discard_spool(catalog, store, uuid)


def _delete_row(catalog: Catalog, connection: Connection, upload_id: int) -> None:
    """Remove the row; where trees still name it, what it says instead, and nobody sees it any more."""
    used = connection.execute(select(tree.c.id).where(tree.c.upload_id == upload_id).limit(1)).first()
    if used is None:
        connection.execute(delete(upload).where(upload.c.id == upload_id))
        return
    for table in (progress, event, upload_exception):
        connection.execute(delete(table).where(table.c.upload_id == upload_id))
    connection.execute(
        update(reception)
        .where(reception.c.upload_id == upload_id)
        .values(metadata="", mapping="", idempotency_key=None)
    )
    connection.execute(
        update(upload)
        .where(upload.c.id == upload_id)
        .values(
            archive="",
            request="{}",
            report="",
            deleted=True,
            message="",
            finished=func.coalesce(upload.c.finished, catalog.now()),
        )
    )


def _record(
    connection: Connection, principal: Principal, action: AuditAction, visible: VisibleImport, request: RequestInfo
) -> None:
    record(connection, principal, action, "import", visible.uuid, project=visible.project or "", request=request)


def _unknown_import(principal: Principal) -> NoReturn:
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    raise ImportUnknown("There is no import of that id, or you may not see it.", "Check the id.")


def _select_rows_with_lease(catalog: Catalog) -> Select[Any]:
    """As `_select_rows`, and whether the one who runs it has not renewed its lease in time, or nobody will run it."""
    waits = and_(upload.c.state == ImportState.RECEIVED.value, reception.c.accepted < catalog.now() - _CLAIM_MS)
    return _select_rows().add_columns(
        (upload.c.lease_until < catalog.now()).label("overdue"),
        (and_(waits, not_(worker_lives(catalog))) if catalog.host else false()).label("unattended"),
    )


def _select_rows() -> Select[Any]:
    return (
        select(
            upload,
            reception.c.account_id,
            reception.c.door,
            reception.c.size,
            reception.c.received,
            reception.c.accepted,
            reception.c.expires,
            reception.c.cancel,
            reception.c.retry_at,
            project.c.name.label("project"),
            cached_file.c.whole.label("cached"),
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(project, project.c.id == reception.c.project_id)
        .outerjoin(cached_file, cached_file.c.upload_id == upload.c.id)
    )


def _visible_condition(principal: Principal) -> ColumnElement[bool]:
    readable = select(project.c.id).where(projects_where(principal, Action.IMPORT_READ)).correlate(None)
    if principal.admin:
        return upload.c.id == upload.c.id
    return or_(reception.c.account_id == principal.account_id, reception.c.project_id.in_(readable))


_NOT_TO_RETRY: dict[ImportState, type[import_errors.ImportNotFailed | import_errors.ArchiveRemoved]] = {
    ImportState.RECEIVING: import_errors.UploadIncomplete,
    ImportState.RECEIVED: import_errors.ImportWaits,
    ImportState.RUNNING: import_errors.ImportRuns,
    ImportState.FAILED: import_errors.ArchiveRemoved,
}

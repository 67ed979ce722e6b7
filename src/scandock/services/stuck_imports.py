"""Imports as whoever runs the machine sees them: of all accounts and of the command line, and those that are stuck."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Self

from sqlalchemy import RowMapping, select

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.verdicts import ImportState
from scandock.publishing import recover
from scandock.queue.leases import OperationRecord, list_operations
from scandock.services.audit import AuditAction, record
from scandock.services.import_records import cached_message

if TYPE_CHECKING:
    from scandock.store.port import Store

LIST_LIMIT = 500
"""Imports that a list has, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """An import, or a change by hand that could not be finished."""

    uuid: str
    archive: str
    """Name of the archive; of a change by hand, what was done (`move`)."""
    source: str
    """`server` or `cli`."""
    state: str
    code: str
    message: str
    created: int
    """Unix milliseconds."""

    @classmethod
    def from_operation(cls, operation: OperationRecord, fault: Fault | None) -> Self:
        """A change by hand as a list of imports shows it; `fault`: why it can't be finished."""
        return cls(
            uuid=operation.uuid,
            archive=operation.kind,
            source="cli",
            state=ImportState.RUNNING.value,
            code=fault.code if fault else "",
            message=str(fault) if fault else "",
            created=operation.created,
        )

    @classmethod
    def from_row(cls, row: RowMapping, faults: Mapping[str, Fault]) -> Self:
        """An import as the query of `list_imports` has it; `faults`: why some can't be finished, by their UUIDs."""
        fault = faults.get(row["uuid"])
        message = cached_message(ImportState(row["state"]), cached=row["cached"]) or row["message"]
        return cls(
            uuid=row["uuid"],
            archive=row["archive"],
            source=row["source"],
            state=row["state"],
            code=fault.code if fault else row["code"],
            message=str(fault) if fault else message,
            created=row["created"],
        )


def list_imports(catalog: Catalog, store: Store, *, stuck: bool) -> list[ImportRow]:
    """All imports, the newest first; with `stuck` those alone that are decided and can't be finished, and why."""
    faults = recover.recover(catalog, store).stuck if stuck else {}
    if stuck and not faults:
        return []
    imports = select(
        upload.c.uuid, upload.c.archive, upload.c.source, upload.c.state, upload.c.code, upload.c.message,
        upload.c.created, cached_file.c.whole.label("cached"),
    ).outerjoin(cached_file, cached_file.c.upload_id == upload.c.id).where(~upload.c.deleted)  # fmt: skip
    if stuck:
        imports = imports.where(upload.c.uuid.in_(faults))
    with catalog.read() as connection:
        rows = connection.execute(imports.order_by(upload.c.id.desc()).limit(LIST_LIMIT)).mappings().all()
        operations = list_operations(connection, faults if stuck else None, limit=LIST_LIMIT)
    newest = heapq.merge(
        [ImportRow.from_row(row, faults) for row in rows],
        [ImportRow.from_operation(operation, faults.get(operation.uuid)) for operation in operations],
        key=lambda import_row: import_row.created,
        reverse=True,
    )
    return list(islice(newest, LIST_LIMIT))


def release_import(catalog: Catalog, store: Store, uuid: str, request: RequestInfo) -> Fault:
    """Give up what an import can't place, its bytes kept in the trash folder; says what that was.

    Usage `import_not_stuck`.
    """
    why = recover.release(catalog, store, uuid)
    with catalog.write() as connection:
        record(connection, SYSTEM, AuditAction.IMPORT_RELEASE, "import", uuid, request=request)
    return why

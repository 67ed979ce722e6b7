"""Imports as whoever runs the machine sees them: of all accounts and of the command line, and those that are stuck."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import false, literal, select

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import cached_file
from scandock.catalog.tables import operation, upload
from scandock.model.errors import Fault
from scandock.model.verdicts import ImportState
from scandock.publishing import recover
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


def list_imports(catalog: Catalog, store: Store, *, stuck: bool) -> list[ImportRow]:
    """All imports, the newest first; with `stuck` those alone that are decided and can't be finished, and why."""
    faults = recover.recover(catalog, store).stuck if stuck else {}
    imports = select(
        upload.c.uuid, upload.c.archive, upload.c.source, upload.c.state, upload.c.code, upload.c.message,
        upload.c.created, cached_file.c.whole.label("cached"),
    ).outerjoin(cached_file, cached_file.c.upload_id == upload.c.id).where(~upload.c.deleted)  # fmt: skip
    operations = select(
        operation.c.uuid, operation.c.kind.label("archive"), literal("cli").label("source"),
        literal(ImportState.RUNNING.value).label("state"), literal("").label("code"), literal("").label("message"),
        operation.c.created, false().label("cached"),
    )  # fmt: skip
    if stuck:
        imports, operations = imports.where(upload.c.uuid.in_(faults)), operations.where(operation.c.uuid.in_(faults))
    with catalog.read() as connection:
        newest = [
            connection.execute(query.order_by(table.c.id.desc()).limit(LIST_LIMIT)).all()
            for query, table in ((imports, upload), (operations, operation))
        ]
    rows = islice(heapq.merge(*newest, key=lambda row: row.created, reverse=True), LIST_LIMIT)
    return [
        ImportRow(
            uuid=row.uuid,
            archive=row.archive,
            source=row.source,
            state=row.state,
            code=faults[row.uuid].code if stuck else row.code,
            message=str(faults[row.uuid])
            if stuck
            else cached_message(ImportState(row.state), cached=row.cached) or row.message,
            created=row.created,
        )
        for row in rows
    ]


def release_import(catalog: Catalog, store: Store, uuid: str, request: RequestInfo) -> Fault:
    """Give up what an import can't place, its bytes kept in the trash folder; says what that was.

    Usage `import_not_stuck`.
    """
    why = recover.release(catalog, store, uuid)
    with catalog.write() as connection:
        record(connection, SYSTEM, AuditAction.IMPORT_RELEASE, "import", uuid, request=request)
    return why

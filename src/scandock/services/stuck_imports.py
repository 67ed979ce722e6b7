"""Imports as whoever runs the machine sees them: of all accounts and of the command line, and those that are stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from scandock.access.principal import SYSTEM, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.tables import upload
from scandock.model.errors import Fault
from scandock.placing import recover
from scandock.services.audit import Did, record
from scandock.services.imports import DELETED

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
    query = (
        select(
            upload.c.id, upload.c.uuid, upload.c.archive, upload.c.source, upload.c.state, upload.c.code,
            upload.c.message, upload.c.created,
        )
        .where(upload.c.report != DELETED)
        .order_by(upload.c.id.desc())
        .limit(LIST_LIMIT)
    )  # fmt: skip
    if stuck:
        query = query.where(upload.c.id.in_(faults))
    with catalog.read() as connection:
        rows = connection.execute(query).all()
    return [
        ImportRow(
            uuid=row.uuid,
            archive=row.archive,
            source=row.source,
            state=row.state,
            code=faults[row.id].code if stuck else row.code,
            message=str(faults[row.id]) if stuck else row.message,
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
        record(connection, SYSTEM, Did.IMPORT_RELEASE, "import", uuid, request=request)
    return why

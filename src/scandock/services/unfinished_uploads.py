"""Resumable uploads of one account that have not come to an outcome: what a client that was ended looks for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field
from sqlalchemy import select

from scandock.access.principal import Principal, raise_denied
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import project, upload
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.rules.permissions import AccessDecision
from scandock.services.door_names import read_sealed
from scandock.services.pagination import MAX_LIMIT
from scandock.services.upload_writers import is_written

StateName = Annotated[str, Field(json_schema_extra={"enum": [one.value for one in ImportState]})]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """A resumable upload whose bytes still come, or whose import waits or runs."""

    uuid: str
    filename: str
    state: ImportState
    size: int
    received: int
    """Bytes that are on disk for certain."""
    project: str | None
    """The project that it was asked to go to."""
    created: int
    """Unix milliseconds."""
    metadata: str
    """`Upload-Metadata` as its client sent it."""
    expires: int | None
    """Unix milliseconds, while its bytes still come."""
    is_written: bool
    """A request of any of several hosts brings bytes of it."""


@dataclass(frozen=True, kw_only=True)
class Unfinished(JsonRecord):
    """An upload to go on with: `offset` bytes are on disk for certain, `arrived` are there; `receiving`: more come."""

    id: str
    filename: str
    state: StateName
    size: int | None
    offset: int
    receiving: bool
    arrived: int
    fingerprint: str | None
    project: str | None
    created: Moment
    expires: MaybeMoment

    @classmethod
    def of(cls, upload_row: UnfinishedUpload, *, arrived: int, receiving: bool, fingerprint: str | None) -> Self:
        return cls(
            id=upload_row.uuid,
            filename=upload_row.filename,
            state=upload_row.state.value,
            size=upload_row.size,
            offset=upload_row.received,
            receiving=receiving,
            arrived=arrived,
            fingerprint=fingerprint,
            project=upload_row.project,
            created=upload_row.created,
            expires=upload_row.expires,
        )


def list_unfinished_uploads(catalog: Catalog, principal: Principal) -> list[UnfinishedUpload]:
    """Those that `principal` made, the newest first, 500 at most. AccessDenied to who is not signed in."""
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    query = (
        select(
            upload.c.uuid,
            upload.c.archive,
            upload.c.state,
            upload.c.created,
            project.c.name.label("project"),
            reception.c.size,
            reception.c.received,
            reception.c.metadata,
            reception.c.expires,
            is_written(catalog).label("is_written"),
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(project, project.c.id == reception.c.project_id)
        .where(
            reception.c.account_id == principal.account_id,
            reception.c.door == "tus",
            upload.c.state.in_(UNFINISHED),
        )
        .order_by(upload.c.id.desc())
        .limit(MAX_LIMIT)
    )
    with catalog.read() as connection:
        rows = connection.execute(query).all()
        metadata = [read_sealed(connection, row.metadata) for row in rows]
    return [
        UnfinishedUpload(
            uuid=row.uuid,
            filename=row.archive,
            state=ImportState(row.state),
            size=row.size,
            received=row.received,
            project=row.project,
            created=row.created,
            metadata=said,
            expires=row.expires,
            is_written=bool(row.is_written),
        )
        for row, said in zip(rows, metadata, strict=True)
    ]

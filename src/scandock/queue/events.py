"""What is told of an upload that came by the server, in order; the row's id is the `Last-Event-ID` of the streams."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, literal, select
from sqlalchemy.types import String, Text

from scandock.catalog.deliveries import enqueue
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import event, reception

KINDS = ("received", "running", "stage", "session", "retry", "cancelling", "outcome")
"""`received` and `running` with the attempt, `stage` and `session` as they are met, `retry` with code, message and
`seconds`, `outcome` with state, code and message: the last that is told, unless somebody asks for a retry."""


def add_event(catalog: Catalog, connection: Connection, upload_id: int, kind: str, data: dict[str, Any]) -> None:
    """Tell of an upload within the caller's transaction; no event for an import of the command line.

    An outcome is also noted for those who asked to be told of it.
    """
    whose = select(
        reception.c.upload_id,
        reception.c.account_id,
        literal(kind, String(16)),
        literal(json.dumps(data), Text),
        catalog.now(),
    ).where(reception.c.upload_id == upload_id)
    connection.execute(insert(event).from_select(["upload_id", "account_id", "kind", "data", "at"], whose))
    if kind == "outcome":
        enqueue(catalog, connection, upload_id, data["state"])

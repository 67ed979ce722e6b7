"""Words that archived sessions have for something, each once: scanners, and types of scans."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, func

from scandock.access.principal import Principal
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import project, scan, session
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.xnat.columns import Rows, attribute
from scandock.services.xnat.experiments import readable


def scanners(connection: Connection, principal: Principal, in_project: str | None = None) -> Rows:
    """The scanners that sessions which one may read name. Denied where the project may not be read."""
    return _words(connection, principal, "scanner", attribute(session.c.attributes, "scanner"), in_project)


def scan_types(connection: Connection, principal: Principal, in_project: str | None = None) -> Rows:
    """The types of scans of such sessions, as people said them where they did."""
    return _words(connection, principal, "type", func.coalesce(scan_edit.c.type, scan.c.type), in_project)


def _words(
    connection: Connection, principal: Principal, name: str, value: ColumnElement[Any], in_project: str | None
) -> Rows:
    query = readable(principal, with_scans=name == "type")
    if in_project:
        rights.check(connection, principal, Action.SESSION_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    query = query.with_only_columns(value.label(name), maintain_column_froms=True).where(value != "")
    found = sorted({str(text) for (text,) in connection.execute(query.distinct())})
    return Rows([name], [[one] for one in found])

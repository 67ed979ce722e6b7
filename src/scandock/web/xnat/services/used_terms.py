"""Words that archived sessions have for something, each once: scanners, and types of scans."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func

from scandock.access.principal import Principal
from scandock.catalog.attributes import attribute
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import project, scan, session
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.experiments import select_readable


def list_scanners(connection: Connection, principal: Principal, in_project: str | None = None) -> Rows:
    """The scanners that sessions which one may read name. AccessDenied where the project may not be read."""
    return _list_terms(connection, principal, "scanner", attribute(session.c.attributes, "scanner"), in_project)


def list_scan_types(connection: Connection, principal: Principal, in_project: str | None = None) -> Rows:
    """The types of scans of such sessions, as people said them where they did, each with the descriptions it has."""
    kind = func.coalesce(scan_edit.c.type, scan.c.type)
    description = attribute(scan.c.attributes, "series_description")
    scans = _select_sessions(connection, principal, in_project, with_scans=True)
    query = scans.with_only_columns(kind, description, maintain_column_froms=True).where(kind != "").distinct()
    described: dict[str, set[str]] = {}
    for name, text in connection.execute(query):
        described.setdefault(str(name), set()).update({str(text)} if text else ())
    return Rows(
        ["type", "series_descriptions"], [[name, ",".join(sorted(described[name]))] for name in sorted(described)]
    )


def _list_terms(
    connection: Connection, principal: Principal, name: str, value: ColumnElement[Any], in_project: str | None
) -> Rows:
    sessions = _select_sessions(connection, principal, in_project)
    query = sessions.with_only_columns(value.label(name), maintain_column_froms=True).where(value != "")
    values = sorted({str(text) for (text,) in connection.execute(query.distinct())})
    return Rows([name], [[term] for term in values])


def _select_sessions(
    connection: Connection, principal: Principal, in_project: str | None, *, with_scans: bool = False
) -> Select[tuple[int]]:
    query = select_readable(principal, with_scans=with_scans)
    if in_project:
        rights.check(connection, principal, Action.SESSION_READ, in_project)
        query = query.where(project.c.key == in_project.casefold())
    return query

"""Exports of the audit, which are in it themselves: who took which lines away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.services.audit import AuditAction, AuditFilter, ExportFormat, check_filter, export, record


def begin_export(
    catalog: Catalog,
    principal: Principal,
    filters: AuditFilter,
    form: ExportFormat,
    request: RequestInfo | None = None,
    check_access: Callable[[], object] | None = None,
) -> Iterator[str]:
    """Note that somebody, whose right was asked, takes lines away; gives those that were there before this one.

    `check_access` raises AccessDenied once they may not read on. Usage `request_invalid` for what no line can have.
    """
    check_filter(filters)
    filter_details = {
        name: value
        for name, value in asdict(filters).items()
        if isinstance(value, str | int) and name not in {"project", "earlier"}
    }
    with catalog.write() as connection:
        export_id = record(
            connection, principal, AuditAction.AUDIT_EXPORT, "audit", "",
            project=filters.project or "", request=request, details={"format": form, **filter_details},
        )  # fmt: skip
    return export(catalog, filters, form, before=export_id, check_access=check_access)

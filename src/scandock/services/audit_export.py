"""Exports of the audit, which are in it themselves: who took which lines away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.services.audit import Did, Form, Wanted, check_wanted, export, record


def begin_export(
    catalog: Catalog,
    principal: Principal,
    wanted: Wanted,
    form: Form,
    request: RequestInfo | None = None,
    still: Callable[[], object] | None = None,
) -> Iterator[str]:
    """Note that somebody, whose right was asked, takes lines away; gives those that were there before this one.

    `still` raises Denied once they may not read on. Usage `request_invalid` for what no line can have.
    """
    check_wanted(wanted)
    asked = {
        name: value
        for name, value in asdict(wanted).items()
        if isinstance(value, str | int) and name not in {"project", "earlier"}
    }
    with catalog.write() as connection:
        own = record(
            connection, principal, Did.AUDIT_EXPORT, "audit", "",
            project=wanted.project or "", request=request, details={"format": form, **asked},
        )  # fmt: skip
    return export(catalog, wanted, form, before=own, still=still)

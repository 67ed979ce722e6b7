"""What a request was refused, told to the audit once it is over, whatever its answer said (`services.refusals`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import Request

from scandock.access.principal import ANONYMOUS, AccessDenied, Principal
from scandock.services.audit import AuditAction
from scandock.services.refusals import Refusal
from scandock.web.deps import server_state
from scandock.web.security import info_of

_BY_LOGIN: Final = "oidc_"
"""Codes of logins begin so that did not succeed, which `services.authentication` notes itself."""


def note_refused(request: Request, refused: Iterable[AccessDenied]) -> None:
    """Note what was refused to whoever asked."""
    principal: Principal = getattr(request.state, "principal", ANONYMOUS)
    site, where = server_state(request), info_of(request)
    for one in refused:
        if one.code.startswith(_BY_LOGIN):
            continue
        site.refusals.note(
            Refusal(
                did=AuditAction.REQUEST,
                right="" if one.action is None else one.action.value,
                account_id=principal.account_id,
                kind="request",
                target="",
                project=one.project,
                request=where,
                details={"code": one.code},
            )
        )

"""What a request was refused, told to the audit once it is over, whatever its answer said (`services.refusals`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import Request

from scandock.access.principal import ANONYMOUS, AccessDenied, Principal
from scandock.services.audit import AuditAction
from scandock.services.refusals import Refusal
from scandock.web.deps import server_state
from scandock.web.security import request_info

_BY_LOGIN: Final = "oidc_"
"""Codes of logins begin so that did not succeed, which `services.authentication` notes itself."""


def audit_refusals(request: Request, refusals: Iterable[AccessDenied]) -> None:
    """Note what was refused to whoever asked."""
    principal: Principal = getattr(request.state, "principal", ANONYMOUS)
    server, info = server_state(request), request_info(request)
    for refusal in refusals:
        if refusal.code.startswith(_BY_LOGIN):
            continue
        server.refusals.note(
            Refusal(
                did=AuditAction.REQUEST,
                right="" if refusal.action is None else refusal.action.value,
                account_id=principal.account_id,
                kind="request",
                target="",
                project=refusal.project,
                request=info,
                details={"code": refusal.code},
            )
        )

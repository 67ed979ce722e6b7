"""What who holds a token's secret does with it, whoever they are: ask whose it is, and end it.

Secrets can't be guessed; those who try are slowed down all the same, as those who guess passwords are.
"""

from __future__ import annotations

from scandock.access import accounts, tokens
from scandock.access.accounts import Account
from scandock.access.authentication import LoginState, make_principal
from scandock.access.principal import Door, RequestInfo, raise_denied
from scandock.access.tokens import ValidToken
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import AccessDecision
from scandock.services.audit import AuditAction, record


def find_token_owner(catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo) -> str:
    """The name of a token's account; empty where alias or secret is wrong, or it has ended. Raises Throttled."""
    match = _find_token(catalog, gate, alias, secret, request)
    return "" if match is None else match[1].name


def revoke_by_secret(catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo) -> None:
    """End a token, whatever it is for, with the logins and tokens that it made.

    Raises AccessDenied (404), in the same words where the alias is unknown, the secret wrong or the token ended,
    Throttled.
    """
    match = _find_token(catalog, gate, alias, secret, request)
    if match is None:
        raise_denied(AccessDecision.HIDDEN)
    token, owner = match
    with catalog.write() as connection:
        holder = make_principal(connection, owner, Door.TOKEN, scope=token.scope, token=token.alias)
        if not tokens.revoke(connection, owner.id, token.alias):
            raise_denied(AccessDecision.HIDDEN)
        record(
            connection,
            holder,
            AuditAction.TOKEN_REVOKE,
            "account",
            owner.uuid,
            request=request,
            details={"alias": token.alias},
        )


def _find_token(
    catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo
) -> tuple[ValidToken, Account] | None:
    gate.throttle.begin(alias, request.address)
    with catalog.read() as connection:
        token = tokens.find(connection, alias, secret)
        owner = accounts.by_id(connection, token.account_id) if token is not None else None
    if token is None or owner is None:
        return None
    gate.throttle.good(alias, request.address)
    return token, owner

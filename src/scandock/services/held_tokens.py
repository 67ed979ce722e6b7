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
from scandock.services.audit import Did, record


def holder_of(catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo) -> str:
    """The name of a token's account; empty where alias or secret is wrong, or it has ended. Raises Throttled."""
    held = _held(catalog, gate, alias, secret, request)
    return "" if held is None else held[1].name


def revoke_held(catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo) -> None:
    """End a token, whatever it is for, with the logins and tokens that it made.

    Raises Denied (404), in the same words where the alias is unknown, the secret wrong or the token ended, Throttled.
    """
    held = _held(catalog, gate, alias, secret, request)
    if held is None:
        raise_denied(AccessDecision.HIDDEN)
    known, one = held
    with catalog.write() as connection:
        holder = make_principal(connection, one, Door.TOKEN, scope=known.scope, token=known.alias)
        if not tokens.revoke(connection, one.id, known.alias):
            raise_denied(AccessDecision.HIDDEN)
        record(
            connection, holder, Did.TOKEN_REVOKE, "account", one.uuid, request=request, details={"alias": known.alias}
        )


def _held(catalog: Catalog, gate: LoginState, alias: str, secret: str, request: RequestInfo) -> tuple[ValidToken, Account] | None:
    gate.throttle.begin(alias, request.address)
    with catalog.read() as connection:
        known = tokens.find(connection, alias, secret)
        one = accounts.by_id(connection, known.account_id) if known is not None else None
    if known is None or one is None:
        return None
    gate.throttle.good(alias, request.address)
    return known, one

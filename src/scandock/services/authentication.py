"""Signing in and out, and changing one's own password, each with its line in the trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from scandock.access import accounts, logins, passwords
from scandock.access.accounts import Account
from scandock.access.authentication import FailedLogin, LoginState, make_principal
from scandock.access.logins import NewLogin
from scandock.access.oidc_accounts import find_or_create_account
from scandock.access.oidc_settings import Identity, OidcSettings
from scandock.access.principal import (
    AccessDenied,
    Door,
    Principal,
    ProjectRights,
    RequestInfo,
    raise_denied,
    require_access,
)
from scandock.access.shared_throttle import SharedThrottle
from scandock.access.throttle import Throttle
from scandock.catalog.engine import Catalog
from scandock.model.limit_counts import AccountLimit, count_limit
from scandock.rules.permissions import AccessDecision, Action, Scope
from scandock.services.account_errors import PasswordWrong
from scandock.services.audit import AuditAction, DetailValue, record
from scandock.services.refusals import Refusal, Refusals

if TYPE_CHECKING:
    from scandock.access.oidc import OidcProvider


def make_gate(catalog: Catalog, refusals: Refusals | None = None) -> LoginState:
    """The gate of a web process: refused logins and tokens that failed come into the trail.

    A name that no account has is not written down: it may be a password in the wrong field.
    """
    refusals_ = Refusals(catalog) if refusals is None else refusals

    def refused(attempt: FailedLogin) -> None:
        did = AuditAction(attempt.what)
        refusals_.note(
            Refusal(did=did, account_id=attempt.account_id, request=attempt.request, details=attempt.details)
        )

    throttle = Throttle() if catalog.sqlite else SharedThrottle(catalog)  # SQLite has one web process
    return LoginState(throttle=throttle, refused=refused, settle=refusals_.settle)


def begin_login(
    catalog: Catalog, account: Account, request: RequestInfo, *, method: str, token: str | None = None
) -> NewLogin:
    """Log in somebody who has proved who they are (`method`: password, oidc, token; `token` is its alias)."""
    with catalog.write() as connection:
        return _begin_login(
            connection, make_principal(connection, account, Door.COOKIE), account, request, method, token
        )


def _begin_login(
    connection: Connection,
    principal: Principal,
    account: Account,
    request: RequestInfo,
    by: str,
    token: str | None = None,
) -> NewLogin:
    login = logins.begin(connection, account, token=token)
    details: dict[str, DetailValue] = {"by": by}
    if login.ended:
        details["ended"] = login.ended
        count_limit(AccountLimit.LOGINS, login.ended)
    record(connection, principal, AuditAction.LOGIN, "account", account.uuid, request=request, details=details)
    return login


def begin_login_for(catalog: Catalog, principal: Principal, request: RequestInfo) -> NewLogin:
    """A login for somebody who has proved who they are in this very request.

    AccessDenied where the account has ended, and (403) to a token that is for less than everything: a login may do all.
    """
    if principal.scope is not Scope.ALL:
        raise_denied(AccessDecision.FORBIDDEN, principal, Action.ACCOUNT_EDIT)
    with catalog.read() as connection:
        account = accounts.by_id(connection, principal.account_id) if principal.account_id is not None else None
    if account is None or account.disabled or account.epoch != principal.epoch:
        raise_denied(AccessDecision.SIGN_IN)
    return begin_login(catalog, account, request, method=principal.door.value, token=principal.token)


def login_by_identity(
    catalog: Catalog, settings: OidcSettings, identity: Identity, request: RequestInfo
) -> tuple[Account, NewLogin]:
    """Log in whom the provider vouched for; an account is made where the rule gives one.

    Raises AccessDenied `oidc_not_allowed`, `oidc_name_taken`, `login_failed`.
    """
    with catalog.write() as connection:
        result = find_or_create_account(connection, settings, identity)
        account = result.account
        principal = make_principal(connection, account, Door.COOKIE)
        if result.made:
            record(
                connection,
                principal,
                AuditAction.ACCOUNT_CREATE,
                "account",
                account.uuid,
                request=request,
                details={"by": "oidc"},
            )
        return account, _begin_login(connection, principal, account, request, "oidc")


def login_by_provider(
    catalog: Catalog,
    gate: LoginState,
    provider: OidcProvider,
    answer: Mapping[str, str],
    cookie: str | None,
    redirect_uri: str,
    request: RequestInfo,
) -> tuple[NewLogin, str]:
    """Log in who comes back from the provider; the login, and where to go on.

    Raises AccessDenied as `OidcProvider.finish` and `login_by_identity` do, Throttled after too many that failed from
    one address, of which the trail tells.
    """
    tries = f"oidc {request.address}"  # no account's name: those who log in by password are not slowed down
    gate.throttle.begin(tries, request.address)
    account = None
    try:
        identity, then = provider.finish(answer, cookie, redirect_uri)
        with catalog.read() as connection:
            account = accounts.by_identity(connection, identity.key)
        gate.settle()
        _, login = login_by_identity(catalog, provider.settings, identity, request)
    except AccessDenied as error:
        details = {"by": "oidc", "code": error.code}
        gate.refused(FailedLogin("login", None if account is None else account.id, request, details))
        raise
    gate.throttle.good(tries, request.address)
    return login, then


def end_login(catalog: Catalog, principal: Principal, secret: str, request: RequestInfo) -> None:
    """End the login of a cookie; nothing happens where it has ended already."""
    with catalog.write() as connection:
        logins.end(connection, secret)
        if principal.signed_in:
            record(connection, principal, AuditAction.LOGOUT, "account", principal.uuid, request=request)


def change_own_password(
    catalog: Catalog,
    gate: LoginState,
    principal: Principal,
    current: str,
    new: str,
    request: RequestInfo | None,
    *,
    again: bool = True,
) -> NewLogin | None:
    """Change one's own password, which needs the present one; all logins and tokens end, and (`again`) a login begins.

    Raises Usage `password_wrong`, `password_unfit`, Throttled after too many guesses at the present one.
    """
    with catalog.read() as connection:
        require_access(principal, Action.ACCOUNT_EDIT, None, ProjectRights(connection))
        account = accounts.get(connection, principal.name)
    passwords.check_new(new)
    address = request.address if request is not None else ""
    gate.throttle.begin(account.name, address)
    if not passwords.verify(account.password, current):
        gate.refused(FailedLogin("password", account.id, request or RequestInfo()))
        raise PasswordWrong
    gate.throttle.good(account.name, address)
    gate.settle()
    hashed = passwords.hash_password(new)
    with catalog.write() as connection:
        changed = accounts.set_password(connection, account, hashed)
        login = logins.begin(connection, changed) if again else None
        record(connection, principal, AuditAction.PASSWORD, "account", account.uuid, request=request)
    return login

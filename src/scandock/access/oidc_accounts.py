"""Which account an OpenID Connect identity logs in to, and who gets one at the first login."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from scandock.access import accounts
from scandock.access.accounts import Account
from scandock.access.errors import AccountExists, AccountNameInvalid
from scandock.access.login_errors import LoginFailed, ProviderAccountMissing, ProviderNameTaken
from scandock.access.oidc_settings import Identity, OidcSettings
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage


@dataclass(frozen=True, slots=True)
class AccountResult:
    """The account, and whether it was made just now."""

    account: Account
    made: bool


def find_or_create_account(connection: Connection, settings: OidcSettings, identity: Identity) -> AccountResult:
    """The account of an identity, made where the rule gives one.

    It is found by issuer and subject alone: a name or an e-mail address that happens to be an account's here opens
    nothing. Raises AccessDenied `oidc_not_allowed` where there is none and the rule gives none, `oidc_name_taken` where
    its name is another's, `login_failed` where it is disabled.
    """
    account = accounts.by_identity(connection, identity.key)
    if account is not None:
        if account.disabled:
            raise LoginFailed("This account is disabled.", "Ask an administrator.")
        return AccountResult(account, made=False)
    if not can_have_account(settings, identity):
        raise ProviderAccountMissing(
            "You are known to the provider, but have no account here.",
            "Ask an administrator for one.",
        )
    name = account_name(identity)
    try:
        new_account = accounts.create(
            connection, name, display=identity.display, email=_verified_email(identity), identity=identity.key
        )
    except (AccountExists, AccountNameInvalid):
        raise ProviderNameTaken(
            f"An account can't be made under the name {name!r}: it is taken, or can't be one.",
            "Ask an administrator to link your identity to an account.",
        ) from None
    return AccountResult(new_account, made=True)


def can_have_account(settings: OidcSettings, identity: Identity) -> bool:
    """Whether the rule gives an account: by the domain of an e-mail address that the provider has verified."""
    if "*" in settings.domains:
        return True
    domain = identity.email.rpartition("@")[2].casefold()
    return (
        bool(domain)
        and identity.email_verified
        and domain in {allowed_domain.casefold() for allowed_domain in settings.domains}
    )


def account_name(identity: Identity) -> str:
    """The name that an account gets: the claim's, with what no name may hold as dots."""
    return re.sub(r"[^A-Za-z0-9._@-]+", ".", identity.name).strip("._@-")[:64]


def _verified_email(identity: Identity) -> str:
    """An unverified address may be anybody's: nothing is sent there."""
    if not identity.email_verified:
        return ""
    try:
        accounts.check_email(identity.email)
    except Usage:
        return ""
    return identity.email

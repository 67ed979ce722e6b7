"""What is done to accounts and their tokens, each with its line in the trail, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from scandock.access import accounts, passwords, tokens
from scandock.access.accounts import Account
from scandock.access.principal import Principal, ProjectRights, RequestInfo, RightMissing, raise_denied, require_access
from scandock.access.tokens import NewToken, Token
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import AccessDecision, Action, Scope
from scandock.services.account_errors import PasswordOwn, TokenUnknown
from scandock.services.audit import AuditAction, DetailValue, record

UNCHANGED: Final = ""
"""No identity is called so."""


class Accounts:
    """What one asker does to accounts. Each method checks the right to it, and raises AccessDenied without it."""

    def __init__(self, catalog: Catalog, principal: Principal, request: RequestInfo | None = None) -> None:
        self._catalog = catalog
        self._asker = principal
        self._request = request or RequestInfo()

    def create(
        self, name: str, password: str | None, *, admin: bool = False, display: str = "", email: str = ""
    ) -> Account:
        """Make an account; without a password only an OpenID Connect identity can log in to it.

        An administrator may set any password that is not empty.
        """
        self._require_admin()
        accounts.check_name(name)
        hashed = _hash_password(password) if password is not None else None
        with self._catalog.write() as connection:
            account = accounts.create(connection, name, password=hashed, admin=admin, display=display, email=email)
            self._record(connection, AuditAction.ACCOUNT_CREATE, account, {"admin": admin})
        return account

    def set_password(self, name: str, password: str) -> Account:
        """Set another's password, as an administrator: all logins and tokens of the account end at once.

        Usage `password_own` for one's own, which needs the present one: a stolen login must not take the account over.
        """
        self._require_admin()
        hashed = _hash_password(password)
        with self._catalog.write() as connection:
            account = accounts.get(connection, name)
            if account.id == self._asker.account_id:
                raise PasswordOwn
            changed = accounts.set_password(connection, account, hashed)
            self._record(connection, AuditAction.PASSWORD, changed)
        return changed

    def set_disabled(self, name: str, disabled: bool) -> Account:
        """Shut an account out at once, or let it in again."""
        self._require_admin()
        with self._catalog.write() as connection:
            return self._disabled(connection, accounts.get(connection, name), disabled)

    def set_admin(self, name: str, admin: bool) -> Account:
        """Make somebody a site administrator, or no longer."""
        self._require_admin()
        with self._catalog.write() as connection:
            return self._admin(connection, accounts.get(connection, name), admin)

    def set_identity(self, name: str, identity: str | None) -> Account:
        """Let an OpenID Connect identity (issuer, blank, subject) log in to an account, or (None) no longer."""
        self._require_admin()
        with self._catalog.write() as connection:
            return self._identity(connection, accounts.get(connection, name), identity)

    def set_profile(self, *, display: str | None, email: str | None, account_name: str | None = None) -> Account:
        """Change one's own shown name and e-mail, or as an administrator those of `account_name`; None: as it is."""
        with self._catalog.write() as connection:
            return self._profile(connection, self._find_account(connection, account_name), display, email)

    def change(
        self,
        name: str,
        *,
        admin: bool | None = None,
        disabled: bool | None = None,
        display: str | None = None,
        email: str | None = None,
        identity: str | None = UNCHANGED,
    ) -> Account:
        """Change several things of an account at once, all of them or none, as an administrator.

        What is None stays as it is; but `identity` None: nobody logs in by one any more.
        """
        self._require_admin()
        with self._catalog.write() as connection:
            account = accounts.get(connection, name)
            if admin is not None:
                account = self._admin(connection, account, admin)
            if disabled is not None:
                account = self._disabled(connection, account, disabled)
            if identity != UNCHANGED:
                account = self._identity(connection, account, identity)
            if display is not None or email is not None:
                account = self._profile(connection, account, display, email)
        return account

    def find(self, name: str) -> Account:
        """One account, for administrators. Usage `account_unknown`."""
        self._require_admin()
        with self._catalog.read() as connection:
            return accounts.get(connection, name)

    def own(self) -> Account:
        """The asker's account."""
        with self._catalog.read() as connection:
            return self._own(connection, Action.ACCOUNT_READ)

    def page(self, *, after: str = "", limit: int = 100) -> Sequence[Account]:
        """Accounts by name, for administrators."""
        self._require_admin()
        with self._catalog.read() as connection:
            return accounts.list_page(connection, after=after, limit=limit)

    def issue_token(
        self, *, scope: Scope, days: int = tokens.DAYS, name: str = "", account_name: str | None = None
    ) -> NewToken:
        """Make a token of one's own, or (`account_name`) of another account, as an administrator.

        What asks by a token makes none that lives longer, and it ends with that token. One of another account ends with
        its administrator, too: when they are disabled, get a new password or are none any more.

        Raises AccessDenied for the account of another administrator, and for one that is disabled.
        """
        with self._catalog.write() as connection:
            account = self._find_account(connection, account_name)
            parent = self._asker.token
            if account.id != self._asker.account_id and self._asker.account_id is not None:
                asker, account = self._lock_both(connection, account)
                parent = tokens.get_issuing_token(connection, asker, account, scope=scope, days=days, parent=parent)
                name = f"Issued by {asker.name}"
            issued = tokens.issue(connection, account, scope=scope, days=days, name=name, parent=parent)
            self._record(
                connection,
                AuditAction.TOKEN_CREATE,
                account,
                {"alias": issued.alias, "scope": scope, "days": issued.days},
            )
        return issued

    def _lock_both(self, connection: Connection, account: Account) -> tuple[Account, Account]:
        """The asker's account and one that they issue a token for, as both stay until that is done.

        AccessDenied (403) where the asker is no administrator any more; where the other one is, since what an
        administrator does has to be theirs; and where it is disabled, as what is shut out stays so when it is let in
        again.
        """
        assert self._asker.account_id is not None
        accounts_by_id = accounts.lock_accounts(connection, {self._asker.account_id, account.id})
        asker, other = accounts_by_id.get(self._asker.account_id), accounts_by_id.get(account.id)
        if asker is None or other is None or not asker.admin or asker.disabled:
            raise_denied(AccessDecision.FORBIDDEN, replace(self._asker, admin=False), Action.SITE_ADMIN)
        if other.admin:
            message = f"{other.name} is an administrator, whose tokens nobody else issues."
            remedy = "Have them issue it themselves, or issue one for your own account."
        elif other.disabled:
            message, remedy = f"The account {other.name} is disabled.", "Enable it first."
        else:
            return asker, other
        raise RightMissing(message, remedy, action=Action.SITE_ADMIN)

    def tokens(self, *, account_name: str | None = None) -> Sequence[Token]:
        """One's own tokens, or another account's."""
        with self._catalog.read() as connection:
            return tokens.list_tokens(connection, self._find_account(connection, account_name, Action.ACCOUNT_READ).id)

    def revoke_token(self, alias: str, *, account_name: str | None = None) -> None:
        """End a token at once, with the logins and tokens that it made.

        Raises Usage `token_unknown` where the account has none of that alias.
        """
        with self._catalog.write() as connection:
            account = self._find_account(connection, account_name)
            self._revoke(connection, account, alias)

    def revoke_named(self, alias: str) -> None:
        """End a token of one's own by its alias, or as an administrator anybody's, as `revoke_token`.

        Raises Usage `token_unknown` in the same words where there is none and where it is another's.
        """
        with self._catalog.write() as connection:
            account = self._own(connection, Action.ACCOUNT_EDIT)
            held_by = tokens.find_account_id(connection, alias)
            if self._asker.admin and held_by is not None and held_by != account.id:
                require_access(self._asker, Action.SITE_ADMIN, None, ProjectRights(connection))
                account = accounts.by_id(connection, held_by) or account
            self._revoke(connection, account, alias)

    def _revoke(self, connection: Connection, account: Account, alias: str) -> None:
        if not tokens.revoke(connection, account.id, alias):
            raise TokenUnknown
        self._record(connection, AuditAction.TOKEN_REVOKE, account, {"alias": alias.lower()})

    def _admin(self, connection: Connection, account: Account, admin: bool) -> Account:
        changed = accounts.set_admin(connection, account, admin)
        self._record(connection, AuditAction.ACCOUNT_ADMIN, changed, {"admin": admin})
        return changed

    def _disabled(self, connection: Connection, account: Account, disabled: bool) -> Account:
        changed = accounts.set_disabled(connection, account, disabled)
        self._record(connection, AuditAction.ACCOUNT_DISABLE if disabled else AuditAction.ACCOUNT_ENABLE, changed)
        return changed

    def _identity(self, connection: Connection, account: Account, identity: str | None) -> Account:
        changed = accounts.set_identity(connection, account, identity)
        self._record(connection, AuditAction.ACCOUNT_EDIT, changed, {"identity": identity is not None})
        return changed

    def _profile(self, connection: Connection, account: Account, display: str | None, email: str | None) -> Account:
        values = {"display": display, "email": email}
        if display is None and email is None:
            return account
        changed = accounts.set_profile(
            connection,
            account,
            display=account.display if display is None else display,
            email=account.email if email is None else email,
        )
        fields = sorted(name for name, value in values.items() if value is not None)
        self._record(connection, AuditAction.ACCOUNT_EDIT, changed, {"fields": fields})
        return changed

    def _find_account(
        self, connection: Connection, account_name: str | None, action: Action = Action.ACCOUNT_EDIT
    ) -> Account:
        if account_name is None:
            return self._own(connection, action)
        require_access(self._asker, Action.SITE_ADMIN, None, ProjectRights(connection))
        return accounts.get(connection, account_name)

    def _own(self, connection: Connection, action: Action) -> Account:
        require_access(self._asker, action, None, ProjectRights(connection))
        return accounts.get(connection, self._asker.name)

    def _require_admin(self) -> None:
        with self._catalog.read() as connection:
            require_access(self._asker, Action.SITE_ADMIN, None, ProjectRights(connection))

    def _record(
        self,
        connection: Connection,
        action: AuditAction,
        account: Account,
        details: Mapping[str, DetailValue] | None = None,
    ) -> None:
        record(connection, self._asker, action, "account", account.uuid, request=self._request, details=details)


def _hash_password(password: str) -> str:
    passwords.check_new(password, least=1)
    return passwords.hash_password(password)

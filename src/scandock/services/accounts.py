"""What is done to accounts and their tokens, each with its line in the trail, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from scandock.access import accounts, passwords, tokens
from scandock.access.accounts import Account
from scandock.access.principal import Principal, ProjectRights, RequestInfo, require
from scandock.access.tokens import Issued, Token
from scandock.catalog.engine import Catalog
from scandock.model.errors import Usage
from scandock.rules.permissions import Action, Scope
from scandock.services.audit import Did, Value, record


class Accounts:
    """What one asker does to accounts. Each method checks the right to it, and raises Denied without it."""

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
        hashed = _hashed(password) if password is not None else None
        with self._catalog.write() as connection:
            made = accounts.create(connection, name, password=hashed, admin=admin, display=display, email=email)
            self._record(connection, Did.ACCOUNT_CREATE, made, {"admin": admin})
        return made

    def set_password(self, name: str, password: str) -> Account:
        """Set anybody's password, as an administrator: all logins and tokens of the account end at once."""
        self._require_admin()
        hashed = _hashed(password)
        with self._catalog.write() as connection:
            changed = accounts.set_password(connection, accounts.get(connection, name), hashed)
            self._record(connection, Did.PASSWORD, changed)
        return changed

    def set_disabled(self, name: str, disabled: bool) -> Account:
        """Shut an account out at once, or let it in again."""
        self._require_admin()
        with self._catalog.write() as connection:
            changed = accounts.set_disabled(connection, accounts.get(connection, name), disabled)
            self._record(connection, Did.ACCOUNT_DISABLE if disabled else Did.ACCOUNT_ENABLE, changed)
        return changed

    def set_admin(self, name: str, admin: bool) -> Account:
        """Make somebody a site administrator, or no longer."""
        self._require_admin()
        with self._catalog.write() as connection:
            changed = accounts.set_admin(connection, accounts.get(connection, name), admin)
            self._record(connection, Did.ACCOUNT_ADMIN, changed, {"admin": admin})
        return changed

    def set_identity(self, name: str, identity: str | None) -> Account:
        """Let an OpenID Connect identity (issuer, blank, subject) log in to an account, or (None) no longer."""
        self._require_admin()
        with self._catalog.write() as connection:
            changed = accounts.set_identity(connection, accounts.get(connection, name), identity)
            self._record(connection, Did.ACCOUNT_EDIT, changed, {"identity": identity is not None})
        return changed

    def set_profile(self, *, display: str, email: str, of: str | None = None) -> Account:
        """Change one's own shown name and e-mail, or (`of`) another account's, as an administrator."""
        with self._catalog.write() as connection:
            one = self._whose(connection, of)
            changed = accounts.set_profile(connection, one, display=display, email=email)
            self._record(connection, Did.ACCOUNT_EDIT, changed)
        return changed

    def page(self, *, after: str = "", limit: int = 100) -> Sequence[Account]:
        """Accounts by name, for administrators."""
        self._require_admin()
        with self._catalog.read() as connection:
            return accounts.page(connection, after=after, limit=limit)

    def issue_token(self, *, scope: Scope, days: int = tokens.DAYS, name: str = "", of: str | None = None) -> Issued:
        """Make a token of one's own, or (`of`) of another account, as an administrator."""
        with self._catalog.write() as connection:
            one = self._whose(connection, of)
            made = tokens.issue(connection, one, scope=scope, days=days, name=name)
            self._record(connection, Did.TOKEN_CREATE, one, {"alias": made.alias, "scope": scope, "days": days})
        return made

    def tokens(self, *, of: str | None = None) -> Sequence[Token]:
        """One's own tokens, or another account's."""
        with self._catalog.read() as connection:
            return tokens.of_account(connection, self._whose(connection, of, Action.ACCOUNT_READ).id)

    def revoke_token(self, alias: str, *, of: str | None = None) -> None:
        """End a token at once. Raises Usage `token_unknown` where the account has none of that alias."""
        with self._catalog.write() as connection:
            one = self._whose(connection, of)
            if not tokens.revoke(connection, one.id, alias):
                raise Usage("token_unknown", "There is no token of that alias.", "List the tokens.")
            self._record(connection, Did.TOKEN_REVOKE, one, {"alias": alias.lower()})

    def _whose(self, connection: Connection, of: str | None, action: Action = Action.ACCOUNT_EDIT) -> Account:
        if of is None:
            return self._own(connection, action)
        require(self._asker, Action.SITE_ADMIN, None, ProjectRights(connection))
        return accounts.get(connection, of)

    def _own(self, connection: Connection, action: Action) -> Account:
        require(self._asker, action, None, ProjectRights(connection))
        return accounts.get(connection, self._asker.name)

    def _require_admin(self) -> None:
        with self._catalog.read() as connection:
            require(self._asker, Action.SITE_ADMIN, None, ProjectRights(connection))

    def _record(
        self, connection: Connection, did: Did, one: Account, details: Mapping[str, Value] | None = None
    ) -> None:
        record(connection, self._asker, did, "account", one.uuid, request=self._request, details=details)


def _hashed(password: str) -> str:
    passwords.check_new(password, least=1)
    return passwords.hash_password(password)

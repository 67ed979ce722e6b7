"""One's own logins by cookie: seen and ended, each with its line in the trail."""

from __future__ import annotations

from sqlalchemy import Connection

from scandock.access import logins
from scandock.access.errors import AccountUnknown
from scandock.access.principal import Principal, ProjectRights, RequestInfo, require_access
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Action
from scandock.services.account_errors import LoginUnknown
from scandock.services.account_records import Login
from scandock.services.audit import AuditAction, record


class OwnLogins:
    """What one asker does to logins; `secret` is that of the cookie which the request brought, if any."""

    def __init__(
        self, catalog: Catalog, principal: Principal, secret: str | None, request: RequestInfo | None = None
    ) -> None:
        self._catalog = catalog
        self._asker = principal
        self._current = logins.login_id(secret) if secret else ""
        self._request = request

    def list(self) -> list[Login]:
        """Logins that hold, the newest first."""
        with self._catalog.read() as connection:
            account_id = self._account(connection, Action.ACCOUNT_READ)
            return [
                Login(
                    id=login.id,
                    created=login.created,
                    seen=login.seen,
                    expires=login.expires,
                    current=login.id == self._current,
                )
                for login in logins.list_logins(connection, account_id)
            ]

    def end(self, login: str) -> None:
        """End one at once. Usage `login_unknown` where the account has none of that id."""
        with self._catalog.write() as connection:
            account_id = self._account(connection, Action.ACCOUNT_EDIT)
            if not logins.end_logins(connection, account_id, {login}):
                raise LoginUnknown
            self._record(connection, {"login": login})

    def end_others(self) -> int:
        """End all but the one that asks; how many."""
        with self._catalog.write() as connection:
            account_id = self._account(connection, Action.ACCOUNT_EDIT)
            ids = {login.id for login in logins.list_logins(connection, account_id)} - {self._current}
            ended = logins.end_logins(connection, account_id, ids)
            if ended:
                self._record(connection, {"logins": ended})
        return ended

    def _account(self, connection: Connection, action: Action) -> int:
        require_access(self._asker, action, None, ProjectRights(connection))
        if self._asker.account_id is None:  # the server's own machine has none
            raise AccountUnknown("Whoever asks has no account.", "Ask as an account.")
        return self._asker.account_id

    def _record(self, connection: Connection, details: dict[str, str | int]) -> None:
        record(
            connection,
            self._asker,
            AuditAction.LOGOUT,
            "account",
            self._asker.uuid,
            request=self._request,
            details=details,
        )

"""Whether an account may still upload, asked by an import before it places anything."""

from __future__ import annotations

from scandock.access import accounts
from scandock.access.authenticate import principal_of
from scandock.access.principal import Door, ProjectRights, may
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Action, Answer


def may_upload(catalog: Catalog, account_id: int, project: str) -> bool:
    """As the roles are now; False for an account that is disabled or gone."""
    with catalog.read() as connection:
        one = accounts.by_id(connection, account_id)
        if one is None or one.disabled:
            return False
        principal = principal_of(connection, one, Door.SYSTEM)
        return may(principal, Action.UPLOAD, project, ProjectRights(connection)) is Answer.ALLOWED


def is_disabled(catalog: Catalog, account_id: int) -> bool:
    """Whether an account is disabled, or gone."""
    with catalog.read() as connection:
        one = accounts.by_id(connection, account_id)
    return one is None or one.disabled

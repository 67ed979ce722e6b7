"""Whether an account may still upload, or archive, asked by an import before it places anything."""

from __future__ import annotations

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import Door, ProjectRights, decide_access_of
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Action, AccessDecision


def may_upload(catalog: Catalog, account_id: int, project: str) -> bool:
    """As the roles are now; False for an account that is disabled or gone."""
    return _may(catalog, account_id, Action.UPLOAD, project)


def may_archive(catalog: Catalog, account_id: int, project: str) -> bool:
    """Whether an account may archive what waits in a project, as the roles are now."""
    return _may(catalog, account_id, Action.SESSION_ARCHIVE, project)


def _may(catalog: Catalog, account_id: int, action: Action, project: str) -> bool:
    with catalog.read() as connection:
        one = accounts.by_id(connection, account_id)
        if one is None or one.disabled:
            return False
        principal = make_principal(connection, one, Door.SYSTEM)
        return decide_access_of(principal, action, project, ProjectRights(connection)) is AccessDecision.ALLOWED


def is_disabled(catalog: Catalog, account_id: int) -> bool:
    """Whether an account is disabled, or gone."""
    with catalog.read() as connection:
        one = accounts.by_id(connection, account_id)
    return one is None or one.disabled

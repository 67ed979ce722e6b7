"""What every service gets of a request: the catalog, the store, and who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.model.dataclass import dataclass
from scandock.services import audit
from scandock.services.tree_cache import TreeCache
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """Where a person's request is worked on: the site's catalog and store, and who asks."""

    catalog: Catalog
    store: Store
    settings: Settings
    principal: Principal
    request: RequestInfo | None = None
    """Where from it was asked, for the audit trail."""
    ask_again: Callable[[], Principal] | None = field(default=None, compare=False, repr=False)
    """Gives who asks as they are now, AccessDenied where they may ask no more; None on the server's own machine."""
    trees: TreeCache = field(default_factory=TreeCache, compare=False, repr=False)
    """Of the process, where that serves many requests."""

    def still(self) -> Principal:
        """Who asks, after what has lasted a while. AccessDenied (401) where their account, login or token has ended."""
        return self.principal if self.ask_again is None else self.ask_again()

    def note(
        self,
        connection: Connection,
        action: str,
        target: str,
        project_name: str,
        details: Mapping[str, audit.DetailValue] | None = None,
        *,
        kind: str = "session",
    ) -> None:
        """Write a line of the audit trail within the transaction of the change."""
        audit.record(
            connection,
            self.principal,
            action,
            kind,
            target,
            project=project_name,
            request=self.request,
            details=details,
        )

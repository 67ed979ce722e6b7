"""Which store a data folder has: the one place that knows more of a store than its port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.store.local import LocalStore

if TYPE_CHECKING:
    from scandock.store.port import Store


def open_store(data: str) -> Store:
    """The store of a data folder; costs nothing and touches nothing. Any process may open it by the same folder."""
    return LocalStore(data)

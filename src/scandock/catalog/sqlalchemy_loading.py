"""SQLAlchemy loaded without what it imports and a command never uses, a fifth of its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scandock.model.lazy_modules import lazy_imports

_UNUSED: Final[Mapping[str, tuple[str, ...]]] = {
    "asyncio": ("iscoroutine",),
    "importlib.metadata": (),
    "sqlalchemy.dialects.sqlite.aiosqlite": (),
    "sqlalchemy.dialects.sqlite.pysqlcipher": (),
}


def load_sqlalchemy(*, sqlite: bool) -> None:
    """Load SQLAlchemy, with its SQLite where the catalog is of that, for a process without an event loop."""
    with lazy_imports(_UNUSED):
        import sqlalchemy

        if sqlite:
            import sqlalchemy.dialects.sqlite  # noqa: F401

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


def load_sqlalchemy() -> None:
    """Load SQLAlchemy and its SQLite, for a process without an event loop."""
    with lazy_imports(_UNUSED):
        import sqlalchemy.dialects.sqlite  # noqa: F401

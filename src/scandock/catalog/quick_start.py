"""SQLAlchemy loaded without what it imports and a command never uses: asyncio, packages' metadata, drivers of others.

They are a fifth of its start. Each is loaded after all once something asks for a thing of it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

_UNUSED: Final[Mapping[str, tuple[str, ...]]] = {
    "asyncio": ("iscoroutine",),
    "importlib.metadata": (),
    "sqlalchemy.dialects.sqlite.aiosqlite": (),
    "sqlalchemy.dialects.sqlite.pysqlcipher": (),
}
"""Modules, and those functions of them that SQLAlchemy takes from them as it is imported."""


class LaterModule(ModuleType):
    """Stands for a module that is loaded once something of it is asked for, or one of some functions of it called."""

    def __init__(self, name: str, functions: tuple[str, ...] = ()) -> None:
        super().__init__(name)
        self._functions = functions

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401  whatever it has
        if attribute in self._functions:
            return self._later(attribute)
        return getattr(self._load(), attribute)

    def _later(self, function: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return getattr(self._load(), function)(*args, **kwargs)

        return call

    def _load(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


@contextmanager
def stand_in(unused: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Within the context, who imports these modules gets one that is loaded later, unless they are loaded already."""
    later = {name: LaterModule(name, functions) for name, functions in unused.items() if name not in sys.modules}
    sys.modules.update(later)
    for name, module in later.items():
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)  # as an import would
    try:
        yield
    finally:
        for name, module in later.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def load_sqlalchemy() -> None:
    """Load SQLAlchemy and its SQLite, for a process that has one catalog in a file and no event loop."""
    with stand_in(_UNUSED):
        import sqlalchemy.dialects.sqlite  # noqa: F401

"""Modules that are loaded once something of them is asked for: what libraries import and a command never uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """A module that is loaded once something of it is asked for.

    Some functions may be asked for without that; they load it when they are called. `importlib.util.LazyLoader` has
    none of these, and SQLAlchemy takes one from asyncio as it is imported.
    """

    def __init__(self, name: str, functions: tuple[str, ...] = ()) -> None:
        super().__init__(name)
        self._functions = functions

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401  whatever it has
        if attribute in self._functions:
            return self._make_function(attribute)
        return getattr(self._load(), attribute)

    def _make_function(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return getattr(self._load(), name)(*args, **kwargs)

        return call

    def _load(self) -> ModuleType:
        _remove_from_loaded(self)
        __import__(self.__name__)
        return sys.modules[self.__name__]


def _remove_from_loaded(module: LazyModule) -> None:
    """Let whoever imports the module by its name get the one that it stands for."""
    if sys.modules.get(module.__name__) is module:
        sys.modules.pop(module.__name__, None)  # another thread may have done it


@contextmanager
def lazy_imports(functions: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Within the context, who imports these modules gets a lazy one, unless they are loaded already.

    `functions`: by the names of the modules, those of their functions that may be asked for without loading them.
    """
    modules = {name: LazyModule(name, some) for name, some in functions.items() if name not in sys.modules}
    sys.modules.update(modules)
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)  # as an import would
    try:
        yield
    finally:
        for module in modules.values():
            _remove_from_loaded(module)

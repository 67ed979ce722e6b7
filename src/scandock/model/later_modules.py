"""Modules that are loaded once something of them is asked for: what libraries import and a command never uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


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
        __import__(self.__name__)
        return sys.modules[self.__name__]


@contextmanager
def stand_in(unused: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Within the context, who imports these modules gets one that is loaded later, unless they are loaded already.

    `unused`: their names, each with the functions that are taken from it as it is imported, and called later or never.
    """
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

"""`dataclass`, as `dataclasses` has it, but made in a third of the time. Type checkers take it for that one.

The library writes and compiles functions for the comparison, the hash and the text of each class, and to keep a frozen
one from being changed: half a millisecond a class, of which a command makes a hundred. Here all classes share how that
is done. Nothing keeps a frozen object from being changed while the program runs; type checkers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

from scandock.model.lazy_modules import lazy_imports

with lazy_imports({"inspect": ()}):  # Python 3.11 has the library use it for classes without a docstring alone
    import dataclasses

__all__ = ["dataclass"]


def _dataclass(
    cls: type[Any] | None = None,
    /,
    *,
    frozen: bool = False,
    eq: bool = True,
    repr: bool = True,  # noqa: A002  the library's word
    **options: bool,
) -> Any:  # noqa: ANN401  the class, or what makes it
    """As the library's, which gets the other options."""

    def make(cls: type[Any]) -> type[Any]:
        return _make_class(cls, options, frozen=frozen, eq=eq, has_repr=repr)

    return make if cls is None else make(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass


def _make_class(cls: type[Any], options: dict[str, bool], *, frozen: bool, eq: bool, has_repr: bool) -> type[Any]:
    cls.__doc__ = cls.__doc__ or f"{cls.__name__}."  # else the library makes one of the signature, which takes long
    own = vars(cls)
    methods: dict[str, Any] = {}
    new_class: type[Any] = dataclasses.dataclass(eq=False, repr=False, **options)(cls)
    fields = dataclasses.fields(new_class)
    if has_repr:
        methods["__repr__"] = _make_repr([field.name for field in fields if field.repr])
    if eq:
        methods["__eq__"] = _make_eq(_values_of([field.name for field in fields if field.compare]))
        hashed = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
        methods["__hash__"] = _make_hash(_values_of(hashed)) if frozen else None
    for name, method in methods.items():
        if name not in own or (name == "__hash__" and own[name] is None):  # Python's own None beside an __eq__
            setattr(new_class, name, method)
    return new_class


def _values_of(names: Sequence[str]) -> Callable[[object], Any]:
    """What gives the values of some attributes, as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _make_eq(values: Callable[[object], Any]) -> Callable[[object, object], Any]:
    def __eq__(self: object, other: object) -> Any:  # noqa: N807, ANN401  a bool, or NotImplemented
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _make_hash(values: Callable[[object], Any]) -> Callable[[object], int]:
    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _make_repr(names: Sequence[str]) -> Callable[[object], str]:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({values})"

    return __repr__

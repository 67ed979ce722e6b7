"""Records that are answers: frozen dataclasses whose fields are the keys of a JSON object, and so its description too.

FastAPI describes a route's answer by the class (`response_model`); what is answered is `to_json`, unchecked, so that a
long list costs no more than its keys. pydantic, by which FastAPI describes them, is loaded where they are described: an
import of the command line makes some of them, and does without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Described:
    """What a key means, as pydantic's `Field(description=...)` says it, in records that are made without pydantic."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "description": self.text}


class DescribedAs:
    """What a key's value is described as, where it is kept in another type: a function tells the one that counts."""

    def __init__(self, find_kind: Callable[[], Any]) -> None:
        self.find_kind = find_kind

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(self.find_kind())


Moment = Annotated[int, Described("Unix milliseconds")]
MaybeMoment = Annotated[int | None, Described("Unix milliseconds")]


class JsonRecord:
    """What records that are answers share: they are frozen dataclasses, keyword only and without slots.

    A field whose key is a word of Python has it with a _ behind, and `Field(alias=...)` for its description.
    """

    NESTED: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are records, lists of them, or None."""
    _LEFT_OUT: ClassVar[tuple[str, ...]] = ()
    _KEYS: ClassVar[dict[str, str]] = {}
    """Keys by the names of the fields, of a record where some are others."""

    def __init_subclass__(cls) -> None:
        if "__slots__" in cls.__dict__:
            raise TypeError(f"{cls.__name__} has slots: what is answered is its dictionary")
        names = (*getattr(cls, "__dataclass_fields__", ()), *cls.__annotations__)
        init = _init(names)
        init.__kwdefaults__ = {name: default for name in names if (default := _default(cls, name)) is not MISSING}
        cls.__init__ = init  # type: ignore[method-assign]  # a dataclass keeps it
        cls._LEFT_OUT = tuple(name for name, default in init.__kwdefaults__.items() if default is None)
        if any(name.endswith("_") for name in names):
            cls._KEYS = {name: name.removesuffix("_") for name in names}

    def to_json(self) -> dict[str, Any]:
        """Its fields by name, in order; without those that are left out."""
        made = self.__dict__.copy()
        for name in self._LEFT_OUT:
            if made[name] is None:
                del made[name]
        for name in self.NESTED:
            if made.get(name) is not None:
                made[name] = _nested(made[name])
        if self._KEYS:
            return {self._KEYS[name]: value for name, value in made.items()}
        return made


def _init(names: tuple[str, ...]) -> FunctionType:
    """What fills a record at once: that of a frozen dataclass sets one field after the other, at three times the cost,
    which is a fifth of a page of a list.
    """
    scope: dict[str, Any] = {"fill": object.__setattr__}
    values = ", ".join(f"{name!r}: {name}" for name in names)
    exec(f"def __init__(self, *, {', '.join(names)}): fill(self, '__dict__', {{{values}}})", scope)  # noqa: S102  names
    init: FunctionType = scope["__init__"]
    return init


def _default(record: type[Any], name: str) -> object:
    default = getattr(record, name, MISSING)
    return default.default if isinstance(default, Field) else default


def _nested(value: Any) -> Any:  # noqa: ANN401  a record, or a list of them
    return [one.to_json() for one in value] if isinstance(value, list) else value.to_json()

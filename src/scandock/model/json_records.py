"""Records that are answers: frozen dataclasses whose fields are the keys of a JSON object, and so its description too.

FastAPI describes a route's answer by the class (`response_model`); what is answered is `to_json`, unchecked, so that a
long list costs no more than its keys.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass
from types import FunctionType
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, GetPydanticSchema
from pydantic import Field as Described
from pydantic.json_schema import SkipJsonSchema

T = TypeVar("T")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


Moment = Annotated[int, Described(description="Unix milliseconds")]
MaybeMoment = Annotated[int | None, Described(description="Unix milliseconds")]
LeftOut = Annotated[T | SkipJsonSchema[None], Described(json_schema_extra=_without_default)]
"""A key that some objects do not have: None stands for that, and is the field's default."""


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


@dataclass(frozen=True, kw_only=True)
class Notice(JsonRecord):
    """A warning."""

    code: str
    message: LeftOut[str] = None
    remedy: LeftOut[str] = None


Notices = Annotated[list[dict[str, str]], GetPydanticSchema(lambda _, handler: handler(list[Notice]))]
"""Warnings as the catalog keeps them, described as a list of `Notice`."""


class PageOf(BaseModel, Generic[T]):
    """A list."""

    items: list[T]
    next: Annotated[str | None, Described(description="The following page's cursor; null behind the last")]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}Page"


class ListOf(BaseModel, Generic[T]):
    """A list."""

    items: list[T]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}List"

"""Records that are answers: frozen dataclasses whose fields are the keys of a JSON object, and so its description too.

FastAPI describes a route's answer by the class (`response_model`); what is answered is `to_json`, unchecked, so that a
long list costs no more than its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

T = TypeVar("T")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


Moment = Annotated[int, Field(description="Unix milliseconds")]
MaybeMoment = Annotated[int | None, Field(description="Unix milliseconds")]
LeftOut = Annotated[T | SkipJsonSchema[None], Field(json_schema_extra=_without_default)]
"""A key that some objects do not have: None stands for that, and is the field's default."""


class JsonRecord:
    """What records that are answers share."""

    __slots__ = ()

    NESTED: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are records, lists of them, or None."""

    def to_json(self) -> dict[str, Any]:
        """Its fields by name, in order; without those that are left out."""
        # mypy takes the __hash__ of the instances for that of their class
        names, values, optional = _keys(self.__class__)  # type: ignore[arg-type]
        made = dict(zip(names, values(self), strict=True))
        for name in optional:
            if made[name] is None:
                del made[name]
        for name in self.NESTED:
            if made.get(name) is not None:
                made[name] = _nested(made[name])
        return made


def _nested(value: Any) -> Any:  # noqa: ANN401  a record, or a list of them
    return [one.to_json() for one in value] if isinstance(value, list) else value.to_json()


@cache
def _keys(record: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """A record's keys, what reads the fields of all of them, and the keys that may be left out.

    A field whose key is a word of Python has it with a _ behind, and `Field(alias=...)` for its description.
    """
    every = fields(record)
    keys = tuple(one.name.removesuffix("_") for one in every)
    optional = tuple(key for key, one in zip(keys, every, strict=True) if one.default is None)
    values = attrgetter(*(one.name for one in every))
    return keys, values if len(every) > 1 else lambda record: (values(record),), optional


class PageOf(BaseModel, Generic[T]):
    """A list."""

    items: list[T]
    next: Annotated[str | None, Field(description="The following page's cursor; null behind the last")]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}Page"


class ListOf(BaseModel, Generic[T]):
    """A list."""

    items: list[T]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}List"

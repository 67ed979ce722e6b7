"""Keys that some answers do not have, for records of which each key is described (`json_records`)."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord

T = TypeVar("T")


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


LeftOut = Annotated[T | SkipJsonSchema[None], Field(json_schema_extra=_without_default)]
"""A key that some objects do not have: None stands for that, and is the field's default."""


@dataclass(frozen=True, kw_only=True)
class Notice(JsonRecord):
    """A warning."""

    code: str
    message: LeftOut[str] = None
    remedy: LeftOut[str] = None

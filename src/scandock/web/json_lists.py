"""Answers that are lists of records, for their descriptions."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


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

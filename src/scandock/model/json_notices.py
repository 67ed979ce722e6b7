"""Warnings in records that are answers."""

from __future__ import annotations

from typing import Annotated, Any

from scandock.model.json_records import DescribedAs


def _notices() -> Any:  # noqa: ANN401  a type, as annotations have it
    from scandock.model.left_out import Notice  # loads pydantic

    return list[Notice]


Notices = Annotated[list[dict[str, str]], DescribedAs(_notices)]
"""Warnings as the catalog keeps them, described as a list of `Notice`."""

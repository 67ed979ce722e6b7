"""Answers that are lists of records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from scandock.model.json_records import JsonRecord
from scandock.web.json_lists import ListOf, PageOf


@dataclass(frozen=True, kw_only=True)
class Part(JsonRecord):
    name: str


@pytest.mark.parametrize(("model", "name"), [(PageOf[Part], "PartPage"), (ListOf[Part], "PartList")])
def test_lists_are_named_after_what_they_are_of(model: type[Any], name: str) -> None:
    assert model.__name__ == name

"""The API's description says all that it has said: every answer, key, header and type, wherever it is written down."""

from __future__ import annotations

import json

import pytest

from tests.unit.web.described_surface import RECORDED, now, surface


@pytest.mark.long
def test_nothing_that_was_described_is_missing_or_another() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    said = surface(now(), recorded["objects"])
    for name, keys in recorded["objects"].items():
        assert keys.items() <= said["objects"].get(name, {}).items(), name
    for where, operation in recorded["operations"].items():
        there = said["operations"][where]
        assert operation["asks"].items() <= there["asks"].items(), where
        assert operation["answers"].items() <= there["answers"].items(), where
        assert _names(operation["headers"]) <= _names(there["headers"]), where
        assert operation["who"] == there["who"], where


def _names(headers: str) -> set[str]:
    return set(headers.split(", ")) - {""}

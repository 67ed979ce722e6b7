"""Settings of which only what an import asks for is known, beside whole ones."""

from __future__ import annotations

import os

import pytest

from scandock.cli.default_settings import defaults, sets_any
from scandock.services.settings import OUTSIDE, Settings, variable_name


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("SCANDOCK_"):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_settings() -> None:
    deferred, whole = defaults(), Settings()
    names = [*Settings.model_fields, "limits", "zone"]
    assert {name: getattr(deferred, name) for name in names} == {name: getattr(whole, name) for name in names}


def test_variables_of_settings_and_slips_of_the_pen_are_no_defaults() -> None:
    names = [*map(variable_name, Settings.model_fields), "SCANDOCK_MAX_DEPHT", "scandock_max_depth"]
    assert [name for name in names if not sets_any([name])] == []
    assert not sets_any(["PATH", "PGPASSWORD", "SCANDOCK_DATA", "SCANDOCK_DEBUG"])
    assert {"SCANDOCK_DATA", "SCANDOCK_DEBUG"} <= OUTSIDE.keys()

"""Settings and requests of which only what readers begin with is known, beside whole ones."""

from __future__ import annotations

import os

import pytest

from scandock.cli.deferred_values import defaults, deferred_request, sets_any
from scandock.rules.import_request import ImportRequest
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


def test_a_request_is_what_its_fields_say() -> None:
    fields = {"project": "P", "resources": "ignore", "workers": 3}
    request, whole = deferred_request(fields), ImportRequest.model_validate(fields)
    assert (request.resources, request.workers, request.project) == ("ignore", 3, "P")
    assert request.named == whole.named
    assert request.with_fields(subject="S") == whole.with_fields(subject="S")


def test_resources_that_are_not_named_are_kept() -> None:
    assert deferred_request({"workers": 1}).resources == ImportRequest().resources


def test_variables_of_settings_and_slips_of_the_pen_are_no_defaults() -> None:
    names = [*map(variable_name, Settings.model_fields), "SCANDOCK_MAX_DEPHT", "scandock_max_depth"]
    assert [name for name in names if not sets_any([name])] == []
    assert not sets_any(["PATH", "PGPASSWORD", "SCANDOCK_DATA", "SCANDOCK_DEBUG"])
    assert {"SCANDOCK_DATA", "SCANDOCK_DEBUG"} <= OUTSIDE.keys()

"""The settings as people read them: values, where they come from, and variables that mean nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, Literal

from scandock.model.dataclass import dataclass
from scandock.model.request_limits import FIXED_LIMITS
from scandock.services.byte_sizes import format_bytes
from scandock.services.settings import OUTSIDE, PREFIX, Settings, plain_value, shown_value, variable_name

_OF_TESTS: Final = "SCANDOCK_CRASH_"
"""What the crash suite alone sets: see model/crash_points.py."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of `scandock settings`."""

    name: str
    """The variable, as it stands in the environment."""
    value: object
    """Plain (text, number, list, None); secrets are masked."""
    shown: str
    """The value as a person reads it."""
    source: Literal["default", "environment"]
    meaning: str


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One line of the limits that are no settings, below those of `scandock settings`."""

    name: str
    """As docs/limits.md has it."""
    value: int | float
    shown: str
    """The value as a person reads it."""
    meaning: str


def describe_settings(settings: Settings) -> list[SettingRow]:
    """Every setting with its value and where that comes from: first what every command asks for, then the server's."""
    rows = []
    for name, field in Settings.model_fields.items():
        plain = plain_value(name, getattr(settings, name))
        source: Literal["default", "environment"] = "environment" if name in settings.model_fields_set else "default"
        rows.append(SettingRow(variable_name(name), plain, shown_value(name, plain), source, field.description or ""))
    return rows


def describe_limits() -> list[LimitRow]:
    """Every limit of requests that is no setting, in the order of docs/limits.md."""
    rows = []
    for limit in FIXED_LIMITS:
        value = int(limit.value) if limit.value == int(limit.value) else limit.value
        text = format_bytes(int(value)) if limit.unit == "B" else f"{value} {limit.unit}".rstrip()
        rows.append(LimitRow(limit.name, value, text, limit.meaning))
    return rows


def find_unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """SCANDOCK_* variables that are set but mean nothing, each with the nearest known name: mostly slips of the pen."""
    known_names = {variable_name(name) for name in Settings.model_fields} | OUTSIDE.keys()
    names = (name for name in sorted(os.environ if environ is None else environ) if name.upper().startswith(PREFIX))
    return {
        name: next(iter(get_close_matches(name.upper(), known_names, n=1, cutoff=0.8)), None)
        for name in names
        if name.upper() not in known_names and not name.startswith(_OF_TESTS)
    }


def describe_unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each of `find_unknown_variables`: it was meant to change something and changes nothing."""
    return [
        f"{name} is set, but no setting has that name" + (f"; {near} has." if near else ".")
        for name, near in find_unknown_variables(environ).items()
    ]

"""Settings: SCANDOCK_* in the environment, checked once, with what each means and where its value comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from scandock.model.errors import Usage
from scandock.model.limits import Limits
from scandock.model.request_limits import FIXED_LIMITS
from scandock.rules.labels import PLACEHOLDERS
from scandock.services.byte_sizes import format_bytes
from scandock.services.masking import MASK, mask
from scandock.services.server_settings import SECRETS, ServerSettings
from scandock.services.setting_kinds import Bytes, Count, Names

PREFIX: Final = "SCANDOCK_"
OUTSIDE: Final = {
    "SCANDOCK_DATA": "Folder of the catalog and the store, where a command is given no --data.",
    "SCANDOCK_DEBUG": "1: show the traceback of an unexpected error instead of writing it to a file.",
    "SCANDOCK_URL": "Address of the server, where scandock upload is given no --url.",
    "SCANDOCK_USER": "Account, where scandock upload is given no --user.",
    "SCANDOCK_PASSWORD": "Password of that account; not set: asked for on the terminal.",
    "SCANDOCK_TOKEN": "Token that scandock upload goes by where no account is named: ALIAS.SECRET.",
}
"""Variables that the command line itself reads: no part of `Settings`, but documented and known beside it."""

_OF_TESTS: Final = "SCANDOCK_CRASH_"
"""What the crash suite alone sets: see model/points.py."""

_SCHEMES: Final = {"sqlite": "sqlite"} | dict.fromkeys(
    ("postgres", "postgresql", "postgresql+psycopg"), "postgresql+psycopg"
)
"""Schemes that are taken, and how SQLAlchemy calls them with the driver that is installed."""


_LIMITS: Final = Limits()


class Settings(ServerSettings):
    """Every setting, frozen; made by `load_settings`, which turns what is wrong into a `Usage` error.

    A field `max_depth` is the variable SCANDOCK_MAX_DEPTH. Those of `Limits` are here one by one with its defaults
    and come together again in `limits`; the server's own are those of `ServerSettings`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="forbid")

    database_url: str | None = Field(
        default=None,
        description="Database of the catalog; not set: SQLite, in the file scandock.db of the data folder.",
    )
    timezone: str = Field(
        default="UTC", description="Time zone of clock times that carry none (ECAT), by its IANA name."
    )
    workers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Reader processes of one import; not set: one a core, at most 4."
    )
    placeholder_names: Names = Field(
        default=PLACEHOLDERS,
        description="Patient names and ids that count as absent, with commas between, in any case;"
        " empty ones and those of * only always do.",
    )
    identified: Literal["accept", "warn", "hold"] = Field(
        default="accept",
        description="For new projects: what a session gets whose objects do not all say that they are de-identified.",
    )
    separate_secondary: bool = Field(
        default=True,
        description="For new projects: keep objects that are no primary images (reports, secondary captures,"
        " structure sets) in a resource of their own, 'secondary'.",
    )
    trash_days: Annotated[int, Field(ge=0, le=36500)] = Field(
        default=30, description="Days that replaced and deleted files stay in the trash of the data folder."
    )
    max_depth: Annotated[int, Field(ge=1, le=32)] = Field(
        default=_LIMITS.max_depth, description="Archives within archives; the upload itself is level 1."
    )
    max_entries: Count = Field(
        default=_LIMITS.max_entries,
        description="Entries of every kind (files, folders, links) in one upload, over all levels.",
    )
    max_entry_bytes: Bytes = Field(default=_LIMITS.max_entry_bytes, description="Unpacked bytes of one entry.")
    max_unpacked_bytes: Bytes = Field(
        default=_LIMITS.max_unpacked_bytes,
        description="Unpacked bytes of one upload, over all levels: an inner archive's own bytes count,"
        " and its content again.",
    )
    max_ratio: Count = Field(
        default=_LIMITS.max_ratio,
        description="Unpacked bytes for each received byte, counted beyond SCANDOCK_RATIO_FROM_BYTES.",
    )
    ratio_from_bytes: Bytes = Field(
        default=_LIMITS.ratio_from_bytes, description="Unpacked bytes up to which SCANDOCK_MAX_RATIO does not count."
    )
    max_dictionary_bytes: Bytes = Field(
        default=_LIMITS.max_dictionary_bytes,
        description="Window or dictionary that a lzma, xz or zstd stream may ask for.",
    )
    max_directory_bytes: Bytes = Field(default=_LIMITS.max_directory_bytes, description="Central directory of one zip.")
    max_name_bytes: Annotated[Bytes, Field(ge=1)] = Field(
        default=_LIMITS.max_name_bytes, description="Length of one entry's name, its folders included."
    )
    min_free_bytes: Bytes = Field(
        default=_LIMITS.min_free_bytes,
        description="Space that an import leaves free on the file system of the data folder.",
    )

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, separator, rest = value.partition("://")
        if not separator or not rest or scheme not in _SCHEMES:
            raise ValueError("is no database that is taken; right is postgresql://user:password@host/name")
        return f"{_SCHEMES[scheme]}://{rest}"

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, value: str) -> str:
        try:
            _zone(value)
        except (KeyError, ValueError, OSError):  # an unknown name, one that climbs out, one that is a folder
            raise ValueError("is no time zone; right is a name like UTC or Europe/Berlin") from None
        return value

    @property
    def limits(self) -> Limits:
        """What an upload may hold, as the walkers take it."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})

    @property
    def zone(self) -> tzinfo:
        """The time zone of `timezone`."""
        return _zone(self.timezone)


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


def load_settings() -> Settings:
    """Settings of this process: the environment's, else the defaults.

    Raises Usage (`setting_invalid`) naming each variable that is off, its value and what is right.
    """
    said = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    return _settings_of(tuple(sorted(said.items())))


@lru_cache(maxsize=4)
def _settings_of(_environment: tuple[tuple[str, str], ...]) -> Settings:
    """What the environment says, which is all that settings come from: to look at it takes some milliseconds."""
    try:
        return Settings()
    except ValidationError as error:
        sentences = [_sentence(cast("dict[str, Any]", one)) for one in error.errors(include_url=False)]
        raise Usage("setting_invalid", " ".join(sentences), "Set it right, or unset it for the default.") from None


def describe(settings: Settings) -> list[SettingRow]:
    """Every setting with its value and where that comes from: first what every command asks for, then the server's."""
    rows = []
    names = [name for name in Settings.model_fields if name not in ServerSettings.model_fields]
    for name in [*names, *ServerSettings.model_fields]:
        field = Settings.model_fields[name]
        plain = _plain(name, getattr(settings, name))
        source: Literal["default", "environment"] = "environment" if name in settings.model_fields_set else "default"
        rows.append(SettingRow(variable(name), plain, _shown(name, plain), source, field.description or ""))
    return rows


def describe_limits() -> list[LimitRow]:
    """Every limit of requests that is no setting, in the order of docs/limits.md."""
    rows = []
    for limit in FIXED_LIMITS:
        value = int(limit.value) if limit.value == int(limit.value) else limit.value
        shown = format_bytes(int(value)) if limit.unit == "B" else f"{value} {limit.unit}".rstrip()
        rows.append(LimitRow(limit.name, value, shown, limit.meaning))
    return rows


def variable(name: str) -> str:
    """The environment's name of a field."""
    return PREFIX + name.upper()


def unknown_variables(environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """SCANDOCK_* variables that are set but mean nothing, each with the nearest known name: mostly slips of the pen."""
    known = {variable(name) for name in Settings.model_fields} | OUTSIDE.keys()
    found = (name for name in sorted(os.environ if environ is None else environ) if name.upper().startswith(PREFIX))
    return {
        name: next(iter(get_close_matches(name.upper(), known, n=1, cutoff=0.8)), None)
        for name in found
        if name.upper() not in known and not name.startswith(_OF_TESTS)
    }


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each of `unknown_variables`: it was meant to change something and changes nothing."""
    return [
        f"{name} is set, but no setting has that name" + (f"; {near} has." if near else ".")
        for name, near in unknown_variables(environ).items()
    ]


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # the default must not hang on a time zone database


def _plain(name: str, value: object) -> object:
    """A value as JSON has it, and without what is secret in it."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return list(value)
    return mask(cast("str | None", value)) if name == "database_url" else value


def _shown(name: str, value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    sized = name.endswith(("_bytes", "_bytes_per_second"))
    return format_bytes(value) if isinstance(value, int) and sized else str(value)


def _sentence(error: dict[str, Any]) -> str:
    """One of pydantic's errors in words of the environment."""
    name = str(error["loc"][0])
    value = MASK if name in SECRETS else _plain(name, str(error["input"]))
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        what = str(context["error"])
    elif error["type"] == "literal_error":
        what = f"is not one of them; right is {context['expected']}"
    elif "ge" in context:
        what = f"is too small; the least is {_shown(name, context['ge'])}"
    elif "le" in context:
        what = f"is too large; the most is {_shown(name, context['le'])}"
    elif error["type"].startswith("int"):
        what = "is no whole number"
    elif error["type"].startswith("bool"):
        what = "is neither; right is true or false"
    else:
        what = f"is not right: {error['msg']}"
    return f"{variable(name)}={value!r} {what}."

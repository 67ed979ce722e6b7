"""Settings and requests that are made once somebody asks for more of them than readers need to begin.

What checks them is pydantic, which takes 0.1 s to load. Where the environment sets nothing, all settings have their
defaults, and a request of the command line has what its options were given: so readers begin, and the rest is loaded
beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from scandock.model.limits import Limits

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings

_PREFIX = "SCANDOCK_"
_NO_SETTINGS = frozenset({"SCANDOCK_DATA", "SCANDOCK_DEBUG"})
"""Of `services.settings.OUTSIDE`, what these commands read."""


def sets_any(names: Iterable[str]) -> bool:
    """Whether variables of these names may set something, or mean nothing, which is told."""
    return any(name.upper().startswith(_PREFIX) and name not in _NO_SETTINGS for name in names)


class _DefaultSettings:
    """`Settings` of an environment that sets nothing."""

    limits = Limits()
    min_free_bytes = limits.min_free_bytes
    workers: int | None = None
    database_url: str | None = None
    store: str | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._settings, name)

    @cached_property
    def _settings(self) -> Settings:
        from scandock.services.settings import load_settings

        return load_settings()


class _DeferredRequest:
    """`ImportRequest` of fields that are known to be right."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self.resources = fields.get("resources", "keep")
        self.workers = fields.get("workers")

    def __getattr__(self, name: str) -> object:
        return getattr(self._request, name)

    @cached_property
    def _request(self) -> ImportRequest:
        from scandock.rules.import_request import ImportRequest

        return ImportRequest.model_validate(self._fields)


def defaults() -> Settings:
    """The settings where `sets_any` says of the environment that nothing is set."""
    return cast("Settings", _DefaultSettings())


def deferred_request(fields: Mapping[str, object]) -> ImportRequest:
    """A request of fields whose values have been checked, as options of a command are."""
    return cast("ImportRequest", _DeferredRequest(fields))

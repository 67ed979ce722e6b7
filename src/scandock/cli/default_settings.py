"""The settings of an environment that sets nothing: those that an import asks for stand here.

What checks settings is pydantic, which takes 0.1 s of a processor to load.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, cast

from scandock.model.limits import Limits

if TYPE_CHECKING:
    from scandock.services.settings import Settings

_PREFIX = "SCANDOCK_"
_NO_SETTINGS = frozenset({"SCANDOCK_DATA", "SCANDOCK_DEBUG"})
"""Of `services.settings.OUTSIDE`, what these commands read."""


def sets_any(names: Iterable[str]) -> bool:
    """Whether variables of these names may set something, or mean nothing, which is told."""
    return any(name.upper().startswith(_PREFIX) and name not in _NO_SETTINGS for name in names)


class _DefaultSettings:
    """`Settings` of an environment that sets nothing; whoever asks for more than an import does has them loaded."""

    limits = Limits()
    min_free_bytes = limits.min_free_bytes
    workers: int | None = None
    database_url: str | None = None
    store: str | None = None
    host_folder: str | None = None
    zone = UTC
    identified = "accept"
    separate_secondary = True
    prevent_anon = "nobody"
    petmr = "petmr"
    petmr_maps = "mrac"
    trash_days = 30

    @property
    def placeholder_names(self) -> tuple[str, ...]:
        from scandock.rules.labels import PLACEHOLDERS  # beside the readers

        return PLACEHOLDERS

    def __getattr__(self, name: str) -> object:
        return getattr(self._settings, name)

    @cached_property
    def _settings(self) -> Settings:
        from scandock.services.settings import load_settings

        return load_settings()


def defaults() -> Settings:
    """The settings where `sets_any` says of the environment that nothing is set."""
    return cast("Settings", _DefaultSettings())

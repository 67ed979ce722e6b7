"""Words of an import's request, and what its caller hears while it runs."""

from __future__ import annotations

from typing import Literal

from scandock.model.dataclass import dataclass

Destination = Literal["prearchive", "archive"]
Overwrite = Literal["none", "append", "delete"]
Resources = Literal["keep", "ignore"]
Stage = Literal["sending", "waiting", "opening", "reading", "deciding", "placing", "syncing"]

STAGES: tuple[Stage, ...] = ("opening", "reading", "deciding", "placing", "syncing")
"""In the order in which an import goes through them; a client that uploads has been sending and waiting before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of a running import; totals are None until they are known, and never guessed."""

    stage: Stage
    entries_done: int = 0
    """File entries that have a verdict or are being read past."""
    entries_total: int | None = None
    bytes_done: int = 0
    """Unpacked bytes, over all levels of nesting."""
    bytes_total: int | None = None
    sessions: tuple[str, ...] = ()
    """The sessions found so far, in the order found: by their patients, and by their labels once these are decided."""
    seconds: float = 0.0
    """Since the import began."""

"""The steps of an upload's life for the log of the server: a line each, which has the upload's id as `upload`.

Whatever changes an upload is below the services, which write the log; commands of the command line write none. So a
process of the server says where steps go (`services/logs.py`), and in all others they go nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Sink = Callable[..., None]
"""Takes what happened, and the facts of it by name."""

_sink: list[Sink] = []


def set_step_sink(sink: Sink | None) -> Sink | None:
    """Let steps go there from now on; None: nowhere. Returns where they went before."""
    before = _sink[0] if _sink else None
    _sink[:] = [] if sink is None else [sink]
    return before


def log_step(what: str, upload: str | None, **facts: Any) -> None:  # noqa: ANN401  figures, ids and codes; never a name
    """Tell of a step that is done: a commit that shows it comes first (`Catalog.after_commit`).

    None: the catalog has lost the upload's row.
    """
    for sink in _sink:
        sink(what, upload=upload, **facts)

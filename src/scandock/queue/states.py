"""Changing the state of an import: the one place that writes it, along the table of `scandock.model.verdicts`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update, update

from scandock.catalog.tables import upload
from scandock.model.verdicts import NEXT_STATES, ImportState


def transition(before: ImportState, after: ImportState, **values: Any) -> Update:  # noqa: ANN401
    """Bring uploads that are in one state into another; which ones, the caller adds by `where`.

    Changes none that has left the state meanwhile. Raises ValueError for a change that the table does not have.
    """
    if after not in NEXT_STATES[before]:
        raise ValueError(f"An import that is {before} does not become {after}.")
    return update(upload).where(upload.c.state == before).values(state=after, **values)

"""What one upload uses of a project's prearchive: sessions joined, timestamps taken (rules.md, "Again" 4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from scandock.rules.labels import label_key
from scandock.rules.timestamps import timestamp_of
from scandock.rules.view import CatalogView, KnownSession


class Prearchive:
    """Gives each study of an upload a session there, or a timestamp of its own; no two the same one."""

    def __init__(self, project: str, view: CatalogView, now: datetime) -> None:
        self.project = project
        self._view = view
        self._next = now
        self._joined: set[str] = set()
        self._taken: set[str] = set()

    def use(self, uuid: str | None, timestamp: str | None) -> None:
        """Note what another study of the upload has."""
        self._joined.add(uuid or "")
        self._taken.add(timestamp or "")

    def join(self, sessions: Iterable[KnownSession]) -> tuple[KnownSession | None, str]:
        """The first of some sessions that waits and that no other study joins, with its timestamp; else a free one."""
        waiting = first_waiting(session for session in sessions if session.uuid not in self._joined)
        stamp = waiting.timestamp if waiting is not None else None
        if stamp is None:
            stamp = self._free()
        self.use(waiting.uuid if waiting is not None else None, stamp)
        return waiting, stamp

    def _free(self) -> str:
        """Milliseconds counted up from the import's time until free."""
        while True:
            stamp = timestamp_of(self._next)
            self._next += timedelta(milliseconds=1)
            if stamp not in self._taken and not self._view.timestamp_taken(self.project, stamp):
                return stamp


def first_waiting(sessions: Iterable[KnownSession]) -> KnownSession | None:
    """Of some sessions the one in the prearchive that is joined first: one not held, then the oldest."""
    waiting = [session for session in sessions if session.place == "prearchive"]
    return min(waiting, key=lambda s: (bool(s.held), s.timestamp or "", label_key(s.label), s.uuid), default=None)

"""What one upload uses of a project's prearchive: sessions joined, timestamps taken (rules.md, "Again" 4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.view import CatalogView, KnownSession


class Prearchive:
    """Gives each study of an upload a session there, or a timestamp of its own; no two the same one.

    Unless one was asked for: then sessions of several labels stand under it.
    """

    def __init__(self, project: str, view: CatalogView, now: datetime) -> None:
        self.project = project
        self._view = view
        self._next = now
        self._joined: set[str] = set()
        self._taken: set[str] = set()
        self._labels: set[tuple[str, str]] = set()

    def use(self, uuid: str | None, timestamp: str | None) -> None:
        """Note what another study of the upload has."""
        self._joined.add(uuid or "")
        self._taken.add(timestamp or "")

    def join(
        self, sessions: Iterable[KnownSession], label: str = "", wanted: str = ""
    ) -> tuple[KnownSession | None, str]:
        """The first of some sessions that waits and that no other study joins, with its timestamp; else a free one.

        `wanted`: the timestamp that was asked for, for a session of `label`: that of one that waits there, or of a new
        one beside those of other labels; where that can't be, as if none had been asked for.
        """
        left = [session for session in sessions if session.uuid not in self._joined]
        waiting = first_waiting(session for session in left if session.timestamp == wanted)
        stamp = wanted if waiting is not None or (wanted and self._has_room(wanted, label)) else None
        if stamp is None:
            waiting = first_waiting(left)
            stamp = waiting.timestamp if waiting is not None else None
        if stamp is None:
            stamp = self._free()
        self.use(waiting.uuid if waiting is not None else None, stamp)
        self._labels.add((stamp, label_key(label)))
        return waiting, stamp

    def is_label(self, stamp: str, name: str) -> bool:
        """Whether a session under a timestamp has this label; strangers' in `Unassigned` are not told of."""
        if (stamp, label_key(name)) in self._labels:
            return True
        known = self._view.sessions_labelled(self.project, name)
        return any(one.place == "prearchive" and one.timestamp == stamp for one in known)

    def _has_room(self, stamp: str, label: str) -> bool:
        """Whether a session of a label can stand under a timestamp."""
        if self.project == UNASSIGNED and self._view.timestamp_taken(self.project, stamp):
            return False
        return not self.is_label(stamp, label)

    def _free(self) -> str:
        """Milliseconds counted up from the import's time until free."""
        while True:
            stamp = timestamp_of(self._next)
            self._next += timedelta(milliseconds=1)
            if stamp not in self._taken and not self._view.timestamp_taken(self.project, stamp):
                return stamp


def timestamp_of(moment: datetime) -> str:
    """A moment as the prearchive writes it (`yyyyMMdd_HHmmssSSS`, xnat-behaviour.md 5.1), in the moment's own zone."""
    return f"{moment:%Y%m%d_%H%M%S}{moment.microsecond // 1000:03d}"


def first_waiting(sessions: Iterable[KnownSession]) -> KnownSession | None:
    """Of some sessions the one in the prearchive that is joined first: one not held, then the oldest."""
    waiting = [session for session in sessions if session.place == "prearchive"]
    return min(waiting, key=lambda s: (bool(s.held), s.timestamp or "", label_key(s.label), s.uuid), default=None)

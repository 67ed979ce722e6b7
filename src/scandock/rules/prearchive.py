"""What one upload uses of a project's prearchive: sessions joined, timestamps taken (rules.md, "Again" 4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.labels import UNASSIGNED, label_key


class PrearchiveSlots:
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
        self,
        sessions: Iterable[KnownSession],
        label: str = "",
        target: str = "",
        former: str = "",
        study_uid: str | None = None,
    ) -> tuple[KnownSession | None, str]:
        """The first of some sessions that waits and that no other study joins, with its timestamp; else a free one.

        `target`: the timestamp that was asked for, for a session of `label`: that of one that waits there, or of a new
        one beside those of other labels; where that can't be, as if none had been asked for. `former`: the timestamp
        that a new one gets where it is free. Of a study that senders of single objects were told of it is theirs.
        """
        available = [session for session in sessions if session.uuid not in self._joined]
        waiting = find_first_waiting(session for session in available if session.timestamp == target)
        stamp = target if waiting is not None or (target and self._has_room(target, label)) else None
        if stamp is None:
            waiting = find_first_waiting(available)
            stamp = waiting.timestamp if waiting is not None else None
        if stamp is None and study_uid is not None:
            promised = self._view.promised_sessions(self.project, label=label, study_uid=study_uid)
            stamp = next((one.timestamp for one in promised if one.timestamp not in self._taken), None)
        if stamp is None and former and self._is_free(former):
            stamp = former
        if stamp is None:
            stamp = self._free()
        self.use(waiting.uuid if waiting is not None else None, stamp)
        self._labels.add((stamp, label_key(label)))
        return waiting, stamp

    def has_label(self, stamp: str, name: str) -> bool:
        """Whether a session under a timestamp has this label; strangers' in `Unassigned` are not told of."""
        if (stamp, label_key(name)) in self._labels:
            return True
        sessions = self._view.sessions_labelled(self.project, name)
        return any(session.place == "prearchive" and session.timestamp == stamp for session in sessions)

    def _has_room(self, stamp: str, label: str) -> bool:
        """Whether a session of a label can stand under a timestamp."""
        if self.project == UNASSIGNED and self._view.is_timestamp_taken(self.project, stamp):
            return False
        return not self.has_label(stamp, label)

    def _free(self) -> str:
        """Milliseconds counted up from the import's time until free."""
        while True:
            stamp = format_timestamp(self._next)
            self._next += timedelta(milliseconds=1)
            if self._is_free(stamp):
                return stamp

    def _is_free(self, stamp: str) -> bool:
        return stamp not in self._taken and not self._view.is_timestamp_taken(self.project, stamp)


def format_timestamp(moment: datetime) -> str:
    """A moment as the prearchive writes it (`yyyyMMdd_HHmmssSSS`, xnat-behaviour.md 5.1), in the moment's own zone."""
    return f"{moment:%Y%m%d_%H%M%S}{moment.microsecond // 1000:03d}"


def find_first_waiting(sessions: Iterable[KnownSession]) -> KnownSession | None:
    """Of some sessions the one in the prearchive that is joined first: one not held, then the oldest."""
    waiting = [session for session in sessions if session.place == "prearchive"]
    return min(waiting, key=lambda s: (bool(s.held), s.timestamp or "", label_key(s.label), s.uuid), default=None)

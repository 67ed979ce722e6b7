"""What the messages of a reader call the entry at hand and the archives around it, where names may not be known."""

from __future__ import annotations

from scandock.rules.loose_files import split_levels
from scandock.rules.shown_names import ShownNames

_WIDTH = 4
"""Bytes of an ordinal for each level of nesting."""


class EntryNames:
    """Gives for a name of an archive what a message may call it; any other name is shown without its place."""

    def __init__(self, names: ShownNames, archive: str) -> None:
        """`archive` is what the archive is called."""
        self._names = names
        self._archive = archive
        self._around = {name: names.archive(archive) for name in (archive, names.archive(archive))}
        self._shown: dict[str, str] = {}

    def enter(self, number: bytes, path: str) -> None:
        """Say which entry is at hand: its own name and its path are known from here on, and those of its archives."""
        levels = len(number) // _WIDTH
        shown = {path: self._names.path(number, path)}
        if levels > 1:
            spot = split_levels(path, levels)
            shown.setdefault(spot.path, shown[path])
            for count in range(1, len(spot.outer) + 1):
                around = "!".join(spot.outer[:count])
                shown.setdefault(around, self._names.path(number[: count * _WIDTH], around))
        self._shown = shown

    def __call__(self, name: str) -> str:
        """What a message calls `name`."""
        return self._around.get(name) or self._shown.get(name) or self._names.message_name(name)

    def to_plain(self) -> tuple[object, ...]:
        """These as the wire to a reader carries them."""
        return (*self._names.to_plain(), self._archive)

    @classmethod
    def from_plain(cls, values: tuple[object, ...]) -> EntryNames | None:
        """Those of `to_plain`; None for no values, where names are kept."""
        return cls(ShownNames.from_plain(values[:-1]), str(values[-1])) if values else None

"""Where the files of an upload are, in words: for the end of a command, and for mails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_PLACES = {"archive": "archive", "prearchive": "prearchive", "conflict": "prearchive"}


def summarize_kept_files(entries: Mapping[str, int], states: Iterable[str]) -> tuple[int, str]:
    """How many files of an upload are kept, and where: (3, "stored"), (3, "in the prearchive").

    `entries` counts them by verdict, `states` are those of the upload's sessions. Of an upload that waits for a
    decision the place is told, and of one without anything new that its files are there already.
    """
    known_states = [state for state in states if state in _PLACES]
    places = sorted({_PLACES[state] for state in known_states})
    where = f"in the {' and the '.join(places)}"
    new = entries.get("stored", 0) + entries.get("conflict", 0)
    if not new and not entries.get("resource", 0) and entries.get("duplicate", 0) and places:
        return entries["duplicate"], f"already {where}"
    new = new or entries.get("resource", 0)
    return new, where if new and "conflict" in known_states else "stored"

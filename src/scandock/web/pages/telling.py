"""What was done to a session, or would be, in the words of people who do not read addresses."""

from __future__ import annotations

from scandock.model import uris
from scandock.services.moving import Outcome
from scandock.web import urls


def place_words(uri: str) -> str:
    """`/data/archive/projects/P/subjects/S/experiments/L` is the archive of P: subject S, session L."""
    there = uris.parse_session(uri)
    if isinstance(there, uris.ArchivedSession):
        return f"in the archive of {there.project}: subject {there.subject}, session {there.label}"
    return f"in the prearchive of {there.project}: session {there.label}"


def outcome_words(outcome: Outcome) -> str:
    """One or two sentences."""
    dry = outcome.dry_run
    if outcome.into is not None and outcome.after is not None:
        where = f"It {'will join' if dry else 'has joined'} the session that stands {place_words(outcome.after)}."
    elif outcome.after is None:
        where = f"It {'will go' if dry else 'has gone'} to the trash."
    elif outcome.after == outcome.before:
        where = f"It {'will stay' if dry else 'stays'} {place_words(outcome.before)}."
    else:
        where = f"It {'will stand' if dry else 'stands'} {place_words(outcome.after)}."
    return f"{where} {outcome.says}".strip()


def place_path(uri: str | None) -> str:
    """The page of an archived session, by its address; nothing for others."""
    there = uris.parse_session(uri) if uri else None
    return urls.session_page(there.project, there.label) if isinstance(there, uris.ArchivedSession) else ""

"""What will happen to sessions, and what was done to them, as pages: of the prearchive's, and of archived ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from starlette.responses import Response

from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.services.outcomes import Outcome
from scandock.services.prearchive import try_each
from scandock.services.records import Session
from scandock.web import urls
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form
from scandock.web.request_context import RequestContext

TITLES: Final = {
    "archive": "Archive",
    "rename_archive": "Rename and archive",
    "move": "Change",
    "rebuild": "Rebuild",
    "delete": "Delete",
    "keep_old": "Keep old",
    "keep_new": "Keep new",
    "keep_both": "Keep both",
    "add": "Merge",
    "replace": "Overwrite",
    "rename": "Rename",
    "accept": "Accept",
}
"""Verbs and choices, as buttons have them."""

Verb = Callable[[str, bool], Outcome]
"""Done to a session; with True only said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOrigin:
    """From where something was asked: where its form goes, and where one goes back to."""

    here: str
    """The place in the navigation."""
    action: str
    above: tuple[str, str]
    """In words, and its path: the list that it is of."""
    back: tuple[str, str]
    """The same of where "Cancel" leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPreview:
    """What became of one session, or would."""

    uuid: str
    label: str
    project: str
    stands: str
    """The page of where it stood before."""
    of: str
    """The subject that it is of."""
    subject: str
    """What its subject is called after a change of it; else nothing."""
    outcome: Outcome | None
    error: ScandockError | None

    @property
    def words(self) -> str:
        if self.outcome is None:
            return self.error.public_text if self.error is not None else ""
        is_archived = self.outcome.after is not None and uris.is_archived(self.outcome.after)
        subject = f"Subject: {self.subject}." if self.subject and not is_archived else ""  # the place names it
        return f"{outcome_words(self.outcome)} {subject}".strip()

    @property
    def path(self) -> str:
        """The page of where it stands now, once something was done."""
        if self.outcome is None or self.outcome.after is None:
            return ""
        if self.outcome.import_uuid:
            return urls.import_page(self.outcome.import_uuid)
        if self.outcome.waits:
            return urls.waiting_page(self.uuid)
        return place_path(self.outcome.after) or urls.waiting_page(self.uuid)


def preview_each(
    uuids: Iterable[str], names: Mapping[str, Session], subject: Callable[[str], str | None], verb: Verb,
    *, dry: bool,
) -> list[SessionPreview]:  # fmt: skip
    """Do it to each session, or say what would be done; `names` has those that may be seen."""
    return [
        SessionPreview(
            uuid=uuid,
            label=names[uuid].label if uuid in names else "A session",
            project=names[uuid].project if uuid in names else "",
            of=names[uuid].subject if uuid in names else "",
            stands=session_path(names[uuid]) if uuid in names else urls.waiting_page(uuid),
            subject=subject(uuid) or "" if isinstance(result, Outcome) else "",
            outcome=result if isinstance(result, Outcome) else None,
            error=None if isinstance(result, Outcome) else result,
        )
        for uuid, result in try_each(uuids, lambda uuid: verb(uuid, dry))
    ]


def session_path(session: Session) -> str:
    """Where a session's page is."""
    return urls.page_of_session(session.place, session.id, session.project, session.label)


def preview_page(
    context: RequestContext, previews: Sequence[SessionPreview], place: ActionOrigin, verb: str, *, is_confirmed: bool,
    form_fields: Mapping[str, str], title: str, meaning: str = "",
) -> Response:  # fmt: skip
    """The page of what will happen, or of what was done (`is_confirmed`); `form_fields` goes along."""
    return page(
        context.request,
        "decided.html" if is_confirmed else "preview.html",
        context.service_context.principal,
        here=place.here,
        place=place,
        told=previews,
        good=[preview for preview in previews if preview.error is None],
        bad=[preview for preview in previews if preview.error is not None],
        asked=verb,
        title=title,
        meaning=meaning,
        kept=form_fields,
        days=context.server.settings.trash_days,
    )


def form_values(form: Form, names: Iterable[str]) -> dict[str, str]:
    """Fields of a form that go along."""
    return {name: form.text(name) for name in names}


def loses_files(outcome: Outcome, choice: str) -> bool:
    """Whether files would be replaced, left out or moved to the trash: that is asked once before it is done."""
    counts = outcome.counts
    return (
        (outcome.after is None and outcome.into is None)
        or bool(counts.get("replaced") or counts.get("trashed"))
        or (choice in ("keep_old", "keep_new") and bool(counts.get("clash")))
    )


def count_lost(outcome: Outcome, choice: str) -> int:
    """How many files are replaced or left out."""
    counts = outcome.counts
    left_out = counts.get("clash", 0) if choice == "keep_old" else 0
    return max(counts.get("replaced", 0), counts.get("trashed", 0), left_out)


def outcome_words(outcome: Outcome) -> str:
    """One or two sentences: "Will be archived in LUNG as X / Y."."""
    return f"{_place_sentence(outcome)} {outcome.says}".strip()


def _place_sentence(outcome: Outcome) -> str:
    dry = outcome.dry_run
    if outcome.after is None:
        return "Will be moved to the trash." if dry else "Moved to the trash."
    after = uris.parse_session(outcome.after)
    if outcome.waits:
        room = "archive" if isinstance(after, uris.ArchivedSessionUri) else "prearchive"
        return f"An import {'would move' if dry else 'moves'} it to the {room} of {after.project} as {after.label}."
    if not isinstance(after, uris.ArchivedSessionUri):
        place = f"in the prearchive of {after.project} as {after.label}."
        return f"Stays {place}" if outcome.after == outcome.before else f"{'Will be' if dry else 'Now'} {place}"
    name = f"{after.project} as {after.subject} / {after.label}."
    if outcome.into is not None:
        name = f"{after.subject} / {after.label} in {after.project}."
        return f"{'Will be merged' if dry else 'Merged'} into {name}"
    if outcome.after == outcome.before:
        return f"Stays in {name}"
    if isinstance(uris.parse_session(outcome.before), uris.ArchivedSessionUri):
        return f"{'Will be' if dry else 'Now'} in {name}"
    return f"{'Will be archived' if dry else 'Archived'} in {name}"


def place_path(uri: str | None) -> str:
    """The page of an archived session, by its address; nothing for others."""
    session_uri = uris.parse_session(uri) if uri else None
    return (
        urls.session_page(session_uri.project, session_uri.label)
        if isinstance(session_uri, uris.ArchivedSessionUri)
        else ""
    )

"""What will happen to sessions, and what was done to them, as pages: of the prearchive's, and of archived ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from scandock.model import uris
from scandock.model.errors import ScandockError
from scandock.services.moving import Outcome
from scandock.services.prearchive import try_each
from scandock.services.records import Session
from scandock.web import urls
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form
from scandock.web.request_context import RequestContext

TITLES: Final = {
    "archive": "Archive",
    "move": "Change",
    "rebuild": "Read anew",
    "delete": "Delete",
    "keep_old": "Keep the old",
    "keep_new": "Keep the new",
    "keep_both": "Keep both",
    "add": "Add what is new",
    "replace": "Put the new in place",
    "rename": "Rename",
    "accept": "Accept as it is",
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
    """The same of where "Do nothing" leads."""


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
        return " ".join([outcome_words(self.outcome), f"Its subject: {self.subject}." if self.subject else ""]).strip()

    @property
    def path(self) -> str:
        """The page of where it stands now, once something was done."""
        if self.outcome is None or self.outcome.after is None:
            return ""
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


def place_words(uri: str) -> str:
    """`/data/archive/projects/P/subjects/S/experiments/L` is the archive of P: subject S, session L."""
    session_uri = uris.parse_session(uri)
    if isinstance(session_uri, uris.ArchivedSessionUri):
        return f"in the archive of {session_uri.project}: subject {session_uri.subject}, session {session_uri.label}"
    return f"in the prearchive of {session_uri.project}: session {session_uri.label}"


def outcome_words(outcome: Outcome) -> str:
    """One or two sentences."""
    dry = outcome.dry_run
    if outcome.into is not None and outcome.after is not None:
        sentence = f"It {'will join' if dry else 'has joined'} the session that stands {place_words(outcome.after)}."
    elif outcome.after is None:
        sentence = f"It {'will go' if dry else 'has gone'} to the trash."
    elif outcome.after == outcome.before:
        sentence = f"It {'will stay' if dry else 'stays'} {place_words(outcome.before)}."
    else:
        sentence = f"It {'will stand' if dry else 'stands'} {place_words(outcome.after)}."
    return f"{sentence} {outcome.says}".strip()


def place_path(uri: str | None) -> str:
    """The page of an archived session, by its address; nothing for others."""
    session_uri = uris.parse_session(uri) if uri else None
    return (
        urls.session_page(session_uri.project, session_uri.label)
        if isinstance(session_uri, uris.ArchivedSessionUri)
        else ""
    )

"""What is decided of sessions that wait: first what will happen is shown, then it is done, each session for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.model.import_types import Overwrite
from scandock.rules.choices import MEANING, Choice, list_choices
from scandock.rules.label_patterns import fill_pattern
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.archiving import archive_session
from scandock.services.browsing import find_session
from scandock.services.context import ServiceContext
from scandock.services.held_sessions import resolve_session
from scandock.services.moving import Outcome, move_session
from scandock.services.prearchive import MAX_SESSIONS, rebuild_session
from scandock.services.records import Session
from scandock.services.session_errors import ChoiceUnknown
from scandock.services.trash import delete_session
from scandock.web import urls
from scandock.web.pages.action_preview import TITLES, Place, Verb, each, kept_of, path_of, shown
from scandock.web.pages.errors import NothingNamed, SessionsMany, VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, Seen, Sent, back
from scandock.web.pages.routing import router as pages

router = pages()

HOW: Final[dict[str, Overwrite | None]] = {"": None, "append": "append", "delete": "delete", "none": "none"}
KEPT: Final = ("to", "subject", "label", "overwrite", "back")
"""Fields of the form that go along from what will happen to doing it."""
_MEANINGS: Final[dict[str, str]] = {str(choice): said for choice, said in MEANING.items()}

Named = Callable[[str], tuple[str | None, str | None]]
"""Subject and label that a session is to get; None where it keeps its own."""


@router.get("/prearchive/{uuid}/change")
async def change(request: Request, work: Seen, uuid: str, do: str = "move") -> Response:
    """Another project, subject or label for one session."""
    me = work.context.principal

    def ask(connection: Connection) -> Session:
        rights.find_waiting_session(connection, me, uuid, Action.PREARCHIVE_EDIT)
        return find_session(connection, me, uuid)

    one = await work.read(ask)
    renames = do == "rename" and "rename" in list_choices(one.code)
    return page(
        request, "change.html", me, here="Prearchive", session=one, meaning=MEANING, action=urls.PREARCHIVE,
        do=f"resolve:rename:{uuid}" if renames else f"move:{uuid}", unassigned=UNASSIGNED, moves=not renames,
        trail=(("Prearchive", urls.PREARCHIVE), (one.label, path_of(one))), back=urls.PREARCHIVE,
    )  # fmt: skip


@router.post("/prearchive")
async def decide(form: Sent) -> Response:
    """Say what would happen to the chosen sessions; with `sure`, do it. Where none is chosen the list says so."""
    asked, uuids = _asked(form)
    if not uuids:
        return back(form.request, _place(form).back[1], "none-chosen")
    sure = bool(form.text("sure"))
    names = await form.read(lambda c: _names(c, form.context, uuids))
    named = _named(form, uuids, names)
    verb = _verb(form, asked, named)
    told = await form.do(lambda: each(uuids, names, lambda uuid: named(uuid)[0], verb, dry=not sure))
    name = asked.rpartition(":")[2] if asked.startswith("resolve:") else asked
    return shown(
        form, told, _place(form), asked, sure=sure, kept=kept_of(form, KEPT), title=TITLES[name],
        meaning=_MEANINGS.get(name, ""),
    )  # fmt: skip


def _place(form: Form) -> Place:
    """The list as it was sought."""
    path = urls.with_encoded(urls.PREARCHIVE, form.text("back"))
    return Place(here="Prearchive", action=urls.PREARCHIVE, above=("Prearchive", path), back=("Prearchive", path))


def _asked(form: Form) -> tuple[str, list[str]]:
    """What is to be done, and to which: a button of one session names both (`verb:id`, `resolve:choice:id`)."""
    asked = form.text("do")
    words = asked.split(":")
    if words[0] == "resolve" and len(words) == 3:
        asked, uuids = f"resolve:{words[1]}", [words[2]]
    elif words[0] != "resolve" and len(words) == 2:
        asked, uuids = words[0], [words[1]]
    else:
        uuids = form.texts("session")
    uuids = list(dict.fromkeys(uuids))
    if len(uuids) > MAX_SESSIONS:
        raise SessionsMany(MAX_SESSIONS)
    return asked, uuids


def _names(connection: Connection, context: ServiceContext, uuids: list[str]) -> dict[str, Session]:
    """Those of the sessions that may be seen."""
    found = {}
    for uuid in uuids:
        try:
            found[uuid] = find_session(connection, context.principal, uuid)
        except ScandockError:
            continue
    return found


def _verb(form: Form, asked: str, named: Named) -> Verb:
    context = form.context
    if asked.startswith("resolve:"):
        return _resolving(context, _choice(asked.partition(":")[2]), named)
    how = HOW.get(form.text("overwrite"))
    to = form.text("to") or None

    def moved(uuid: str, dry: bool) -> Outcome:
        subject, label = named(uuid)
        return move_session(context, uuid, project_name=to, subject=subject, label=label, dry_run=dry)

    verbs: dict[str, Verb] = {
        "archive": lambda uuid, dry: archive_session(context, uuid, overwrite=how, dry_run=dry),
        "move": moved,
        "rebuild": lambda uuid, dry: rebuild_session(context, uuid, dry_run=dry),
        "delete": lambda uuid, dry: delete_session(context, uuid, place="prearchive", dry_run=dry),
    }
    if asked not in verbs:
        raise VerbUnknown
    if asked == "move" and not (to or form.text("subject") or form.text("label")):
        raise NothingNamed("No project, subject or label is named.")
    return verbs[asked]


def _resolving(context: ServiceContext, choice: Choice, named: Named) -> Verb:
    def resolved(uuid: str, dry: bool) -> Outcome:
        subject, label = named(uuid) if choice == "rename" else (None, None)
        return resolve_session(context, uuid, choice, subject=subject, label=label, dry_run=dry)

    return resolved


def _choice(name: str) -> Choice:
    for known in MEANING:
        if known == name:
            return known
    raise ChoiceUnknown(f"There is no choice {name[:40]!r}.", "Load the page anew.")


def _named(form: Form, uuids: list[str], names: Mapping[str, Session]) -> Named:
    """By the patterns of the form."""
    numbers = {uuid: str(n) for n, uuid in enumerate(uuids, start=1)}
    subject, label = form.text("subject"), form.text("label")

    def of(uuid: str) -> tuple[str | None, str | None]:
        one = names.get(uuid)
        date = one.attributes.get("date", "").replace("-", "") if one is not None else ""
        label_is, subject_is = (one.label, one.subject) if one is not None else ("", "")
        values = {"label": label_is, "subject": subject_is, "date": date, "n": numbers[uuid]}
        return fill_pattern(subject, values), fill_pattern(label, values)

    return of

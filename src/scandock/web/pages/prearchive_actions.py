"""What is decided of sessions that wait, each session for itself: at once, or where files would be lost once that is
confirmed. A script of the list asks for the session's own row alone (`in=row`), and no other page is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.model.import_types import Overwrite
from scandock.rules.choices import MEANING, Choice, list_choices
from scandock.rules.label_patterns import fill_pattern
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.archiving import archive_session
from scandock.services.browsing import find_session
from scandock.services.context import ServiceContext
from scandock.services.held_sessions import resolve_session
from scandock.services.outcomes import Outcome
from scandock.services.prearchive import MAX_SESSIONS, rebuild_session
from scandock.services.records import Session
from scandock.services.session_errors import ChoiceUnknown
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session
from scandock.web import urls
from scandock.web.pages.action_preview import (
    TITLES,
    ActionOrigin,
    SessionPreview,
    Verb,
    count_lost,
    form_values,
    loses_files,
    preview_each,
    preview_page,
    session_path,
)
from scandock.web.pages.errors import NothingNamed, TooManySessions, VerbUnknown
from scandock.web.pages.prearchive_rows import WaitingRow, build_rows
from scandock.web.pages.rendering import fragment, page
from scandock.web.pages.routing import Form, PageContext, SentForm, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.session_building import complete_sessions

router = pages()

OVERWRITE_CHOICES: Final[dict[str, Overwrite | None]] = {
    "": None,
    "append": "append",
    "delete": "delete",
    "none": "none",
}
KEPT_FIELDS: Final = ("to", "subject", "label", "overwrite", "back")
"""Fields of the form that go along from what will happen to doing it."""
LOOK: Final = "look"
"""What a row sends to be shown again as it is, with nothing done."""
SAFE: Final = frozenset({"rebuild", "resolve:keep_both", "resolve:add", "resolve:rename", "resolve:accept"})
"""What never takes a file away: it is done without a trial."""
_MEANINGS: Final[dict[str, str]] = {str(choice): said for choice, said in MEANING.items()}

NewNames = Callable[[str], tuple[str | None, str | None]]
"""Subject and label that a session is to get; None where it keeps its own."""


@router.get("/prearchive/{uuid}/change")
async def change(request: Request, context: PageContext, uuid: str) -> Response:
    """Another project, subject or label for one session."""
    principal = context.service_context.principal

    def ask(connection: Connection) -> Session:
        rights.find_waiting_session(connection, principal, uuid, Action.PREARCHIVE_EDIT)
        return find_session(connection, principal, uuid)

    session = await context.read(ask)
    return page(
        request, "change.html", principal, here="Prearchive", session=session, action=urls.PREARCHIVE,
        do=f"move:{uuid}", moves=True,
        trail=(("Prearchive", urls.PREARCHIVE), (session.label, session_path(session))), back=urls.PREARCHIVE,
    )  # fmt: skip


@router.post("/prearchive")
async def decide(form: SentForm) -> Response:
    """Do it to the chosen sessions; where files would be lost, say what would happen, and do it with `sure`.

    Where none is chosen the list says so.
    """
    verb_name, uuids, shown_loss = _parse_verb(form)
    if not uuids:
        return redirect_back(form.request, _make_origin(form).back[1], "none-chosen")
    if verb_name == LOOK:
        return await _row_response(form, uuids[0])
    await complete_sessions(form, uuids)
    names = await form.read(lambda c: _find_sessions(c, form.service_context, uuids))
    new_names = _make_new_names(form, uuids, names)
    verb = _make_verb(form, verb_name, new_names, names)
    previews: list[SessionPreview] = []

    def run(*, dry: bool) -> list[SessionPreview]:
        return preview_each(uuids, names, lambda uuid: new_names(uuid)[0], verb, dry=dry)

    is_confirmed = bool(form.text("sure"))
    if not is_confirmed and not _is_safe(verb_name, uuids):
        previews = await form.run(lambda: run(dry=True))
        is_confirmed = not _must_ask(verb_name, uuids, previews, shown_loss)
    if is_confirmed or not previews:
        is_confirmed, previews = True, await form.run(lambda: run(dry=False))
    name = verb_name.rpartition(":")[2] if verb_name.startswith("resolve:") else verb_name
    if form.text("in") == "row":
        return await _row_response(form, uuids[0], previews[0], is_ask=not is_confirmed, verb=verb_name)
    return preview_page(
        form,
        previews,
        _make_origin(form),
        verb_name,
        is_confirmed=is_confirmed,
        form_fields=form_values(form, KEPT_FIELDS),
        title=TITLES[name],
        meaning=_MEANINGS.get(name, ""),
    )


def _is_safe(verb_name: str, uuids: list[str]) -> bool:
    """Whether it takes no file away, whatever is there; a pattern for many labels is shown first all the same."""
    return verb_name in SAFE or (verb_name == "move" and len(uuids) == 1)


def _must_ask(verb_name: str, uuids: list[str], previews: list[SessionPreview], shown_loss: int) -> bool:
    """Whether what would happen is shown first: files would be lost, or many sessions get labels by a pattern.

    Not where the button itself has said that so many files (`shown_loss`) or more are lost: pressing it confirms that.
    """
    if verb_name == "move" and len(uuids) > 1:
        return True
    choice = verb_name.rpartition(":")[2]
    outcomes = [preview.outcome for preview in previews if preview.outcome is not None]
    losing = [outcome for outcome in outcomes if loses_files(outcome, choice)]
    return any(not shown_loss or count_lost(outcome, choice) > shown_loss for outcome in losing)


async def _row_response(
    form: Form, uuid: str, result: SessionPreview | None = None, *, is_ask: bool = False, verb: str = ""
) -> Response:
    """The session's row as it is now, with what became of it or would, for htmx to put in the place of the old one."""
    principal = form.service_context.principal

    def ask(connection: Connection) -> WaitingRow | None:
        session = _find_sessions(connection, form.service_context, [uuid]).get(uuid)
        if session is None or session.place != "prearchive":
            return None
        return build_rows(connection, principal, [session])[0]

    row = await form.read(ask)
    if row is not None and result is not None:
        title = TITLES[verb.rpartition(":")[2]]
        row = row.with_result(
            result, is_ask=is_ask, verb=f"{verb}:{uuid}", title=title, fields=form_values(form, KEPT_FIELDS)
        )
    answer = fragment(
        form.request, "prearchive_row.html", principal, row=row, uuid=uuid, result=result, query=form.text("back"),
        days=form.server.settings.trash_days,
    )  # fmt: skip
    target = f"#{urls.waiting_row(uuid)}"
    answer.headers.update(
        {"HX-Retarget": target, "HX-Reselect": target, "HX-Reswap": "outerHTML", "HX-Push-Url": "false"}
    )
    return answer


def _make_origin(form: Form) -> ActionOrigin:
    """The list as it was sought."""
    path = urls.with_encoded(urls.PREARCHIVE, form.text("back"))
    return ActionOrigin(
        here="Prearchive", action=urls.PREARCHIVE, above=("Prearchive", path), back=("Prearchive", path)
    )


def _parse_verb(form: Form) -> tuple[str, list[str], int]:
    """What is to be done, to which, and how many files the button said are lost by it.

    A button of one session names all of it (`verb:id`, `resolve:choice:id`, `resolve:choice:id:files`).
    """
    verb_name = form.text("do")
    words = verb_name.split(":")
    shown_loss = 0
    if words[0] == "resolve" and len(words) in (3, 4):
        verb_name, uuids = f"resolve:{words[1]}", [words[2]]
        shown_loss = int(words[3]) if len(words) == 4 and re.fullmatch(r"[0-9]{1,9}", words[3]) else 0
    elif words[0] != "resolve" and len(words) == 2:
        verb_name, uuids = words[0], [words[1]]
    else:
        uuids = form.texts("session")
    uuids = list(dict.fromkeys(uuids))
    if len(uuids) > MAX_SESSIONS:
        raise TooManySessions(MAX_SESSIONS)
    return verb_name, uuids, shown_loss


def _find_sessions(connection: Connection, service_context: ServiceContext, uuids: list[str]) -> dict[str, Session]:
    """Those of the sessions that may be seen."""
    sessions = {}
    for uuid in uuids:
        try:
            sessions[uuid] = find_session(connection, service_context.principal, uuid)
        except ScandockError:
            continue
    return sessions


def _make_verb(form: Form, verb_name: str, new_names: NewNames, names: Mapping[str, Session]) -> Verb:
    service_context = form.service_context
    if verb_name.startswith("resolve:"):
        return _make_resolve_verb(service_context, _parse_choice(verb_name.partition(":")[2]), new_names)
    overwrite = OVERWRITE_CHOICES.get(form.text("overwrite"))
    target_project = form.text("to") or None

    def moved(uuid: str, dry: bool) -> Outcome:
        subject, label = new_names(uuid)
        return move_session(
            service_context, uuid, project_name=target_project, subject=subject, label=label, dry_run=dry
        )

    def renamed_and_archived(uuid: str, dry: bool) -> Outcome:
        subject, label = new_names(uuid)
        is_held = uuid in names and bool(names[uuid].code)
        return archive_session(
            service_context,
            uuid,
            subject=subject,
            label=label,
            decided=is_held,
            dry_run=dry,
            action="resolve" if is_held else "archive",
        )

    verbs: dict[str, Verb] = {
        "rename_archive": renamed_and_archived,
        "archive": lambda uuid, dry: archive_session(service_context, uuid, overwrite=overwrite, dry_run=dry),
        "move": moved,
        "rebuild": lambda uuid, dry: rebuild_session(service_context, uuid, dry_run=dry),
        "delete": lambda uuid, dry: delete_session(service_context, uuid, place="prearchive", dry_run=dry),
    }
    if verb_name not in verbs:
        raise VerbUnknown
    if verb_name == "move" and not (target_project or form.text("subject") or form.text("label")):
        raise NothingNamed("No project, subject or label is named.")
    if verb_name == "rename_archive":
        _check_renamed(form, names)
    return verbs[verb_name]


def _check_renamed(form: Form, names: Mapping[str, Session]) -> None:
    """NothingNamed where a session that other names free is to keep its own; ChoiceUnknown where they free none."""
    for session in names.values():
        if not session.code:
            continue
        if "rename" not in list_choices(session.code):
            raise ChoiceUnknown("Another label or subject decides nothing of this session.", "Decide it first.")
        if form.text("label") in ("", session.label) and form.text("subject") in ("", session.subject):
            raise NothingNamed("No other subject or label is named.")


def _make_resolve_verb(service_context: ServiceContext, choice: Choice, new_names: NewNames) -> Verb:
    def resolved(uuid: str, dry: bool) -> Outcome:
        subject, label = new_names(uuid) if choice == "rename" else (None, None)
        return resolve_session(service_context, uuid, choice, subject=subject, label=label, dry_run=dry)

    return resolved


def _parse_choice(name: str) -> Choice:
    for known_choice in MEANING:
        if known_choice == name:
            return known_choice
    raise ChoiceUnknown(f"There is no choice {name[:40]!r}.", "Load the page again.")


def _make_new_names(form: Form, uuids: list[str], names: Mapping[str, Session]) -> NewNames:
    """By the patterns of the form."""
    numbers = {uuid: str(n) for n, uuid in enumerate(uuids, start=1)}
    subject, label = form.text("subject"), form.text("label")

    def of(uuid: str) -> tuple[str | None, str | None]:
        session = names.get(uuid)
        date = session.attributes.get("date", "").replace("-", "") if session is not None else ""
        label_is, subject_is = (session.label, session.subject) if session is not None else ("", "")
        values = {"label": label_is, "subject": subject_is, "date": date, "n": numbers[uuid]}
        return fill_pattern(subject, values), fill_pattern(label, values)

    return of

"""DICOM receivers: what they are set to, what they receive now, and their last associations.

For administrators; owners look at those whose objects go to their projects.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypedDict

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model import receivers as model
from scandock.model.errors import ScandockError
from scandock.model.reception import StudyWish
from scandock.model.verdicts import UNFINISHED
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.byte_sizes import format_bytes, parse_bytes
from scandock.services.import_records import Import
from scandock.services.imports import find_import, read_import
from scandock.services.pagination import Page, Sorting
from scandock.services.received_status import (
    Association,
    OpenStudy,
    ReceiverState,
    ask_for_study,
    list_associations,
    list_open_studies,
    list_states,
)
from scandock.services.receiver_errors import ReceiverInvalid, StudyNotReceiving
from scandock.services.receiver_records import Receiver, ReceiverChanges
from scandock.services.receivers import (
    add_receiver,
    find_receiver,
    list_receivers,
    remove_receiver,
    set_receiver,
)
from scandock.web import urls
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()

SHOWN: Final = 25
NEW: Final = "new"
SITE: Final = "."
"""In the place of a project that a form came from; no project is called so."""
STATES: Final = {
    "disabled": ("", "disabled"),
    "starting": ("running", "starting"),
    "listening": ("ready", "listening"),
    "rejecting": ("failed", "rejects all"),
    "failed": ("failed", "does not listen"),
}
"""State of a receiver -> the class of its badge, and its words."""
OUTCOMES: Final = {
    "open": ("running", "open"),
    "released": ("ready", "ended"),
    "ended": ("held", "broken off"),
    "rejected": ("failed", "rejected"),
    "failed": ("failed", "not begun"),
}
"""Outcome of an association -> the same."""


class _Seen(TypedDict):
    """What the page shows, all read in one transaction."""

    receivers: list[Receiver]
    states: dict[str, ReceiverState]
    studies: list[OpenStudy]
    associations: Page[Association]
    names: dict[str, str]


@router.get("/admin/receivers")
async def of_site(request: Request, context: PageContext, refused: str = "", cursor: str | None = None) -> Response:
    """All of them, for administrators."""
    await _check(context)
    return await _show(request, context, None, refused=bool(refused), cursor=cursor)


@router.get("/projects/{project}/receivers")
async def of_project(
    request: Request, context: PageContext, project: str, refused: str = "", cursor: str | None = None
) -> Response:
    """Those of a project, for its owners."""
    return await _show(request, context, project, refused=bool(refused), cursor=cursor)


async def _show(
    request: Request,
    context: RequestContext,
    project: str | None,
    problem: ScandockError | None = None,
    *,
    refused: bool = False,
    cursor: str | None = None,
) -> Response:
    principal, reception = context.service_context.principal, context.server.settings.reception

    def ask(connection: Connection) -> _Seen:
        receivers = [Receiver.of(one, reception) for one in list_receivers(connection, principal, project)]
        sorting = Sorting(sort="-begun", limit=SHOWN, cursor=cursor)
        return {
            "receivers": receivers,
            "states": {one.receiver: one for one in list_states(connection, principal, project)},
            "studies": list_open_studies(connection, principal, project),
            "associations": list_associations(connection, principal, sorting, project_name=project, refused=refused),
            "names": {one.id: f"{one.ae_title}:{one.port}" for one in receivers},
        }

    return page(
        request, "receivers.html", principal, here="Projects" if project else "Administration", at="receivers",
        script="receivers", project=project, refused=refused, later=cursor is not None, state_words=STATES,
        outcome_words=OUTCOMES, problem=problem, **await context.read(ask),
    )  # fmt: skip


@router.post("/admin/receivers")
async def create(request: Request, form: SentForm) -> Response:
    """Make a receiver."""
    return await apply_change(
        form,
        lambda: add_receiver(form.service_context, _read_changes(form)),
        partial(_form_page, request, form, NEW),
        urls.admin_page("receivers"),
        "receiver-made",
    )


@router.get("/admin/receivers/{receiver}")
async def one(request: Request, context: PageContext, receiver: str) -> Response:
    """Where one is changed, or made."""
    return await _form_page(request, context, receiver)


@router.post("/admin/receivers/{receiver}")
async def change(request: Request, form: SentForm, receiver: str) -> Response:
    """Change one by the form, switch it on or off, or remove it."""
    verb, service = form.text("do"), form.service_context
    await _check(form)
    show_list = partial(_show, request, form, None)
    here = urls.admin_page("receivers")
    if verb == "save":
        show_form = partial(_form_page, request, form, receiver)
        return await apply_change(
            form, lambda: set_receiver(service, receiver, _read_changes(form)), show_form, here, "receiver-changed"
        )
    if verb in ("enable", "disable"):
        changes = ReceiverChanges(enabled=verb == "enable")
        return await apply_change(
            form, lambda: set_receiver(service, receiver, changes), show_list, here, "receiver-changed"
        )
    if verb == "remove":
        return await apply_change(form, lambda: remove_receiver(service, receiver), show_list, here, "receiver-removed")
    raise VerbUnknown


@router.post("/imports/{uuid}/close")
async def close_study(request: Request, form: SentForm, uuid: str) -> Response:
    """Have a study that is being received imported as it is now."""
    return await _ask(request, form, uuid, StudyWish.CLOSE, "study-closed")


@router.get("/imports/{uuid}/discard")
async def confirm_discard(request: Request, context: PageContext, uuid: str, back: str = "") -> Response:
    """Ask whether what has come of a study is to go."""
    return await _confirm(request, context, uuid, back)


@router.post("/imports/{uuid}/discard")
async def discard_study(request: Request, form: SentForm, uuid: str) -> Response:
    """Forget a study that is being received."""
    return await _ask(request, form, uuid, StudyWish.DISCARD, "study-discarded")


async def _ask(request: Request, form: Form, uuid: str, wish: StudyWish, notice: str) -> Response:
    back = form.text("back")
    is_gone_then = wish is StudyWish.DISCARD and not back
    return await apply_change(
        form,
        lambda: ask_for_study(form.service_context, uuid, wish),
        lambda problem: _confirm(request, form, uuid, back, problem),
        urls.ACTIVITY if is_gone_then else _page_back(back, uuid),
        notice,
    )


def _page_back(back: str, uuid: str) -> str:
    """Where the button was: the receivers of the site (`site`) or of a project, else the import."""
    if not back:
        return urls.import_page(uuid)
    return urls.of_project_or_site(None if back == SITE else back, "receivers")


async def _confirm(
    request: Request, context: RequestContext, uuid: str, back: str, problem: ScandockError | None = None
) -> Response:
    """StudyNotReceiving where its import has ended."""
    principal = context.service_context.principal
    await context.read(lambda c: find_import(c, principal, uuid, Action.IMPORT_CANCEL))
    record: Import = await context.run_read(lambda: read_import(context.server.catalog, principal, uuid))
    if record.door != "dimse" or record.state not in UNFINISHED:
        raise StudyNotReceiving
    return page(
        request, "discard_study.html", principal, here="Activity", one=record, back=back,
        keep=_page_back(back, uuid), problem=problem,
    )  # fmt: skip


async def _check(context: RequestContext) -> None:
    principal = context.service_context.principal
    await context.read(lambda c: rights.check(c, principal, Action.SITE_ADMIN, None))


async def _form_page(
    request: Request, context: RequestContext, receiver: str, problem: ScandockError | None = None
) -> Response:
    """The form, with what was typed where it was sent."""
    await _check(context)
    principal, settings = context.service_context.principal, context.server.settings
    saved: Receiver | None = None
    if receiver != NEW:
        found = await context.read(lambda c: find_receiver(c, principal, receiver))
        saved = Receiver.of(found, settings.reception)
    fields = _typed(context) if isinstance(context, Form) else _fields_of(saved, principal.name)
    return page(
        request, "receiver.html", principal, here="Administration", at="receivers", saved=saved, typed=fields,
        problem=problem, reception=settings.reception, largest=format_bytes(settings.reception.object_bytes),
    )  # fmt: skip


_TEXTS: Final = (
    "ae_title", "port", "host", "bind", "label", "client_certificates", "project", "destination", "account", "closing",
    "idle_seconds", "max_associations", "max_object_bytes",
)  # fmt: skip
_LINES: Final = ("allow_list", "project_rules", "subject_rules", "session_rules")
_FLAGS: Final = ("enabled", "tls", "allow_list_enabled", "anonymize", "rules_enabled")


def _fields_of(saved: Receiver | None, account: str) -> dict[str, str | bool]:
    """What the form shows at first."""
    if saved is None:
        blank: dict[str, str | bool] = dict.fromkeys((*_TEXTS, *_LINES), "")
        return blank | {
            "host": model.ANY_HOST, "client_certificates": "off", "account": account, "closing": "idle",
            "enabled": True, "tls": False, "allow_list_enabled": False, "anonymize": True, "rules_enabled": False,
        }  # fmt: skip
    values: dict[str, Any] = saved.to_json()
    fields: dict[str, str | bool] = {name: "" if values[name] is None else str(values[name]) for name in _TEXTS}
    fields |= {name: values[name] for name in (*_LINES, *_FLAGS)}
    fields["allow_list"] = "\n".join(saved.allow_list)
    if saved.max_object_bytes is not None:
        fields["max_object_bytes"] = format_bytes(saved.max_object_bytes)
    return fields


def _typed(form: Form) -> dict[str, str | bool]:
    fields: dict[str, str | bool] = {name: form.text(name) for name in (*_TEXTS, *_LINES)}
    return fields | {name: bool(form.text(name)) for name in _FLAGS}


def _read_changes(form: Form) -> ReceiverChanges:
    """What the form sets, all of it. ReceiverInvalid."""
    changes = ReceiverChanges(
        ae_title=form.text("ae_title"),
        port=_number(form, "port", "The port") or 0,
        host=form.text("host"),
        bind=form.text("bind"),
        enabled=bool(form.text("enabled")),
        label=form.text("label"),
        tls=bool(form.text("tls")),
        client_certificates="off",
        allow_list=form.text("allow_list").splitlines(),
        allow_list_enabled=bool(form.text("allow_list_enabled")),
        project=form.text("project") or None,
        destination=None,
        account=form.text("account"),
        closing="release" if form.text("closing") == "release" else "idle",
        idle_seconds=_number(form, "idle_seconds", "The idle time"),
        max_associations=_number(form, "max_associations", "The number of associations"),
        max_object_bytes=_size(form.text("max_object_bytes")),
        anonymize=bool(form.text("anonymize")),
        rules_enabled=bool(form.text("rules_enabled")),
        project_rules=form.text("project_rules"),
        subject_rules=form.text("subject_rules"),
        session_rules=form.text("session_rules"),
    )
    certificates, destination = form.text("client_certificates"), form.text("destination")
    if certificates in {model.ClientCertificates.OPTIONAL, model.ClientCertificates.REQUIRED}:
        changes["client_certificates"] = model.ClientCertificates(certificates).value
    if destination in ("prearchive", "archive"):
        changes["destination"] = "archive" if destination == "archive" else "prearchive"
    return changes


def _number(form: Form, name: str, what: str) -> int | None:
    text = form.text(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len("999999999"):
        raise ReceiverInvalid(f"{what} is {text[:40]!r}.", "Write a whole number.")
    return int(text)


def _size(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_bytes(text)
    except ValueError:
        raise ReceiverInvalid(f"The size of an object is {text[:40]!r}.", "Write a size, as 2 GB or 512 MiB.") from None

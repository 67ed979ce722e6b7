"""DICOM peers: the systems that Scandock calls, for administrators."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.model.receivers import MAX_PORT, MAX_TITLE
from scandock.services.peers import add_peer, echo_peer, find_peer, list_peers, remove_peer, set_peer
from scandock.services.receiver_errors import PeerInvalid
from scandock.services.receiver_records import Peer, PeerChanges
from scandock.web import urls
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()

_TEXTS: Final = ("ae_title", "host", "port", "label")


@router.get("/admin/peers")
async def peers(request: Request, context: PageContext) -> Response:
    """All of them, and a form for another one."""
    return await _show(request, context)


@router.post("/admin/peers")
async def create(request: Request, form: SentForm) -> Response:
    """Make a peer."""
    return await apply_change(
        form,
        lambda: add_peer(form.service_context, _read_changes(form)),
        partial(_show, request, form),
        urls.admin_page("peers"),
        "peer-made",
    )


@router.get("/admin/peers/{peer}")
async def one(request: Request, context: PageContext, peer: str) -> Response:
    """Where one is changed."""
    return await _form_page(request, context, peer)


@router.post("/admin/peers/{peer}")
async def change(request: Request, form: SentForm, peer: str) -> Response:
    """Change one by the form, call it, or remove it."""
    verb, service, here = form.text("do"), form.service_context, urls.admin_page("peers")
    if verb == "save":
        show_form = partial(_form_page, request, form, peer)
        return await apply_change(
            form, lambda: set_peer(service, peer, _read_changes(form)), show_form, here, "peer-changed"
        )
    if verb == "remove":
        return await apply_change(
            form, lambda: remove_peer(service, peer), partial(_show, request, form), here, "peer-removed"
        )
    if verb == "echo":
        return await apply_change(
            form, lambda: echo_peer(service, peer), partial(_show, request, form), here, "peer-answered"
        )
    await form.read(lambda c: find_peer(c, service.principal, peer))
    raise VerbUnknown


async def _show(request: Request, context: RequestContext, problem: ScandockError | None = None) -> Response:
    principal = context.service_context.principal
    listed = await context.read(lambda c: list_peers(c, principal))
    return page(
        request, "peers.html", principal, here="Administration", at="peers", peers=[Peer.of(each) for each in listed],
        typed=_typed(context), problem=problem, max_title=MAX_TITLE, max_port=MAX_PORT,
    )  # fmt: skip


async def _form_page(
    request: Request, context: RequestContext, peer: str, problem: ScandockError | None = None
) -> Response:
    principal = context.service_context.principal
    saved = Peer.of(await context.read(lambda c: find_peer(c, principal, peer)))
    typed = _typed(context)
    if not isinstance(context, Form):
        typed = {
            "ae_title": saved.ae_title, "host": saved.host, "port": str(saved.port), "label": saved.label,
            "tls": saved.tls,
        }  # fmt: skip
    return page(
        request, "peer.html", principal, here="Administration", at="peers", saved=saved, typed=typed, problem=problem,
        max_title=MAX_TITLE, max_port=MAX_PORT,
    )  # fmt: skip


def _typed(context: RequestContext) -> dict[str, str | bool]:
    """What was typed where a form was sent, else nothing."""
    if not isinstance(context, Form) or context.text("do") not in ("", "save"):
        blank: dict[str, str | bool] = dict.fromkeys(_TEXTS, "")
        return blank | {"tls": False}
    fields: dict[str, str | bool] = {name: context.text(name) for name in _TEXTS}
    return fields | {"tls": bool(context.text("tls"))}


def _read_changes(form: Form) -> PeerChanges:
    """PeerInvalid."""
    port = form.text("port")
    if not port.isascii() or not port.isdigit() or len(port) > len("65535"):
        raise PeerInvalid(f"The port is {port[:40]!r}.", f"Right is 1 to {MAX_PORT:,}.")
    return PeerChanges(
        ae_title=form.text("ae_title"),
        host=form.text("host"),
        port=int(port),
        tls=bool(form.text("tls")),
        label=form.text("label"),
    )

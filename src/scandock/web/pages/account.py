"""One's own account: name, password, tokens for scripts, logins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, TypedDict

from fastapi import Request
from starlette.responses import Response

from scandock.access.accounts import Account
from scandock.access.errors import PasswordUnfit
from scandock.access.principal import Door
from scandock.access.tokens import DAYS, MAX_DAYS, NewToken, Token
from scandock.model.errors import ScandockError
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Scope
from scandock.services.account_records import Login
from scandock.services.authentication import change_own_password
from scandock.services.own_logins import OwnLogins
from scandock.web import urls
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, Seen, Sent, back, changed
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext
from scandock.web.security import COOKIE, set_cookie

router = pages()

SCOPES: Final = {
    Scope.ALL: "everything that you may do",
    Scope.READ: "looking and downloading",
    Scope.UPLOAD: "uploading alone",
}


def _logins(work: RequestContext) -> OwnLogins:
    return OwnLogins(work.site.catalog, work.context.principal, work.request.cookies.get(COOKIE), work.context.request)


@router.get("/account")
async def account(request: Request, work: Seen) -> Response:
    """All of it on one page."""
    return await _shown(request, work)


class _AccountData(TypedDict):
    """What the page shows of an account."""

    logins: Sequence[Login]
    tokens: Sequence[Token]
    own: Account


async def _shown(
    request: Request, work: RequestContext, problem: ScandockError | None = None, *, issued: NewToken | None = None
) -> Response:
    me = work.context.principal

    def ask() -> _AccountData:
        return {"logins": _logins(work).list(), "tokens": work.accounts.tokens(), "own": work.accounts.own()}

    found = await work.look(ask)
    return page(
        request, "account.html", me, here="Account", **found, scopes=SCOPES, days=DAYS, most=MAX_DAYS,
        problem=problem, issued=issued,
    )  # fmt: skip


@router.post("/account/profile")
async def profile(request: Request, form: Sent) -> Response:
    """Shown name and e-mail."""
    again = partial(_shown, request, form)
    display, email = form.text("display"), form.text("email")
    return await changed(
        form,
        lambda: form.accounts.set_profile(display=display, email=email),
        again,
        urls.ACCOUNT,
        "profile-changed",
    )


@router.post("/account/password")
async def password(request: Request, form: Sent) -> Response:
    """A new password, by the present one."""
    me = form.context.principal
    current, new = str(form.fields.get("current", "")), str(form.fields.get("new", ""))
    if new != str(form.fields.get("again", "")):
        problem = PasswordUnfit("The two new passwords are not the same.", "Type it the same way twice.")
        return await _told(request, form, problem)
    try:
        made = await form.by_turn(
            lambda: change_own_password(
                form.site.catalog, form.site.gate, me, current, new, form.context.request, again=me.door is Door.COOKIE
            )
        )
    except ScandockError as error:
        return await _told(request, form, error)
    answer = back(request, urls.ACCOUNT, "password-changed")
    if made is not None:
        set_cookie(request, answer, made.secret)
    return answer


async def _told(request: Request, form: Form, problem: ScandockError) -> Response:
    answer = await _shown(request, form, problem)
    answer.status_code = problem.STATUS
    return answer


@router.post("/account/tokens")
async def issue(request: Request, form: Sent) -> Response:
    """Make a token; it is shown this once, and so in the answer itself."""
    days, scope = form.text("days") or str(DAYS), form.text("scope") or Scope.ALL
    try:
        if scope not in set(Scope):
            raise ValueInvalid(f"There is no scope {scope[:40]!r}.", f"Right are {', '.join(Scope)}.")
        name = form.text("name")[:128]
        made = await form.do(
            lambda: form.accounts.issue_token(scope=Scope(scope), days=int(days) if days.isdecimal() else 0, name=name),
        )
    except ScandockError as error:
        return await _told(request, form, error)
    return await _shown(request, form, issued=made)


@router.post("/account/tokens/{alias}/revoke")
async def revoke(request: Request, form: Sent, alias: str) -> Response:
    """End a token."""
    again = partial(_shown, request, form)
    return await changed(form, lambda: form.accounts.revoke_token(alias), again, urls.ACCOUNT, "token-revoked")


@router.post("/account/logins/end")
async def end_logins(request: Request, form: Sent) -> Response:
    """End all of one's logins but this."""
    again = partial(_shown, request, form)
    return await changed(form, _logins(form).end_others, again, urls.ACCOUNT, "logins-ended")

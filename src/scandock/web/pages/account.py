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
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext
from scandock.web.security import COOKIE, set_cookie

router = pages()

SCOPES: Final = {
    Scope.ALL: "everything that you may do",
    Scope.READ: "looking and downloading",
    Scope.UPLOAD: "uploading alone",
}


def _logins(context: RequestContext) -> OwnLogins:
    return OwnLogins(
        context.server.catalog,
        context.service_context.principal,
        context.request.cookies.get(COOKIE),
        context.service_context.request,
    )


@router.get("/account")
async def account(request: Request, context: PageContext) -> Response:
    """All of it on one page."""
    return await _account_page(request, context)


class _AccountData(TypedDict):
    """What the page shows of an account."""

    logins: Sequence[Login]
    tokens: Sequence[Token]
    own: Account


async def _account_page(
    request: Request, context: RequestContext, problem: ScandockError | None = None, *, issued: NewToken | None = None
) -> Response:
    principal = context.service_context.principal

    def ask() -> _AccountData:
        return {"logins": _logins(context).list(), "tokens": context.accounts.tokens(), "own": context.accounts.own()}

    values = await context.run_read(ask)
    return page(
        request, "account.html", principal, here="Account", **values, scopes=SCOPES, days=DAYS, most=MAX_DAYS,
        problem=problem, issued=issued,
    )  # fmt: skip


@router.post("/account/profile")
async def profile(request: Request, form: SentForm) -> Response:
    """Shown name and e-mail."""
    show_form = partial(_account_page, request, form)
    display, email = form.text("display"), form.text("email")
    return await apply_change(
        form,
        lambda: form.accounts.set_profile(display=display, email=email),
        show_form,
        urls.ACCOUNT,
        "profile-changed",
    )


@router.post("/account/password")
async def password(request: Request, form: SentForm) -> Response:
    """A new password, by the present one."""
    principal = form.service_context.principal
    current, new = str(form.fields.get("current", "")), str(form.fields.get("new", ""))
    if new != str(form.fields.get("again", "")):
        problem = PasswordUnfit("The two new passwords are not the same.", "Type it the same way twice.")
        return await _told(request, form, problem)
    try:
        new_login = await form.run_password(
            lambda: change_own_password(
                form.server.catalog,
                form.server.gate,
                principal,
                current,
                new,
                form.service_context.request,
                again=principal.door is Door.COOKIE,
            )
        )
    except ScandockError as error:
        return await _told(request, form, error)
    answer = redirect_back(request, urls.ACCOUNT, "password-changed")
    if new_login is not None:
        set_cookie(request, answer, new_login.secret)
    return answer


async def _told(request: Request, form: Form, problem: ScandockError) -> Response:
    answer = await _account_page(request, form, problem)
    answer.status_code = problem.STATUS
    return answer


@router.post("/account/tokens")
async def issue(request: Request, form: SentForm) -> Response:
    """Make a token; it is shown this once, and so in the answer itself."""
    days, scope = form.text("days") or str(DAYS), form.text("scope") or Scope.ALL
    try:
        if scope not in set(Scope):
            raise ValueInvalid(f"There is no scope {scope[:40]!r}.", f"Right are {', '.join(Scope)}.")
        name = form.text("name")[:128]
        issued_token = await form.run(
            lambda: form.accounts.issue_token(scope=Scope(scope), days=int(days) if days.isdecimal() else 0, name=name),
        )
    except ScandockError as error:
        return await _told(request, form, error)
    return await _account_page(request, form, issued=issued_token)


@router.post("/account/tokens/{alias}/revoke")
async def revoke(request: Request, form: SentForm, alias: str) -> Response:
    """End a token."""
    show_form = partial(_account_page, request, form)
    return await apply_change(form, lambda: form.accounts.revoke_token(alias), show_form, urls.ACCOUNT, "token-revoked")


@router.post("/account/logins/end")
async def end_logins(request: Request, form: SentForm) -> Response:
    """End all of one's logins but this."""
    show_form = partial(_account_page, request, form)
    return await apply_change(form, _logins(form).end_others, show_form, urls.ACCOUNT, "logins-ended")

"""The site, for its administrators: what came in, accounts, settings and limits."""

from __future__ import annotations

from functools import partial
from typing import Final, TypedDict

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.errors import ScandockError
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.browsing import ListFilter, list_projects
from scandock.services.clock_check import confirm_clock_state, find_clock_state
from scandock.services.pagination import Page, Sorting
from scandock.services.records import Project
from scandock.services.setting_rows import describe_settings
from scandock.services.statistics import OUTCOMES, Statistics, read_statistics
from scandock.web import urls
from scandock.web.pages.charts import columns
from scandock.web.pages.errors import VerbUnknown
from scandock.web.pages.reader_zone import find_reader_zone
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()
SHOWN: Final = 50
MANY: Final = 200


class TypedAccount(TypedDict):
    """What was typed for a new account."""

    name: str
    display: str
    email: str
    admin: bool


NOTHING_TYPED: Final[TypedAccount] = {"name": "", "display": "", "email": "", "admin": False}


@router.get("/admin")
async def overview(request: Request, context: PageContext, project: str = "") -> Response:
    """What came in, by month and project, and how imports ended."""
    return await _overview(request, context, project)


async def _overview(
    request: Request, context: RequestContext, project: str = "", problem: ScandockError | None = None
) -> Response:
    principal = context.service_context.principal
    zone = find_reader_zone(request)

    def ask(connection: Connection) -> tuple[Statistics, Page[Project]]:
        statistics = read_statistics(connection, principal, zone=zone, project_name=project or None)
        return statistics, list_projects(connection, principal, ListFilter(), Sorting(limit=MANY))

    statistics, projects = await context.read(ask)
    clock = await context.run_read(lambda: find_clock_state(context.service_context.catalog, principal))
    months = sorted({*statistics.months, *statistics.imports})
    return page(
        request,
        "admin.html",
        principal,
        here="Administration",
        at="overview",
        project=project,
        projects=[item.id for item in projects.items],
        found=statistics,
        months=months,
        outcomes=OUTCOMES,
        sessions=columns(months, [("sessions", [statistics.months[month].sessions for month in months])]),
        bytes=columns(months, [("bytes", [statistics.months[month].bytes for month in months])]),
        imports=columns(
            months, [(item, [statistics.imports[month].get(item, 0) for month in months]) for item in OUTCOMES]
        ),
        clock=clock,
        problem=problem,
    )


@router.post("/admin/clock")
async def confirm_clock(request: Request, form: SentForm) -> Response:
    """Say that the clock is right though it has jumped."""
    return await apply_change(
        form,
        lambda: confirm_clock_state(
            form.service_context.catalog, form.service_context.principal, form.service_context.request
        ),
        lambda problem: _overview(request, form, problem=problem),
        urls.admin_page(),
        "clock-confirmed",
    )


@router.get("/admin/accounts")
async def accounts(request: Request, context: PageContext, after: str = "") -> Response:
    """Who uses the site."""
    return await _accounts(request, context, after=after)


async def _accounts(
    request: Request, context: RequestContext, problem: ScandockError | None = None, *, after: str = "",
    typed: TypedAccount | None = None,
) -> Response:  # fmt: skip
    accounts_page = await context.run_read(lambda: context.accounts.page(after=after, limit=SHOWN + 1))
    next_after = accounts_page[SHOWN - 1].name if len(accounts_page) > SHOWN else ""
    return page(
        request, "admin_accounts.html", context.service_context.principal, here="Administration", at="accounts",
        accounts=accounts_page[:SHOWN], following=next_after, problem=problem, typed=typed or NOTHING_TYPED,
    )  # fmt: skip


@router.post("/admin/accounts")
async def new_account(request: Request, form: SentForm) -> Response:
    """Make an account."""
    password = str(form.fields.get("password", "")) or None
    name, display, email, admin = form.text("name"), form.text("display"), form.text("email"), bool(form.text("admin"))
    return await apply_change(
        form,
        lambda: form.accounts.create(name, password, display=display, email=email, admin=admin),
        partial(_accounts, request, form, typed={"name": name, "display": display, "email": email, "admin": admin}),
        urls.admin_page("accounts"),
        "account-made",
        hashes=True,
    )


@router.post("/admin/accounts/{account}")
async def change_account(request: Request, form: SentForm, account: str) -> Response:
    """Shut one out, let it in, make it an administrator or not, or set its password."""
    return await apply_change(
        form, lambda: _change(form, account), partial(_accounts, request, form), urls.admin_page("accounts"),
        "account-changed", hashes=form.text("do") == "password",
    )  # fmt: skip


class _Flags(TypedDict, total=False):
    """What an administrator says of an account by one button."""

    disabled: bool
    admin: bool


def _change(form: Form, account: str) -> None:
    change_name, accounts_service = form.text("do"), form.accounts
    flags: dict[str, _Flags] = {
        "disable": {"disabled": True},
        "enable": {"disabled": False},
        "promote": {"admin": True},
        "demote": {"admin": False},
    }
    if change_name == "password":
        accounts_service.set_password(account, str(form.fields.get("password", "")))
    elif change_name in flags:
        accounts_service.change(account, **flags[change_name])
    else:
        raise VerbUnknown


@router.get("/admin/settings")
async def site_settings(request: Request, context: PageContext) -> Response:
    """Settings and limits, as `scandock settings` prints them; they are set where the server is started."""
    principal = context.service_context.principal
    await context.read(lambda c: rights.check(c, principal, Action.SITE_ADMIN, None))
    return page(
        request,
        "admin_settings.html",
        principal,
        here="Administration",
        at="settings",
        rows=describe_settings(context.server.settings),
    )

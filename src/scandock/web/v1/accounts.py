"""/api/v1/accounts: those who use the site, for its administrators. An account goes by its name or its id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from scandock.services.account_records import Account
from scandock.web import urls
from scandock.web.json_lists import PageOf
from scandock.web.request_context import SignedContext, record_response
from scandock.web.v1.openapi_keywords import location_keywords

router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

Password = Annotated[str, Field(min_length=1, max_length=4096)]
Shown = Annotated[str, Field(max_length=256, description="Name as people read it")]
Email = Annotated[str, Field(max_length=256)]


class NewAccount(BaseModel):
    """An account to be made; without a password only an OpenID Connect identity can log in to it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, description="Letters, digits and . _ @ -")]
    password: Password | None = None
    admin: bool = False
    display: Shown = ""
    email: Email = ""


class Identity(BaseModel):
    """Whom the provider says that it is."""

    model_config = ConfigDict(extra="forbid")

    issuer: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^\S+$")]
    subject: Annotated[str, Field(min_length=1, max_length=255)]


class AccountChanges(BaseModel):
    """What is to be changed of an account; what is not named stays. `identity` null: none logs in to it any more."""

    model_config = ConfigDict(extra="forbid")

    admin: bool | None = None
    disabled: bool | None = None
    display: Shown | None = None
    email: Email | None = None
    identity: Identity | None = None


class NewPassword(BaseModel):
    """A password that an administrator sets."""

    model_config = ConfigDict(extra="forbid")

    password: Password


@router.get("", summary="Accounts, by name", response_model=PageOf[Account])
async def list_all(
    context: SignedContext,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=64, description="The last name of the page before")] = "",
) -> Response:
    """`{"items", "next"}`; `next` is the following page's `cursor`."""
    accounts_page = await context.run_read(lambda: context.accounts.page(after=cursor, limit=limit))
    next_cursor = accounts_page[-1].name if len(accounts_page) == limit else None
    return JSONResponse({"items": [Account.of(account).to_json() for account in accounts_page], "next": next_cursor})


@router.post("", summary="Make an account", response_model=Account, **location_keywords())
async def create(context: SignedContext, body: NewAccount) -> Response:
    """409 `account_exists` where the name is taken, in any case."""
    account = await context.run_password(
        lambda: context.accounts.create(
            body.name, body.password, admin=body.admin, display=body.display, email=body.email
        )
    )
    location = urls.root_of(context.request.scope) + urls.api_account(account.uuid)
    return record_response(Account.of(account), 201, {"Location": location})


@router.get("/{account}", summary="One account", response_model=Account)
async def read(context: SignedContext, account: str) -> Response:
    """404 `account_unknown` where there is none."""
    return record_response(Account.of(await context.run_read(lambda: context.accounts.find(account))))


@router.patch("/{account}", summary="Change an account", response_model=Account)
async def change(context: SignedContext, account: str, changes: AccountChanges) -> Response:
    """All of it or nothing, in effect with the next request that the account makes. 409 `last_admin`."""
    given_fields = changes.model_dump(exclude_unset=True)
    if changes.identity is not None:
        given_fields["identity"] = f"{changes.identity.issuer} {changes.identity.subject}"
    values = {key: value for key, value in given_fields.items() if value is not None or key == "identity"}
    return record_response(Account.of(await context.run(lambda: context.accounts.change(account, **values))))


@router.put("/{account}/password", status_code=204, summary="Set a password", response_class=Response)
async def set_password(context: SignedContext, account: str, body: NewPassword) -> Response:
    """Another's: all logins and tokens of the account end at once. 409 `password_own` for one's own."""
    await context.run_password(lambda: context.accounts.set_password(account, body.password))
    return Response(status_code=204)

"""Accounts, members, logins and tokens as people see them: the objects of the API, without any secret that is kept."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Self

from pydantic import Field

from scandock.access import accounts, members, tokens
from scandock.access.logins import NewLogin
from scandock.access.principal import Door, Principal
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.rules.permissions import Role, Scope

RoleName = Annotated[str, Field(json_schema_extra={"enum": [one.value for one in Role]})]
ScopeName = Annotated[str, Field(json_schema_extra={"enum": [one.value for one in Scope]})]
DoorName = Annotated[str, Field(json_schema_extra={"enum": [Door.BASIC.value, Door.COOKIE.value, Door.TOKEN.value]})]


@dataclass(frozen=True, kw_only=True)
class Account(JsonRecord):
    """An account; `password` says whether it has one."""

    id: str
    name: str
    display: str
    email: str
    admin: bool
    disabled: bool
    password: bool
    identity: str | None
    created: Moment

    @classmethod
    def of(cls, account: accounts.Account) -> Self:
        return cls(
            id=account.uuid,
            name=account.name,
            display=account.display,
            email=account.email,
            admin=account.admin,
            disabled=account.disabled,
            password=account.password is not None,
            identity=account.identity,
            created=account.created,
        )


@dataclass(frozen=True, kw_only=True)
class Member(JsonRecord):
    """An account with a role in the project."""

    id: str
    name: str
    display: str
    role: RoleName
    disabled: bool

    @classmethod
    def of(cls, member: members.Member) -> Self:
        return cls(
            id=member.uuid,
            name=member.name,
            display=member.display,
            role=member.role.value,
            disabled=member.disabled,
        )


@dataclass(frozen=True, kw_only=True)
class RoleNow(JsonRecord):
    """The role that an account has now."""

    account: str
    role: RoleName


@dataclass(frozen=True, kw_only=True)
class LoggedIn(JsonRecord):
    """A login by cookie; `csrf` goes into X-CSRF-Token of each change."""

    name: str
    id: str
    admin: bool
    csrf: str = field(repr=False)
    expires: Moment

    @classmethod
    def of(cls, account: accounts.Account, login: NewLogin) -> Self:
        return cls(name=account.name, id=account.uuid, admin=account.admin, csrf=login.csrf, expires=login.expires)


@dataclass(frozen=True, kw_only=True)
class Me(JsonRecord):
    """Who asks."""

    id: str
    name: str
    admin: bool
    roles: dict[str, RoleName]
    door: DoorName
    scope: ScopeName
    csrf: str | None = field(repr=False)

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(
            id=principal.uuid,
            name=principal.name,
            admin=principal.admin,
            roles={project: role.value for project, role in principal.roles.items()},
            door=principal.door.value,
            scope=principal.scope.value,
            csrf=principal.csrf or None,
        )


@dataclass(frozen=True, kw_only=True)
class Renewed(JsonRecord):
    """The new login of who came by cookie, else nulls."""

    csrf: str | None = field(repr=False)
    expires: MaybeMoment

    @classmethod
    def of(cls, login: NewLogin | None) -> Self:
        return cls(csrf=None, expires=None) if login is None else cls(csrf=login.csrf, expires=login.expires)


@dataclass(frozen=True, kw_only=True)
class Login(JsonRecord):
    """A login by cookie that holds."""

    id: str
    created: Moment
    seen: MaybeMoment
    expires: Moment
    current: bool


@dataclass(frozen=True, kw_only=True)
class Ended(JsonRecord):
    """How many logins were ended."""

    ended: int


@dataclass(frozen=True, kw_only=True)
class NewlyIssued(JsonRecord):
    """A token; `secret` and `token` are told this once."""

    alias: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    scope: ScopeName
    name: str
    expires: Moment

    @classmethod
    def of(cls, issued: tokens.NewToken, scope: Scope, name: str) -> Self:
        return cls(
            alias=issued.alias,
            secret=issued.secret,
            token=issued.bearer,
            scope=scope.value,
            name=name,
            expires=issued.expires,
        )


@dataclass(frozen=True, kw_only=True)
class Token(JsonRecord):
    """A token without its secret."""

    alias: str
    name: str
    scope: ScopeName
    created: Moment
    expires: Moment
    seen: MaybeMoment

    @classmethod
    def of(cls, token: tokens.Token) -> Self:
        return cls(
            alias=token.alias,
            name=token.name,
            scope=token.scope.value,
            created=token.created,
            expires=token.expires,
            seen=token.seen,
        )

"""`scandock admin user`, `member` and `token`: who may use the server, and where."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.command_errors import PasswordMissing, ProjectMissing
from scandock.cli.consoles import is_terminal, print_line, tolerate_closed_pipe

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.access.principal import RequestInfo
    from scandock.catalog.engine import Catalog
    from scandock.services.accounts import Accounts

user = typer.Typer(help="Accounts of those who use the server.", no_args_is_help=True, rich_markup_mode=None)
member = typer.Typer(help="Roles in projects.", no_args_is_help=True, rich_markup_mode=None)
token = typer.Typer(help="Tokens for scripts.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
ProjectId = Annotated[str, typer.Argument(metavar="P", help="Id of the project.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin, one line; else it is asked for.")
]
MAX_PASSWORD_BYTES: Final = 8192


@contextmanager
def open_data_catalog(data: str, *, must_exist: bool = False) -> Iterator[Catalog]:
    """The catalog of DATA; made where missing, unless it must exist."""
    checks.check_data(data, must_exist=must_exist)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.data_catalog import open_data

    with open_data(data, load_settings()) as (catalog, _):
        yield catalog


def check_project_exists(connection: Connection, project: str) -> None:
    """Raises Usage `project_missing` where there is no such project."""
    from scandock.catalog.projects import find_project

    if find_project(connection, project) is None:
        raise ProjectMissing(project)


def local_request_info() -> RequestInfo:
    """Where the command is given, for the trail: on this machine, by this user of it."""
    from scandock.access.principal import RequestInfo

    return RequestInfo(f"local uid {os.getuid()}")


def _account_service(catalog: Catalog) -> Accounts:
    from scandock.access.principal import SYSTEM
    from scandock.services.accounts import Accounts

    return Accounts(catalog, SYSTEM, local_request_info())


@user.command("add")
def user_add(
    name: Name,
    *,
    data: options.Data,
    password_stdin: FromStdin = False,
    role: Annotated[
        Literal["admin", "user"], typer.Option("--role", help="admin: may do everything at this site.")
    ] = "user",
    email: Annotated[str, typer.Option("--email", help="Where mail goes.", show_default=False)] = "",
) -> None:
    """Make an account."""
    from scandock.access.accounts import check_email, check_name

    check_name(name)
    check_email(email)
    password = _read_password(name, password_stdin)
    with open_data_catalog(data) as catalog:
        _account_service(catalog).create(name, password, admin=role == "admin", email=email)
    print_line(f"Account {name} is made.", sys.stdout)


@user.command("password")
def user_password(name: Name, *, data: options.ExistingData, password_stdin: FromStdin = False) -> None:
    """Set a password. All logins and tokens of the account end at once."""
    password = _read_password(name, password_stdin)
    with open_data_catalog(data, must_exist=True) as catalog:
        _account_service(catalog).set_password(name, password)
    print_line(f"The password of {name} is set.", sys.stdout)


@user.command("disable")
def user_disable(name: Name, *, data: options.ExistingData) -> None:
    """Shut an account out. All its logins and tokens end at once."""
    with open_data_catalog(data, must_exist=True) as catalog:
        _account_service(catalog).set_disabled(name, True)
    print_line(f"Account {name} is disabled.", sys.stdout)


@user.command("enable")
def user_enable(name: Name, *, data: options.ExistingData) -> None:
    """Let a disabled account in again."""
    with open_data_catalog(data, must_exist=True) as catalog:
        _account_service(catalog).set_disabled(name, False)
    print_line(f"Account {name} is enabled.", sys.stdout)


@user.command("role")
def user_role(
    name: Name,
    role: Annotated[Literal["admin", "user"], typer.Argument(help="admin: may do everything at this site.")],
    *,
    data: options.ExistingData,
) -> None:
    """Make somebody a site administrator, or no longer."""
    with open_data_catalog(data, must_exist=True) as catalog:
        _account_service(catalog).set_admin(name, role == "admin")
    print_line(f"Account {name} is {'an administrator' if role == 'admin' else 'an ordinary user'} now.", sys.stdout)


@user.command("list")
def user_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the accounts, one a line."""
    rows: list[dict[str, object]] = []
    with open_data_catalog(data, must_exist=True) as catalog:
        accounts = _account_service(catalog)
        after = ""
        while page := accounts.page(after=after, limit=500):
            after = page[-1].name
            rows.extend(
                {"name": row.name, "uuid": row.uuid, "email": row.email, "role": "admin" if row.admin else "user",
                 "disabled": row.disabled, "oidc": row.identity is not None}
                for row in page
            )  # fmt: skip
    print_list(rows, as_json, lambda row: f"{row['name']}: {row['role']}{', disabled' if row['disabled'] else ''}")


@member.command("set")
def member_set(
    project: ProjectId,
    name: Name,
    role: Annotated[
        Literal["owner", "member", "collaborator"],
        typer.Argument(help="owner: all in the project; member: uploads and edits; collaborator: reads."),
    ],
    *,
    data: options.ExistingData,
) -> None:
    """Give an account a role in a project, in place of the one that it has."""
    _set_member(data, project, name, role)
    print_line(f"{name} is {role} of {project}.", sys.stdout)


@member.command("remove")
def member_remove(project: ProjectId, name: Name, *, data: options.ExistingData) -> None:
    """Take an account's role in a project."""
    _set_member(data, project, name, None)
    print_line(f"{name} has no role in {project}.", sys.stdout)


@member.command("list")
def member_list(project: ProjectId, *, data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List who has a role in a project."""
    checks.check_project(project)
    with open_data_catalog(data, must_exist=True) as catalog, catalog.read() as connection:
        from scandock.access.members import list_members

        check_project_exists(connection, project)
        rows: list[dict[str, object]] = [
            {"name": row.name, "role": row.role.value, "disabled": row.disabled}
            for row in list_members(connection, project)
        ]
    print_list(rows, as_json, lambda row: f"{row['name']}: {row['role']}{', disabled' if row['disabled'] else ''}")


def _set_member(data: str, project: str, name: str, role: str | None) -> None:
    checks.check_project(project)
    with open_data_catalog(data, must_exist=True) as catalog:
        from scandock.access.principal import SYSTEM
        from scandock.rules.permissions import Role
        from scandock.services.members import set_member

        with catalog.read() as connection:
            check_project_exists(connection, project)
        set_member(catalog, SYSTEM, project, name, Role(role) if role else None, local_request_info())


@token.command("add")
def token_add(
    name: Name,
    *,
    data: options.ExistingData,
    scope: Annotated[
        Literal["read", "upload", "all"], typer.Option("--scope", help="What it may be used for.")
    ] = "upload",
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=366, help="How long it lives.")] = 30,
    label: Annotated[str, typer.Option("--label", help="What it is for.", show_default=False)] = "",
) -> None:
    """Make a token and print it, once: alias and secret, to be used as name and password."""
    with open_data_catalog(data, must_exist=True) as catalog:
        from scandock.rules.permissions import Scope

        new_token = _account_service(catalog).issue_token(scope=Scope(scope), days=days, name=label, account_name=name)
    print_line(f"{new_token.alias}:{new_token.secret}", sys.stdout)
    print_line("It is shown this once. Use it as name:password, or as `Authorization: Bearer ALIAS.SECRET`.")


@token.command("list")
def token_list(name: Name, *, data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List an account's tokens, without their secrets."""
    with open_data_catalog(data, must_exist=True) as catalog:
        rows: list[dict[str, object]] = [
            {"alias": row.alias, "label": row.name, "scope": row.scope.value, "created": row.created,
             "expires": row.expires, "seen": row.seen}
            for row in _account_service(catalog).tokens(account_name=name)
        ]  # fmt: skip
    print_list(rows, as_json, lambda row: f"{row['alias']}: {row['scope']} {row['label']}".rstrip())


@token.command("revoke")
def token_revoke(
    name: Name,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Its alias, the part before the colon.")],
    *,
    data: options.ExistingData,
) -> None:
    """End a token at once."""
    with open_data_catalog(data, must_exist=True) as catalog:
        _account_service(catalog).revoke_token(alias, account_name=name)
    print_line("The token is revoked.", sys.stdout)


def print_list(rows: list[dict[str, object]], as_json: bool, format_row: Callable[[dict[str, object]], str]) -> None:
    """A list as JSON, or one line each."""
    import json

    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            sys.stdout.write(json.dumps(rows, indent=2) + "\n")
            return
        for row in rows:
            print_line(format_row(row), sys.stdout)


def _read_password(name: str, from_stdin: bool) -> str:
    """The password for an account: a line of stdin, or asked for twice on the terminal."""
    if from_stdin:
        password = sys.stdin.readline(MAX_PASSWORD_BYTES).rstrip("\r\n")
    elif is_terminal(sys.stdin):
        password = typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise PasswordMissing
    from scandock.access.passwords import MIN_LENGTH, check_new

    check_new(password, least=1)
    if len(password) < MIN_LENGTH:
        print_line(f"Note: passwords of fewer than {MIN_LENGTH} characters are easily guessed.")
    return password

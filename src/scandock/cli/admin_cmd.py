"""`scandock admin`: projects, accounts, imports and the site's rules."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from scandock.cli import checks, options
from scandock.cli.accounts_cmd import check_project_exists, local_request_info, member, open_data_catalog, token, user
from scandock.cli.audit_cmd import audit
from scandock.cli.clock_cmd import clock
from scandock.cli.consoles import is_terminal, make_console, print_line, tolerate_closed_pipe
from scandock.cli.filters_cmd import filters
from scandock.cli.imports_cmd import imports
from scandock.cli.ohif_cmd import ohif
from scandock.cli.privacy_cmd import lookup, privacy, script
from scandock.cli.receivers_cmd import peer, receiver
from scandock.cli.rules_cmd import rules
from scandock.cli.text_format import printable
from scandock.cli.verify_cmd import verify

if TYPE_CHECKING:
    from scandock.services.projects import ProjectSettings

admin = typer.Typer(
    help="Projects, accounts, imports, and the rules that name sessions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
project = typer.Typer(help="Make and list projects.", no_args_is_help=True, rich_markup_mode=None)
admin.add_typer(project, name="project")
admin.add_typer(rules, name="rules")
admin.add_typer(filters, name="filter")
admin.add_typer(privacy, name="privacy")
admin.add_typer(script, name="script")
admin.add_typer(lookup, name="lookup")
admin.add_typer(imports, name="import")
admin.add_typer(ohif, name="ohif")
admin.add_typer(receiver, name="receiver")
admin.add_typer(peer, name="peer")
admin.add_typer(user, name="user")
admin.add_typer(member, name="member")
admin.add_typer(token, name="token")
admin.command("audit")(audit)
admin.command("clock")(clock)
admin.command("verify")(verify)

Id = Annotated[str, typer.Argument(metavar="P", help="Id of the project: 1 to 64 letters, digits, _ and -.")]


PETMR_HELP: Final = (
    "What a study with PET and MR becomes: one session of type petmr or pet, or separate ones; default: SCANDOCK_PETMR."
)


@project.command("add")
def project_add(
    project_id: Id,
    *,
    data: options.Data,
    name: Annotated[str | None, typer.Option("--name", help="Name for people.", show_default="the id")] = None,
    prearchive_code: Annotated[
        Literal["0", "4", "5"],
        typer.Option(
            "--prearchive-code",
            help="Where its sessions go: 0 prearchive; 4 archive; 5 archive, and replace objects that come again.",
        ),
    ] = "4",
    petmr: Annotated[
        Literal["default", "petmr", "pet", "separate"], typer.Option("--petmr", help=PETMR_HELP)
    ] = "default",
    identified: Annotated[
        Literal["accept", "warn", "hold"] | None,
        typer.Option(
            "--identified",
            help="Sessions whose objects do not all say that they are de-identified: accept, warn of, or hold them.",
            show_default="SCANDOCK_IDENTIFIED",
        ),
    ] = None,
) -> None:
    """Make a project."""
    checks.check_new_project(project_id)
    checks.check_data(data)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.projects import add_project

    settings = load_settings()
    add_project(
        data,
        settings,
        project_id,
        name=name or project_id,
        prearchive_code=int(prearchive_code),
        petmr=petmr,
        identified=identified or settings.identified,
        request=local_request_info(),
    )
    print_line(f"Project {project_id} is made.", sys.stdout)


@project.command("set")
def project_set(
    project_id: Id,
    *,
    data: options.ExistingData,
    petmr: Annotated[Literal["default", "petmr", "pet", "separate"], typer.Option("--petmr", help=PETMR_HELP)],
) -> None:
    """Change a project's settings. What is stored stays as it is."""
    checks.check_new_project(project_id)
    with open_data_catalog(data, must_exist=True) as catalog, catalog.read() as connection:
        check_project_exists(connection, project_id)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.projects import set_pet_mr

    name = set_pet_mr(data, load_settings(), project_id, petmr, local_request_info())
    print_line(f"Project {name} has petmr {petmr}.", sys.stdout)


@project.command("access")
def project_access(
    project_id: Id,
    accessibility: Annotated[
        Literal["private", "protected", "public"],
        typer.Argument(help="private: those with a role; protected: others see its title; public: anybody reads."),
    ],
    *,
    data: options.ExistingData,
) -> None:
    """Say who sees a project without having a role in it."""
    checks.check_new_project(project_id)
    with open_data_catalog(data, must_exist=True) as catalog:
        from scandock.access.principal import SYSTEM
        from scandock.rules.permissions import Accessibility
        from scandock.services.members import set_accessibility

        with catalog.read() as connection:
            check_project_exists(connection, project_id)
        set_accessibility(catalog, SYSTEM, project_id, Accessibility(accessibility), local_request_info())
    print_line(f"Project {project_id} is {accessibility}.", sys.stdout)


@project.command("list")
def project_list(data: options.ExistingData, as_json: options.AsJson = False) -> None:
    """List the projects."""
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.projects import list_projects

    projects = list(list_projects(data, load_settings()))
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            parts = [
                {"id": p.id, "name": p.name, "prearchive_code": p.prearchive_code, "petmr": p.petmr,
                 "identified": p.identified}
                for p in projects
            ]  # fmt: skip
            sys.stdout.write(json.dumps(parts, indent=2) + "\n")
            return
        if is_terminal(sys.stdout):
            _print_table(projects)
            return
        for row in projects:
            policy = f"prearchive-code {row.prearchive_code}, petmr {row.petmr}, identified {row.identified}"
            print_line(f"{row.id}: {row.name or row.id}, {policy}", sys.stdout)


@admin.command("adopt")
def adopt(data: options.ExistingData) -> None:
    """Let the database of SCANDOCK_DATABASE_URL belong to a data folder that was restored or copied by hand.

    A database belongs to one data folder, and every other is refused. One that was moved is known, and one that
    `scandock restore` made is the database's own already. No server may be at work on either folder.
    """
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.services.data_catalog import open_data_catalog

    settings = load_settings()
    if settings.database_url is None:
        print_line(f"The catalog of {data} is in the folder itself: there is nothing to adopt.", sys.stdout)
        return
    open_data_catalog(os.path.abspath(data), settings, adopts=True).dispose()
    print_line(f"The database belongs to {os.path.abspath(data)} now.", sys.stdout)


store = typer.Typer(help="Where files are kept.", no_args_is_help=True, rich_markup_mode=None)
admin.add_typer(store, name="store")

Bucket = Annotated[
    str, typer.Option("--to", metavar="s3://BUCKET[/PREFIX]", help="Bucket that the files are to be in.")
]
Switch = Annotated[
    bool,
    typer.Option("--switch", help="Copy what is left and name the bucket in the catalog: no server may be at work."),
]


@store.command("show")
def show(data: options.ExistingData) -> None:
    """Print how much the bucket holds but for receipts and copies of manifests, and how much of it waits to go."""
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.cli.text_format import format_count
    from scandock.model.sizes import format_size
    from scandock.services.store_status import read_store_status

    settings = load_settings()
    status = read_store_status(data, settings)
    if status is None:
        print_line(f"The files are in {data}.", sys.stdout)
        return
    print_line(
        f"Files of sessions in {settings.store}: {format_count(status.objects, 'object')}, {format_size(status.bytes)}",
        sys.stdout,
    )
    print_line(
        f"Uploads that are received or wait: {format_count(status.parts, 'object')}, {format_size(status.part_bytes)}",
        sys.stdout,
    )
    print_line(f"Deleted files in packs that are still to be written anew: {format_size(status.dead)}", sys.stdout)
    if status.uncounted:
        print_line(f"Not looked through yet: {format_count(status.uncounted, 'object')}", sys.stdout)
    going = format_count(status.going, "object")
    print_line(f"Waits to be deleted: {going}, {format_size(status.going_bytes)}", sys.stdout)


@store.command("migrate")
def migrate(data: options.ExistingData, to: Bucket, switch: Switch = False) -> None:
    """Copy all files of a data folder to a bucket, each compared with its checksum; the folder is left as it is.

    It may be served meanwhile, and the command may be run again: it goes on where it ended, and copies what has come or
    changed since. With --switch the catalog names the bucket's files from then on; set SCANDOCK_STORE before the next
    start.
    """
    checks.check_data(data, must_exist=True)
    from scandock.cli.settings_loading import load_settings
    from scandock.cli.text_format import format_count
    from scandock.model.sizes import format_size
    from scandock.services.data_errors import BucketInvalid
    from scandock.services.settings import is_bucket
    from scandock.services.store_migration import migrate_store

    if not is_bucket(to):
        raise BucketInvalid(to)
    result = migrate_store(data, load_settings(), to, switch=switch)
    for problem in result.problems:
        print_line(problem, sys.stdout)
    counts = f"{format_count(result.sessions, 'session')}, {format_count(result.files, 'file')}"
    print_line(f"Copied: {counts}, {format_size(result.bytes)}.", sys.stdout)
    if result.is_switched:
        print_line(f"The files are in {to} now. Set SCANDOCK_STORE={to}, then run scandock check.", sys.stdout)
    if result.problems:
        raise typer.Exit(3)


def _print_table(projects: Sequence[ProjectSettings]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Project", "Name"):
        table.add_column(name, overflow="fold")
    for name in ("Prearchive code", "PET/MR", "Identified"):
        table.add_column(name)
    for row in projects:
        cells = (row.id, row.name or row.id, str(row.prearchive_code), row.petmr, row.identified)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    make_console(sys.stdout).print(table if projects else "There are no projects yet.")

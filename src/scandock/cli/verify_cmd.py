"""`scandock admin verify`: sessions' files read again by hand."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scandock.cli import checks, errors, options
from scandock.cli.accounts_cmd import check_project_exists, local_request_info
from scandock.cli.consoles import print_line
from scandock.cli.text_format import format_count
from scandock.model.sizes import format_size


def verify(
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of sessions, as the list of damage has them.")
    ] = None,
    *,
    data: options.ExistingData,
    damaged: Annotated[bool, typer.Option("--damaged", help="All sessions that have damaged files.")] = False,
    project: Annotated[
        str | None, typer.Option("--project", metavar="P", help="With --damaged: those of this project alone.")
    ] = None,
) -> None:
    """Read the files of sessions again now, and take those off the list of damage that are whole.

    Exit codes: 0 all are whole, 3 some are damaged or could not be read, 1 a fault of the machine, 2 wrong usage.
    """
    checks.check_data(data, must_exist=True)
    if bool(sessions) == damaged or (project is not None and not damaged):
        raise typer.BadParameter("Name ids of sessions, or give --damaged, which takes --project.")
    from scandock.access.principal import SYSTEM
    from scandock.cli.settings_loading import load_settings
    from scandock.services.context import ServiceContext
    from scandock.services.damage import verify_in_process
    from scandock.services.data_catalog import open_data

    settings = load_settings()
    # what was read is noted at once: Ctrl-C may stop this, and the server's worker goes on with the rest
    with open_data(data, settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM, local_request_info())
        if project is not None:
            with catalog.read() as connection:
                check_project_exists(connection, project)
        result = verify_in_process(context, sessions or [], damaged=damaged, project_name=project)
    read, left_files = result.verified, result.left
    if damaged and not result.named:
        print_line("No damaged files are listed.", sys.stdout)
        return
    summary = (
        f"{format_count(result.damaged, 'file')} damaged"
        if result.damaged
        else "no damage"
        if left_files
        else "all of them are whole"
    )
    print_line(
        f"{format_count(read.files, 'file')} ({format_size(read.bytes)}) of {format_count(read.trees, 'session')}"
        f" read: {summary}.",
        sys.stdout,
    )
    if left_files:
        reason = "as they were being moved or replaced" if len(left_files) > 1 else "as it was being moved or replaced"
        print_line(f"Not read: {', '.join(left_files)}, {reason}. Run the command again in a moment.", sys.stdout)
    raise typer.Exit(errors.FINDINGS if result.damaged or left_files else 0)

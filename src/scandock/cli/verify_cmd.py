"""`scandock admin verify`: sessions' files read again by hand."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scandock.cli import checks, errors, options
from scandock.cli.accounts_cmd import here, known
from scandock.cli.consoles import line
from scandock.cli.plain import plural, size


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
    from scandock.cli.import_cmd import load_settings
    from scandock.services.damage import read_here
    from scandock.services.moving import Desk
    from scandock.services.opening import opened

    settings = load_settings()
    # what was read is noted at once: Ctrl-C may stop this, and the server's worker goes on with the rest
    with opened(data, settings) as (catalog, store):
        desk = Desk(catalog, store, settings, SYSTEM, here())
        if project is not None:
            with catalog.read() as connection:
                known(connection, project)
        done = read_here(desk, sessions or [], damaged=damaged, project_name=project)
    read, left = done.verified, done.left
    if damaged and not done.named:
        line("No damaged files are listed.", sys.stdout)
        return
    found = (
        f"{plural(done.damaged, 'file')} damaged" if done.damaged else "no damage" if left else "all of them are whole"
    )
    line(
        f"{plural(read.files, 'file')} ({size(read.bytes)}) of {plural(read.trees, 'session')} read: {found}.",
        sys.stdout,
    )
    if left:
        why = "as they were being moved or replaced" if len(left) > 1 else "as it was being moved or replaced"
        line(f"Not read: {', '.join(left)}, {why}. Run the command again in a moment.", sys.stdout)
    raise typer.Exit(errors.FINDINGS if done.damaged or left else 0)

"""`scandock export`: archived sessions as plain files in a folder."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scandock.cli import checks, errors, options
from scandock.cli.accounts_cmd import local_request_info
from scandock.cli.consoles import print_line, tolerate_closed_pipe
from scandock.cli.text_format import format_count, printable
from scandock.model.sizes import format_size

if TYPE_CHECKING:
    from scandock.services.session_exports import ExportResult


def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|PROJECT",
            help="Id of a project; or a session by its id, its label, PROJECT/SESSION, or its address.",
        ),
    ],
    *,
    data: options.ExistingData,
    to: Annotated[
        str, typer.Option("--to", metavar="DIR", help="Folder to write PROJECT/SESSION/... to; made where missing.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Write an archived session, or all of a project, to a folder: plain files, as the archive has them.

    Each file is checked by its checksum. One that was interrupted is gone on with; no file in DIR is ever replaced.

    Exit codes: 0 all files are there, whole; 3 some are not, and are named; 1 a fault of the machine, 2 wrong usage.
    """
    checks.check_data(data, must_exist=True)
    checks.check_output_folder("--to", to)
    from scandock.access.principal import SYSTEM
    from scandock.cli.interrupt import Interrupt
    from scandock.cli.progress import display
    from scandock.cli.settings_loading import load_settings
    from scandock.services.context import ServiceContext
    from scandock.services.data_catalog import open_data
    from scandock.services.session_exports import choose_sessions, export_sessions

    settings = load_settings()
    # a file has its name once it is whole, and what is there is gone on with: Ctrl-C may stop this at once
    with open_data(data, settings) as (catalog, store):
        context = ServiceContext(catalog, store, settings, SYSTEM, local_request_info())
        with catalog.read() as connection:
            choice = choose_sessions(connection, name)
        with display(name, Interrupt()) as on_progress:
            result = export_sessions(context, choice, to, on_progress)
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            sys.stdout.write(json.dumps(asdict(result)) + "\n")
        else:
            _print_result(result)
    raise typer.Exit(errors.FINDINGS if result.problems else 0)


_DAMAGED: Final = "What is changed, missing or unreadable is so in the archive: import it again, which heals it."
_REMEDIES: Final = {
    "changed": _DAMAGED,
    "missing": _DAMAGED,
    "unreadable": f"{_DAMAGED} Where this user may not read the data folder, run the command as the server's user.",
    "occupied": "What is occupied is left as it is. Move it away, and run the command again.",
}
"""By kind of problem, each said once."""


def _print_result(result: ExportResult) -> None:
    for problem in result.problems:
        print_line(f"{problem.kind}: {printable(problem.path)}: {printable(problem.message)}", sys.stdout)
    for remedy in dict.fromkeys(_REMEDIES[problem.kind] for problem in result.problems if problem.kind in _REMEDIES):
        print_line(remedy, sys.stdout)
    missing = f", {format_count(len(result.problems), 'problem')}" if result.problems else ""
    if (files := sum(problem.files for problem in result.problems)) > len(result.problems):
        missing += f": {files:,} files are not there"
    print_line(
        f"Exported to {printable(result.path)}: {format_count(result.sessions, 'session')} of {result.project},"
        f" {format_count(result.written, 'file')} written ({format_size(result.bytes)}),"
        f" {result.present:,} there already{missing}",
        sys.stdout,
    )

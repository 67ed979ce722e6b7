"""`scandock backup` and `scandock restore`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from scandock.cli import checks, errors, options
from scandock.cli.consoles import print_line, tolerate_closed_pipe
from scandock.cli.text_format import format_count
from scandock.model.sizes import format_size


def backup(
    *,
    data: options.ExistingData,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="Folder of the backups; each gets a folder there.")],
    as_json: options.AsJson = False,
) -> None:
    """Back up a data folder with its catalog, also while it is served.

    Files that the last backup in DIR has are shared with it by hard links. One that was interrupted is gone on with.

    Exit codes: 0 done, 3 done but files are damaged in the data folder, 1 a fault of the machine, 2 wrong usage.
    """
    checks.check_data(data, must_exist=True)
    from scandock.cli.interrupt import Interrupt
    from scandock.cli.progress import display
    from scandock.cli.settings_loading import load_settings
    from scandock.services.backup import back_up

    settings = load_settings()
    # nothing in DATA is written, and what was copied is gone on with: Ctrl-C may stop this at once
    with display(data, Interrupt()) as on_progress:
        result = back_up(data, settings, to, on_progress)
    with tolerate_closed_pipe(sys.stdout):
        if as_json:
            sys.stdout.write(json.dumps(asdict(result)) + "\n")
        else:
            for name in result.damaged:
                print_line(f"damaged: {name}: It is not as it was stored; scandock check names the files.", sys.stdout)
            summary = (
                f"{format_count(result.trees, 'folder')} of files, {result.copied} copied ({format_size(result.bytes)})"
            )
            print_line(f"Backup made in {result.path}: {summary}", sys.stdout)
    raise typer.Exit(errors.FINDINGS if result.damaged else 0)


def restore(
    source: Annotated[
        str, typer.Argument(metavar="DIR", help="A backup, or the folder of backups: then the newest is taken.")
    ],
    *,
    data: Annotated[str, typer.Option("--data", metavar="NEW", help="Data folder to make; it must be empty.")],
    as_json: options.AsJson = False,
) -> None:
    """Restore a backup into a new data folder, and check it.

    Exit codes: 0 restored and clean, 3 findings, 1 a fault of the machine, 2 wrong usage.
    """
    checks.check_data(data)
    from scandock.cli.check_cmd import print_findings
    from scandock.cli.interrupt import Interrupt
    from scandock.cli.progress import display
    from scandock.cli.settings_loading import load_settings
    from scandock.services.backup_restore import find_backup
    from scandock.services.backup_restore import restore_backup as run

    settings = load_settings()
    source = find_backup(source)
    with display(source, Interrupt()) as on_progress:
        findings = run(source, data, settings, on_progress)
    with tolerate_closed_pipe(sys.stdout):
        print_findings(data, findings, settings.store, as_json=as_json)
        if not as_json:
            print_line(f"Restored from {source}", sys.stdout)
    raise typer.Exit(errors.FINDINGS if findings else 0)

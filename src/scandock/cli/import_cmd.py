"""`scandock import`: archives go in, sessions stand in the prearchive or the archive."""

from __future__ import annotations

import typer

from scandock.cli import options
from scandock.cli.archive_commands import import_archives
from scandock.cli.import_options import ImportOptions


@options.with_options(ImportOptions)
def import_(
    archives: options.Archives,
    *,
    data: options.Data,
    asked: ImportOptions,
    create_project: options.CreateProject = False,
    workers: options.Workers = None,
    as_json: options.AsJson = False,
    receipt: options.Receipt = None,
    receipt_format: options.ReceiptFormat = "jsonl",
) -> None:
    """Import archives of imaging sessions into a data folder.

    Each session is placed as a whole or not at all; archives are read where they lie and never changed.

    Exit codes: 0 every session stands where it was to go; 3 a session waits in the prearchive for a decision, or
    something could not be taken; 4 nothing was taken; 1 a fault of the machine; 2 wrong usage; 130 cancelled. Of
    several archives the worst.
    """
    raise typer.Exit(
        import_archives(
            archives,
            data=data,
            asked=asked,
            create_project=create_project,
            workers=workers,
            as_json=as_json,
            receipt=receipt,
            receipt_format=receipt_format,
        )
    )

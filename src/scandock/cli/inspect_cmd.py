"""`scandock inspect`: the same reading as an import, and nothing stored."""

from __future__ import annotations

import typer

from scandock.cli import options
from scandock.cli.archive_commands import inspect_archives
from scandock.cli.import_options import ImportOptions


@options.with_options(ImportOptions)
def inspect(
    archives: options.Archives,
    *,
    data: options.KnownData = None,
    asked: ImportOptions,
    create_project: options.CreateProject = False,
    workers: options.Workers = None,
    as_json: options.AsJson = False,
    receipt: options.Receipt = None,
    receipt_format: options.ReceiptFormat = "jsonl",
) -> None:
    """Tell what import would make of archives, and store nothing.

    The archives are read as import reads them, and judged as for a data folder without sessions. Projects and the
    site's rules are those of --data, and patients, studies and ECAT files that it has elsewhere are warned of; without
    it, the projects that are named are taken to be there.

    The options are those of import, and so are the exit codes.
    """
    raise typer.Exit(
        inspect_archives(
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

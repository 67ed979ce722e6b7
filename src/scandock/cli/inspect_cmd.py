"""`scandock inspect`: the same reading as an import, and nothing stored."""

from __future__ import annotations

from functools import partial

import typer

from scandock.cli import checks, options
from scandock.cli.import_cmd import check_options, run_archives
from scandock.workers.readers import own_reader_server


@options.with_import_options
def inspect(
    archives: options.Archives,
    *,
    data: options.KnownData = None,
    asked: options.ImportOptions,
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
    checks.check_archives(archives)
    check_options(asked)
    with own_reader_server():
        from scandock.workers.inspection import run_inspect  # SQLAlchemy: readers start before it is loaded

        raise typer.Exit(
            run_archives(
                partial(run_inspect, data=data),
                archives,
                asked,
                data=data,
                stored_in=None,
                create_project=create_project,
                workers=workers,
                as_json=as_json,
                receipt=receipt,
                receipt_format=receipt_format,
            )
        )

"""`scandock inspect`: the same reading as an import, and nothing stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from scandock.cli import checks, options
from scandock.cli.import_cmd import build_request, check_options, load_settings, make_names, run_archives
from scandock.workers.readers import own_reader_server

if TYPE_CHECKING:
    from scandock.cli.command_run import ArchiveEngine, Result
    from scandock.model.import_types import Progress
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings


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
        settings = load_settings()
        request = build_request(
            asked, settings, create_project=create_project, workers=workers, receipt=receipt is not None
        )
        engine = _engine(data, request, settings)
        names = make_names(data, request, settings)
        raise typer.Exit(
            run_archives(
                engine,
                archives,
                names,
                data=None,
                as_json=as_json,
                receipt=receipt,
                receipt_format=receipt_format,
            )
        )


def _engine(data: str | None, request: ImportRequest, settings: Settings) -> ArchiveEngine:
    from scandock.workers.inspection import run_inspect

    def engine(
        archive: str, on_progress: Callable[[Progress], None] | None, cancelled: threading.Event, number: int
    ) -> Result:
        return run_inspect(
            data=data,
            archive=archive,
            request=request,
            settings=settings,
            on_progress=on_progress,
            cancelled=cancelled,
            archive_number=number,
        )

    return engine

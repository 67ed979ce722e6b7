"""`scandock import`: archives go in, sessions stand in the prearchive or the archive."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import typer

from scandock.cli import checks, options
from scandock.workers.readers import own_reader_server

if TYPE_CHECKING:
    from scandock.cli.command_run import Result
    from scandock.cli.receipt_file import Format
    from scandock.model.import_types import Progress
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.shown_names import ShownNames
    from scandock.services.settings import Settings


@options.with_import_options
def import_(
    archives: options.Archives,
    *,
    data: options.Data,
    asked: options.ImportOptions,
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
    checks.check_archives(archives)
    checks.check_data(data, archives)
    check_options(asked)
    with own_reader_server():
        from scandock.workers.local_import import run_import  # SQLAlchemy: readers start before it is loaded

        raise typer.Exit(
            run_archives(
                partial(run_import, data=data),
                archives,
                asked,
                data=data,
                stored_in=data,
                create_project=create_project,
                workers=workers,
                as_json=as_json,
                receipt=receipt,
                receipt_format=receipt_format,
            )
        )


def run_archives(
    run_archive: Callable[..., Result],
    archives: Sequence[str],
    asked: options.ImportOptions,
    *,
    data: str | None,
    stored_in: str | None,
    create_project: bool,
    workers: int | None,
    as_json: bool,
    receipt: str | None,
    receipt_format: Format,
) -> int:
    """Run `run_archive` over the archives with the receipt's file open; the exit code.

    `data` is the data folder whose rules hold, `stored_in` the one that sessions go to, where they go to any.
    """
    from scandock.cli.command_run import CommandRun
    from scandock.cli.receipt_file import ReceiptFile
    from scandock.cli.summary import SummaryContext

    settings = load_settings()
    request = _build_request(
        asked, settings, create_project=create_project, workers=workers, receipt=receipt is not None
    )

    def engine(
        archive: str, on_progress: Callable[[Progress], None] | None, cancelled: threading.Event, number: int
    ) -> Result:
        return run_archive(
            archive=archive,
            request=request,
            settings=settings,
            on_progress=on_progress,
            cancelled=cancelled,
            archive_number=number,
        )

    file = None
    if receipt is not None:
        checks.check_receipt(receipt, archives, stored_in)
        file = ReceiptFile(receipt, receipt_format)
    try:
        run = CommandRun(
            engine,
            SummaryContext(data=stored_in, receipt=receipt, store=None if stored_in is None else settings.store),
            as_json=as_json,
            receipt=file,
            names=_make_names(data, request, settings),
        )
        return run.run(archives)
    finally:
        if file is not None:
            file.close()


def _make_names(data: str | None, request: ImportRequest, settings: Settings) -> Callable[[int], ShownNames]:
    """What may be shown of the names of an archive, by its number, where no import was made of it."""

    def names(number: int) -> ShownNames:
        from scandock.services.door_names import names_of_command  # SQLAlchemy: readers start before it is loaded

        return names_of_command(data, settings, request, number)

    return names


def check_options(asked: options.ImportOptions) -> None:
    """What of a request can be judged without the archive or the catalog."""
    checks.check_project(asked.project)
    checks.check_label("--subject", asked.subject)
    checks.check_label("--session", asked.session)
    checks.check_file("--mapping", asked.mapping)


def _build_request(
    asked: options.ImportOptions, settings: Settings, *, create_project: bool, workers: int | None, receipt: bool
) -> ImportRequest:
    """The request of an import on this machine."""
    from scandock.rules.import_request import ImportRequest

    return ImportRequest.model_validate(
        {
            **asked.request_fields(),
            "mapping_path": asked.mapping,
            "create_project": create_project,
            "workers": workers or settings.workers or default_workers(),
            "receipt": receipt,
        }
    )


def load_settings() -> Settings:
    """The settings, with a warning for each variable that means nothing.

    Imported here, as pydantic costs a tenth of a second.
    """
    from scandock.cli.consoles import print_line
    from scandock.services.setting_rows import describe_unknown_variables
    from scandock.services.settings import load_settings as load

    settings = load()
    for sentence in describe_unknown_variables():
        print_line(f"Warning: {sentence}")
    return settings


def default_workers() -> int:
    """One reader process for each core that this process may use, at most 4."""
    return min(len(os.sched_getaffinity(0)), 4)

"""What `scandock import` and `scandock inspect` do once their words are read.

Nothing here loads typer, pydantic or SQLAlchemy before the readers have work: they take longer to load than a small
archive to read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from scandock.cli import checks
from scandock.cli.default_settings import defaults, sets_any
from scandock.cli.settings_loading import load_settings
from scandock.rules.import_request import ImportRequest

if TYPE_CHECKING:
    from scandock.cli.command_run import Result
    from scandock.cli.import_options import ImportOptions
    from scandock.cli.receipt_file import Format
    from scandock.model.import_types import Progress
    from scandock.rules.shown_names import ShownNames
    from scandock.services.settings import Settings


def import_archives(
    archives: Sequence[str],
    *,
    data: str,
    asked: ImportOptions,
    create_project: bool = False,
    workers: int | None = None,
    as_json: bool = False,
    receipt: str | None = None,
    receipt_format: Format = "jsonl",
) -> int:
    """Import archives into DATA and tell what became of them; the exit code. Raises Usage."""
    checks.check_archives(archives)
    checks.check_data(data, archives)
    check_options(asked)
    from scandock.workers.local_import import run_import

    return run_archives(
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


def inspect_archives(
    archives: Sequence[str],
    *,
    asked: ImportOptions,
    data: str | None = None,
    create_project: bool = False,
    workers: int | None = None,
    as_json: bool = False,
    receipt: str | None = None,
    receipt_format: Format = "jsonl",
) -> int:
    """Tell what an import of archives would make of them; the exit code. Raises Usage."""
    checks.check_archives(archives)
    check_options(asked)
    from scandock.workers.inspection import run_inspect

    return run_archives(
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


def run_archives(
    run_archive: Callable[..., Result],
    archives: Sequence[str],
    asked: ImportOptions,
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

    settings = load_settings() if sets_any(os.environ) else defaults()
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


def check_options(asked: ImportOptions) -> None:
    """What of a request can be judged without the archive or the catalog."""
    checks.check_project(asked.project)
    checks.check_label("--subject", asked.subject)
    checks.check_label("--session", asked.session)
    checks.check_file("--mapping", asked.mapping)


def _build_request(
    asked: ImportOptions, settings: Settings, *, create_project: bool, workers: int | None, receipt: bool
) -> ImportRequest:
    """The request of an import on this machine."""
    fields: dict[str, Any] = asked.request_fields()
    return ImportRequest(
        **fields,
        mapping_path=asked.mapping,
        create_project=create_project,
        workers=workers or settings.workers or default_workers(),
        receipt=receipt,
    )


def default_workers() -> int:
    """One reader process for each core that this process may use, at most 4."""
    return min(len(os.sched_getaffinity(0)), 4)

"""What an import or an inspection gives back: the report of the fixed surface, and the receipt's lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import IO, TextIO

from scandock.model.import_report import ImportReport, ReportJson


class ImportResult:
    """What became of one archive. `open_receipt` gives the compressed receipt; None where there is none."""

    def __init__(self, report: ImportReport, open_receipt: Callable[[], IO[bytes]] | None) -> None:
        self.state = report.state
        self.report: ReportJson = report.to_json()
        self._open = open_receipt

    def write_receipt(self, fileobj: TextIO, fmt: str = "jsonl") -> None:
        """Write the receipt as JSON lines or CSV; nothing where there is none."""
        if self._open is None:
            return
        with self._open() as packed, gzip.GzipFile(fileobj=packed) as lines:
            if fmt == "csv":
                from scandock.model.spreadsheet import TableWriter
                from scandock.pipeline.receipts import receipt_rows

                TableWriter(fileobj).write_rows(receipt_rows(lines))
                return
            fileobj.writelines(line.decode("utf-8") for line in lines)

"""What an import or an inspection gives back: the report of the fixed surface, and the receipt's lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import IO, Any, TextIO

from scandock.model.verdicts import ImportState, Verdict


class ImportResult:
    """What became of one archive. `open_receipt` gives the compressed receipt; None where there is none."""

    def __init__(self, report: dict[str, Any], open_receipt: Callable[[], IO[bytes]] | None) -> None:
        self.report = report
        self.state = ImportState(report["state"])
        self._open = open_receipt

    def write_receipt(self, fileobj: TextIO, fmt: str = "jsonl") -> None:
        """Write the receipt as JSON lines or CSV; nothing where there is none."""
        if self._open is None:
            return
        with self._open() as packed, gzip.GzipFile(fileobj=packed) as lines:
            if fmt == "csv":
                import csv

                from scandock.pipeline.tell import csv_lines

                csv.writer(fileobj).writerows(csv_lines(lines))
                return
            fileobj.writelines(line.decode("utf-8") for line in lines)


def make_report(
    upload: str | None,
    archive: str,
    state: ImportState,
    code: str,
    message: str,
    *,
    received: int = 0,
    seconds: dict[str, float] | None = None,
    warnings: list[dict[str, str]] | None = None,
    sessions: list[dict[str, Any]] | None = None,
    entries: dict[str, int] | None = None,
    unpacked: int = 0,
    stored: int = 0,
) -> dict[str, Any]:
    """The object that `--json` prints (design: fixed surface); every key is always there."""
    return {
        "upload": upload,
        "archive": archive,
        "state": state.value,
        "code": code,
        "message": message,
        "warnings": warnings or [],
        "sessions": sessions or [],
        "entries": entries or {verdict.value: 0 for verdict in Verdict},
        "bytes": {"received": received, "unpacked": unpacked, "stored": stored},
        "seconds": seconds or {"total": 0.0},
    }

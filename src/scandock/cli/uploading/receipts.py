"""The receipt from the server into a file of the command line, each line with the archive as it was named there."""

from __future__ import annotations

import codecs
import csv
import json
import tempfile
from collections.abc import Iterable
from typing import TextIO

from scandock.cli.command_errors import ReceiptFailed
from scandock.cli.receipt_file import Format
from scandock.cli.uploading.patience import Patience, Stopped
from scandock.cli.uploading.server import Refusal, Server
from scandock.model.spreadsheet import TableWriter
from scandock.web import urls


def copy_receipt(server: Server, patience: Patience, uuid: str, archive: str, fmt: Format, target: TextIO) -> None:
    """Write the receipt's lines to `target`, once they have come whole. Raises Fault `receipt_failed`."""
    with tempfile.TemporaryFile() as whole:

        def fetch() -> None:
            whole.seek(0)
            whole.truncate()
            with server.receipt(uuid, fmt) as pieces:
                for piece in pieces:
                    whole.write(piece)

        try:
            patience.until_answered(fetch)
        except (Refusal, Stopped) as why:
            said = why.detail if isinstance(why, Refusal) else "it was cancelled"
            raise ReceiptFailed(
                f"The receipt could not be had from the server: {said.rstrip('.')}.",
                f"The import itself stands as said; {server.url}{urls.api_import(uuid, 'receipt')} has it.",
            ) from None
        whole.seek(0)
        if fmt == "csv":
            _copy_table(codecs.getreader("utf-8")(whole), archive, target)
        else:
            _copy_lines(whole, archive, target)


def _copy_lines(lines: Iterable[bytes], archive: str, target: TextIO) -> None:
    """JSON lines begin with the archive; all that follows is passed on as it is."""
    named = json.dumps(archive)
    begin = len(b'{"archive": ')
    decoder = json.JSONDecoder()
    for line in lines:
        text = line.decode()
        _, end = decoder.raw_decode(text, begin)
        target.write(text[:begin] + named + text[end:])


def _copy_table(lines: Iterable[str], archive: str, target: TextIO) -> None:
    rows = csv.reader(lines)
    writer = TableWriter(target)  # an older server's cells are guarded too, and the archive is named anew
    for number, row in enumerate(rows):
        writer.write_row([archive, *row[1:]] if number else row)

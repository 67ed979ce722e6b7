"""Several archives at once: transfers in threads, their results in the order in which the archives were named."""

from __future__ import annotations

import codecs
import csv
import json
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Final, TextIO, cast

from scandock.cli.command_errors import ReceiptFailed
from scandock.cli.receipt_file import Format
from scandock.cli.upload_client.import_outcome import CANCEL_SECONDS, end_upload
from scandock.cli.upload_client.server import ImportJson, ServerRefusal, UploadServer
from scandock.cli.upload_client.server_retry import ServerRetry, UploadCancelled
from scandock.cli.upload_client.sources import FileSource, Source
from scandock.cli.upload_client.transfer import Transfer, UploadClaims
from scandock.cli.upload_client.transfer_display import TransferDisplay
from scandock.model.dataclass import dataclass
from scandock.model.import_report import ImportReport, ReportJson
from scandock.model.import_types import Progress
from scandock.model.spreadsheet import TableWriter
from scandock.model.verdicts import ImportState
from scandock.rules.shown_names import is_hidden
from scandock.web import urls

PARALLEL_TRANSFERS: Final = 3
GRACE_SECONDS: Final = 2 * CANCEL_SECONDS
"""After Ctrl-C, for the server to answer; then the command ends without."""
POLL_SECONDS: Final = 0.1


def open_source(path: str) -> Source:
    """A file, or a folder as the tar that it would make. Raises Fault where it can't be read."""
    if os.path.isdir(path):
        from scandock.cli.upload_client.folder import FolderSource

        return FolderSource(path)
    return FileSource(path)


@dataclass(frozen=True)
class UploadResult:
    """What became of one archive; the object has the keys of `scandock import --json` and no more."""

    report: ReportJson
    server: UploadServer
    patience: ServerRetry

    @property
    def state(self) -> ImportState:
        return ImportState(self.report["state"])

    def write_receipt(self, fileobj: TextIO, fmt: Format = "jsonl") -> None:
        """The receipt's lines, as the server has them. Raises Fault `receipt_failed`."""
        if self.report["upload"] is not None:
            copy_receipt(self.server, self.patience, self.report["upload"], self.report["archive"], fmt, fileobj)


class Uploads:
    """The engine of `CommandRun`: the first call begins with all archives, each call waits for the next one."""

    def __init__(
        self, server: UploadServer, archives: Sequence[str], fields: Mapping[str, str], board: TransferDisplay
    ) -> None:
        self._server = server
        self._fields = fields
        self._board = board
        self._claims = UploadClaims()
        self._waiting: queue.SimpleQueue[tuple[int, str, Future[UploadResult]]] = queue.SimpleQueue()
        self._results: list[Future[UploadResult]] = []
        for number, archive in enumerate(archives):
            self._results.append(Future())
            self._waiting.put((number, archive, self._results[-1]))
        self._next = 0

    def __call__(
        self, archive: str, _on_progress: Callable[[Progress], None] | None, cancelled: threading.Event, _number: int
    ) -> UploadResult:
        """The result of the next archive. Raises what its transfer raised."""
        if self._next == 0:
            for _ in range(min(PARALLEL_TRANSFERS, len(self._results))):
                # daemons: a server that hangs holds up nobody who leaves
                threading.Thread(target=self._work, args=(cancelled,), name="upload", daemon=True).start()
        result = self._results[self._next]
        self._next += 1
        give_up_at: float | None = None
        while True:
            try:
                return result.result(POLL_SECONDS)
            except NotYet:
                if result.done():
                    raise  # the transfer's own
            if cancelled.is_set():
                give_up_at = give_up_at or time.monotonic() + GRACE_SECONDS
                if time.monotonic() > give_up_at:
                    return self._cancelled(
                        archive, None, "Cancelled here; the server did not answer in time.", cancelled
                    )

    def _work(self, cancelled: threading.Event) -> None:
        while True:
            try:
                number, archive, result = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result.set_result(self._one(number, archive, cancelled))
            except BaseException as error:  # noqa: BLE001  whoever waits for the result is to hear it
                result.set_exception(error)
            finally:
                self._board.done(number)

    def _one(self, number: int, archive: str, cancelled: threading.Event) -> UploadResult:
        if cancelled.is_set():
            return self._cancelled(archive, None, "Not begun.", cancelled)

        def say(text: str) -> None:
            self._board.say(number, text)

        retry = ServerRetry(cancelled, say)
        source = open_source(archive)
        try:
            transfer = Transfer(
                server=self._server,
                source=source,
                fields=self._fields,
                claims=self._claims,
                patience=retry,
                say=say,
                tell=self._board.begin(number, archive),
            )
            try:
                import_object = transfer.run()
            except UploadCancelled:
                end_reached = end_upload(self._server, transfer.uuid)
                if isinstance(end_reached, str):
                    return self._cancelled(archive, transfer.uuid, end_reached, cancelled)
                import_object = end_reached
        finally:
            source.close()
        return UploadResult(as_import(import_object, archive), self._server, retry)

    def _cancelled(self, archive: str, uuid: str | None, message: str, cancelled: threading.Event) -> UploadResult:
        report = ImportReport(
            upload=uuid, archive=archive, state=ImportState.CANCELLED, code="cancelled", message=message
        )
        return UploadResult(report.to_json(), self._server, ServerRetry(cancelled, lambda _: None))


def as_import(import_object: ImportJson, archive: str) -> ReportJson:
    """An import's object of the server as `scandock import` prints it, for the archive as it was named here.

    Where the server hides names it stays as that calls it.
    """
    called = import_object.get("archive", "")
    archive = called if is_hidden(called) else archive
    report = ImportReport(upload=None, archive="", state=ImportState.FAILED).to_json()
    return cast(
        "ReportJson", {key: import_object.get(key, absent) for key, absent in report.items()} | {"archive": archive}
    )


def copy_receipt(
    server: UploadServer, retry: ServerRetry, uuid: str, archive: str, fmt: Format, target: TextIO
) -> None:
    """Write the receipt's lines to `target`, once they have come whole. Raises Fault `receipt_failed`."""
    with tempfile.TemporaryFile() as receipt_file:

        def fetch() -> None:
            receipt_file.seek(0)
            receipt_file.truncate()
            with server.receipt(uuid, fmt) as pieces:
                for piece in pieces:
                    receipt_file.write(piece)

        try:
            retry.call(fetch)
        except (ServerRefusal, UploadCancelled) as error:
            reason = error.detail if isinstance(error, ServerRefusal) else "it was cancelled"
            raise ReceiptFailed(
                f"The receipt could not be had from the server: {reason.rstrip('.')}.",
                f"The import itself stands as said; {server.url}{urls.api_import(uuid, 'receipt')} has it.",
            ) from None
        receipt_file.seek(0)
        if fmt == "csv":
            _copy_table(codecs.getreader("utf-8")(receipt_file), archive, target)
        else:
            _copy_lines(receipt_file, archive, target)


def _copy_lines(lines: Iterable[bytes], archive: str, target: TextIO) -> None:
    """JSON lines begin with the archive; all that follows is passed on as it is."""
    archive_json = json.dumps(archive)
    begin = len(b'{"archive": ')
    decoder = json.JSONDecoder()
    for line in lines:
        text = line.decode()
        _, end_upload = decoder.raw_decode(text, begin)
        target.write(text[:begin] + archive_json + text[end_upload:])


def _copy_table(lines: Iterable[str], archive: str, target: TextIO) -> None:
    rows = csv.reader(lines)
    writer = TableWriter(target)  # an older server's cells are guarded too, and the archive is named anew
    for number, row in enumerate(rows):
        writer.write_row([archive, *row[1:]] if number else row)

"""Several archives at once: transfers in threads, their results in the order in which the archives were named."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any, Final, TextIO

from scandock.cli.receipt_file import Format
from scandock.cli.uploading.board import Board
from scandock.cli.uploading.outcome import CANCEL_SECONDS, end
from scandock.cli.uploading.patience import Patience, Stopped
from scandock.cli.uploading.receipts import copy_receipt
from scandock.cli.uploading.server import Server
from scandock.cli.uploading.sources import FileSource, Source
from scandock.cli.uploading.transfer import Claims, Transfer
from scandock.model.import_types import Progress
from scandock.model.import_report import make_report
from scandock.model.verdicts import ImportState

AT_ONCE: Final = 3
GRACE_SECONDS: Final = 2 * CANCEL_SECONDS
"""After Ctrl-C, for the server to answer; then the command ends without."""
LOOK_SECONDS: Final = 0.1


def open_source(path: str) -> Source:
    """A file, or a folder as the tar that it would make. Raises Fault where it can't be read."""
    if os.path.isdir(path):
        from scandock.cli.uploading.folder import FolderSource

        return FolderSource(path)
    return FileSource(path)


@dataclass(frozen=True)
class Uploaded:
    """What became of one archive; the object has the keys of `scandock import --json` and no more."""

    report: dict[str, Any]
    server: Server
    patience: Patience

    @property
    def state(self) -> ImportState:
        return ImportState(self.report["state"])

    def write_receipt(self, fileobj: TextIO, fmt: Format = "jsonl") -> None:
        """The receipt's lines, as the server has them. Raises Fault `receipt_failed`."""
        if self.report["upload"] is not None:
            copy_receipt(self.server, self.patience, self.report["upload"], self.report["archive"], fmt, fileobj)


class Uploads:
    """The engine of `cli.running.Run`: the first call begins with all archives, each call waits for the next one."""

    def __init__(self, server: Server, archives: Sequence[str], fields: Mapping[str, str], board: Board) -> None:
        self._server = server
        self._fields = fields
        self._board = board
        self._claims = Claims()
        self._waiting: queue.SimpleQueue[tuple[int, str, Future[Uploaded]]] = queue.SimpleQueue()
        self._results: list[Future[Uploaded]] = []
        for number, archive in enumerate(archives):
            self._results.append(Future())
            self._waiting.put((number, archive, self._results[-1]))
        self._next = 0

    def __call__(
        self, archive: str, _on_progress: Callable[[Progress], None] | None, cancelled: threading.Event
    ) -> Uploaded:
        """The result of the next archive. Raises what its transfer raised."""
        if self._next == 0:
            for _ in range(min(AT_ONCE, len(self._results))):
                # daemons: a server that hangs holds up nobody who leaves
                threading.Thread(target=self._work, args=(cancelled,), name="upload", daemon=True).start()
        result = self._results[self._next]
        self._next += 1
        given_up: float | None = None
        while True:
            try:
                return result.result(LOOK_SECONDS)
            except NotYet:
                if result.done():
                    raise  # the transfer's own
            if cancelled.is_set():
                given_up = given_up or time.monotonic() + GRACE_SECONDS
                if time.monotonic() > given_up:
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

    def _one(self, number: int, archive: str, cancelled: threading.Event) -> Uploaded:
        if cancelled.is_set():
            return self._cancelled(archive, None, "Not begun.", cancelled)

        def say(text: str) -> None:
            self._board.say(number, text)

        patience = Patience(cancelled, say)
        source = open_source(archive)
        try:
            transfer = Transfer(
                server=self._server,
                source=source,
                fields=self._fields,
                claims=self._claims,
                patience=patience,
                say=say,
                tell=self._board.begin(number, archive),
            )
            try:
                found = transfer.run()
            except Stopped:
                ended = end(self._server, transfer.uuid)
                if isinstance(ended, str):
                    return self._cancelled(archive, transfer.uuid, ended, cancelled)
                found = ended
        finally:
            source.close()
        return Uploaded(as_import(found, archive), self._server, patience)

    def _cancelled(self, archive: str, uuid: str | None, message: str, cancelled: threading.Event) -> Uploaded:
        report = make_report(uuid, archive, ImportState.CANCELLED, "cancelled", message)
        return Uploaded(report, self._server, Patience(cancelled, lambda _: None))


def as_import(found: Mapping[str, Any], archive: str) -> dict[str, Any]:
    """An import's object of the server as `scandock import` prints it, for the archive as it was named here."""
    shape = make_report(None, "", ImportState.FAILED, "", "")
    return {key: found.get(key, shape[key]) for key in shape} | {"archive": archive}

"""What becomes of an upload at the server: waited for, or ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from scandock.cli.upload_client.errors import ServerFailed
from scandock.cli.upload_client.server import (
    ImportJson,
    ServerAway,
    ServerRefusal,
    UploadJson,
    UploadServer,
    count_received,
)
from scandock.cli.upload_client.server_retry import ServerRetry, UploadCancelled
from scandock.model.errors import Fault
from scandock.model.import_types import STAGES, Progress
from scandock.model.sizes import format_size
from scandock.model.verdicts import UNFINISHED, ImportState

POLL_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Between two looks, from the first on; the last one stays."""
CANCEL_SECONDS: Final = 10.0
ASK_SECONDS: Final = 5.0


class OutcomeWaiter:
    """Looks at an import until it has ended; `on_progress` hears how far it is, `say` once what it waits for."""

    def __init__(
        self,
        server: UploadServer,
        retry: ServerRetry,
        uuid: str,
        on_progress: Callable[[Progress], None],
        say: Callable[[str], None],
    ) -> None:
        self._server = server
        self._patience = retry
        self._uuid = uuid
        self._tell = on_progress
        self._say = say

    def wait(self) -> ImportJson:
        """The import's object in its final state. Raises UploadCancelled, or Fault `import_unknown`."""
        poll_count, known_code = 0, ""
        while True:
            try:
                import_object = self._patience.call(lambda: self._server.read(self._uuid))
            except ServerRefusal as refusal:
                raise Fault(
                    refusal.code or ServerFailed.CODE,
                    f"What became of the upload {self._uuid} can't be told: {refusal.detail}",
                    "Look at the imports of the server.",
                ) from None
            if import_object["state"] not in UNFINISHED:
                return import_object
            self._tell(parse_progress(import_object))
            if import_object["code"] not in {"", known_code}:
                self._say(f"{import_object['message']} This command goes on waiting; Ctrl-C cancels the import.")
            known_code = import_object["code"]
            if self._patience.cancelled.wait(POLL_SECONDS[min(poll_count, len(POLL_SECONDS) - 1)]):
                raise UploadCancelled
            poll_count += 1


def parse_progress(import_object: ImportJson) -> Progress:
    """How far an import is, as the import's object says it."""
    progress = import_object.get("progress")
    stage = progress["stage"] if progress else None
    if progress is None or import_object["state"] != "running" or stage not in STAGES:
        return Progress(stage="waiting")
    entries, bytes_ = progress["entries"], progress["bytes"]
    assert entries is not None  # of every stage of an import
    return Progress(
        stage=stage,
        entries_done=entries["done"],
        entries_total=entries["total"],
        bytes_done=bytes_["done"],
        bytes_total=bytes_["total"],
        sessions=tuple(progress["sessions"]),
    )


def end_upload(server: UploadServer, uuid: str | None) -> ImportJson | str:
    """After Ctrl-C: cancel the import, or leave what was sent for going on. The import's object, or what to say.

    What the server does not answer within seconds is said to be unknown.
    """
    if uuid is None:
        return "Cancelled; nothing was sent."
    try:
        import_object = server.read(uuid, seconds=ASK_SECONDS)
        if import_object["state"] == "receiving":
            upload = _wait_for_rest(server, uuid)
            import_object = server.read(uuid, seconds=ASK_SECONDS)  # the rest may have been all that was missing
            if import_object["state"] == "receiving":
                return _kept_message(import_object, upload)
        if import_object["state"] in UNFINISHED:
            import_object = _cancel(server, uuid)
    except (ServerAway, ServerRefusal):
        return (
            "Cancelled here, but the server does not answer. "
            f"What it has of the upload {uuid} is kept: the same command goes on with it."
        )
    if import_object["state"] in UNFINISHED:
        return f"Cancelled here; the server has not ended the import {uuid} yet."
    if import_object["state"] == ImportState.CANCELLED and not import_object["message"]:
        import_object["message"] = "Cancelled; nothing of it is stored."
    return import_object


def _kept_message(import_object: ImportJson, upload: UploadJson | None) -> str:
    offset, total = count_received(import_object), import_object["size"]
    until = ""
    if upload is not None:
        offset = upload["offset"]
        if upload["expires"]:
            until = f" until {datetime.fromtimestamp(upload['expires'] / 1000).astimezone():%Y-%m-%d %H:%M}"
    return (
        f"Cancelled; the server keeps what it has of it ({format_size(offset)} of {format_size(total)}){until}: "
        "the same command goes on from there."
    )


def _wait_for_rest(server: UploadServer, uuid: str) -> UploadJson | None:
    """The upload, once the server has kept all that came of it; after some seconds as it is: a proxy may hold bytes."""
    deadline = time.monotonic() + ASK_SECONDS
    while True:
        upload = next((upload for upload in server.unfinished() if upload["id"] == uuid), None)
        if upload is None or not upload["receiving"] or time.monotonic() >= deadline:
            return upload
        time.sleep(POLL_SECONDS[1])


def _cancel(server: UploadServer, uuid: str) -> ImportJson:
    """Cancel, and wait for it; an import that is being placed already is waited for as well."""
    try:
        import_object = server.cancel(uuid, seconds=ASK_SECONDS)
    except ServerRefusal as refusal:
        if refusal.code not in {"import_placing", "import_ended"}:
            raise
        import_object = server.read(uuid, seconds=ASK_SECONDS)
    deadline = time.monotonic() + CANCEL_SECONDS
    while import_object["state"] in UNFINISHED and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS[1])
        import_object = server.read(uuid, seconds=ASK_SECONDS)
    return import_object

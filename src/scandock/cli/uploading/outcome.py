"""What becomes of an upload at the server: waited for, or ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from scandock.cli.plain import size
from scandock.cli.uploading.errors import ServerFailed
from scandock.cli.uploading.patience import Patience, Stopped
from scandock.cli.uploading.server import Away, Refusal, Server
from scandock.model.errors import Fault
from scandock.model.import_types import STAGES, Progress
from scandock.model.verdicts import UNFINISHED, ImportState

LOOK_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Between two looks, from the first on; the last one stays."""
CANCEL_SECONDS: Final = 10.0
ASK_SECONDS: Final = 5.0


class Outcome:
    """Looks at an import until it has ended; `tell` hears how far it is."""

    def __init__(self, server: Server, patience: Patience, uuid: str, tell: Callable[[Progress], None]) -> None:
        self._server = server
        self._patience = patience
        self._uuid = uuid
        self._tell = tell

    def wait(self) -> dict[str, Any]:
        """The import's object in its final state. Raises Stopped, or Fault `import_unknown`."""
        looks = 0
        while True:
            try:
                found = self._patience.until_answered(lambda: self._server.read(self._uuid))
            except Refusal as refusal:
                raise Fault(
                    refusal.code or ServerFailed.CODE,
                    f"What became of the upload {self._uuid} can't be told: {refusal.detail}",
                    "Look at the imports of the server.",
                ) from None
            if found["state"] not in UNFINISHED:
                return found
            self._tell(progress_of(found))
            if self._patience.cancelled.wait(LOOK_SECONDS[min(looks, len(LOOK_SECONDS) - 1)]):
                raise Stopped
            looks += 1


def progress_of(found: dict[str, Any]) -> Progress:
    """How far an import is, as the import's object says it."""
    said = found.get("progress") or {}
    stage = said.get("stage")
    if found["state"] != "running" or stage not in STAGES:
        return Progress(stage="waiting")
    entries, bytes_ = said["entries"], said["bytes"]
    return Progress(
        stage=stage,
        entries_done=entries["done"],
        entries_total=entries["total"],
        bytes_done=bytes_["done"],
        bytes_total=bytes_["total"],
        sessions=tuple(said["sessions"]),
    )


def end(server: Server, uuid: str | None) -> dict[str, Any] | str:
    """After Ctrl-C: cancel the import, or leave what was sent for going on. The import's object, or what to say.

    What the server does not answer within seconds is said to be unknown.
    """
    if uuid is None:
        return "Cancelled; nothing was sent."
    try:
        found = server.read(uuid, seconds=ASK_SECONDS)
        if found["state"] == "receiving":
            return _kept(server, found)
        if found["state"] in UNFINISHED:
            found = _cancel(server, uuid)
    except (Away, Refusal):
        return (
            "Cancelled here, but the server does not answer. "
            f"What it has of the upload {uuid} is kept: the same command goes on with it."
        )
    if found["state"] in UNFINISHED:
        return f"Cancelled here; the server has not ended the import {uuid} yet."
    if found["state"] == ImportState.CANCELLED and not found["message"]:
        found["message"] = "Cancelled; nothing of it is stored."
    return found


def _kept(server: Server, found: dict[str, Any]) -> str:
    done, whole = found["progress"]["bytes"]["done"], found["size"]
    until = ""
    for one in server.unfinished():
        if one["id"] == found["id"]:
            done = one["offset"]
            if one["expires"]:
                until = f" until {datetime.fromtimestamp(one['expires'] / 1000).astimezone():%Y-%m-%d %H:%M}"
    return (
        f"Cancelled; the server keeps what it has of it ({size(done)} of {size(whole)}){until}: "
        "the same command goes on from there."
    )


def _cancel(server: Server, uuid: str) -> dict[str, Any]:
    """Cancel, and wait for it; an import that is being placed already is waited for as well."""
    try:
        found = server.cancel(uuid, seconds=ASK_SECONDS)
    except Refusal as refusal:
        if refusal.code not in {"import_placing", "import_ended"}:
            raise
        found = server.read(uuid, seconds=ASK_SECONDS)
    deadline = time.monotonic() + CANCEL_SECONDS
    while found["state"] in UNFINISHED and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS[1])
        found = server.read(uuid, seconds=ASK_SECONDS)
    return found

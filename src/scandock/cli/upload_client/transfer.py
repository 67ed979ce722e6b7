"""One archive to the server: found there or begun, its bytes sent, and its outcome waited for."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import Any, Final, NoReturn

from scandock.cli.upload_client.errors import (
    LoginEnded,
    ProjectHidden,
    ServerFailed,
    UploadForbidden,
    UploadGone,
    UploadStuck,
)
from scandock.cli.upload_client.import_outcome import OutcomeWaiter
from scandock.cli.upload_client.server import ImportJson, ServerRefusal, ServerUpload, UploadServer, count_received
from scandock.cli.upload_client.server_retry import ServerRetry, UploadCancelled
from scandock.cli.upload_client.sources import Source, fingerprint
from scandock.model.dataclass import dataclass
from scandock.model.errors import BadInput, Fault, ScandockError, Usage
from scandock.model.import_types import Progress
from scandock.model.sizes import format_size

PART_BYTES: Final = 256 * 1024 * 1024
"""Bytes of one request."""
MIN_PART_BYTES: Final = 512 * 1024
LOST_CODES: Final = frozenset({"upload_expired", "upload_lost"})
"""Of uploads that have ended before they were whole, by nobody's wish."""
MAX_RESTARTS: Final = 3
"""How often an upload that is gone is begun anew."""
MAX_STUCK: Final = 20
"""Answers in a row that the offset is another one, after which it is no coincidence."""


class UploadClaims:
    """The uploads at the server that this command has to do with: an archive that is named twice goes up twice."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self.lock = threading.Lock()
        """Held from looking for an upload until it is taken."""

    def take(self, upload_id: str) -> bool:
        """True for the first who asks."""
        new = upload_id not in self._ids
        self._ids.add(upload_id)
        return new


class UploadMissing(Exception):
    """The upload is not at the server any more."""


@dataclass
class Transfer:
    """Sends one archive. `tell` hears how far it is."""

    server: UploadServer
    source: Source
    fields: Mapping[str, str]
    claims: UploadClaims
    patience: ServerRetry
    say: Callable[[str], None]
    tell: Callable[[Progress], None]
    part: int = PART_BYTES
    uuid: str | None = None
    """The upload at the server, once there is one."""
    _begun: float = field(default_factory=time.monotonic)

    def run(self) -> ImportJson:
        """The import's object in its final state. Raises Stopped, or the sentence of what went wrong."""
        for _ in range(MAX_RESTARTS):
            with self.claims.lock:
                upload = self._find() or self._create()
            self.uuid = upload.id
            try:
                self._send(upload.offset)
                import_object = OutcomeWaiter(self.server, self.patience, upload.id, self._tell_of, self.say).wait()
                if import_object["code"] not in LOST_CODES:
                    return import_object
            except UploadMissing:
                pass  # as if it had expired
            self.say("The upload is not at the server any more; beginning anew.")
        raise UploadGone

    def _find(self) -> ServerUpload | None:
        """The upload of this very archive and request that an earlier call has begun."""
        mark = self._fingerprint
        for upload in self._ask(self.server.unfinished):
            if upload["fingerprint"] == mark and upload["size"] == self.source.size and self.claims.take(upload["id"]):
                bytes_done, bytes_total = format_size(upload["offset"]), format_size(self.source.size)
                self.say(f"Going on with what was begun before: {bytes_done} of {bytes_total} are there.")
                return ServerUpload(upload["id"], upload["offset"])
        return None

    @property
    def _fingerprint(self) -> str:
        return fingerprint(self.source, self.fields)

    def _create(self) -> ServerUpload:
        metadata = {**self.fields, "filename": self.source.name, "fingerprint": self._fingerprint}
        key = str(uuid.uuid4())
        upload: ServerUpload = self._ask(lambda: self.server.create(self.source.size, metadata, key))
        self.claims.take(upload.id)
        return upload

    # -- bytes ---------------------------------------------------------------------------------------------------

    def _send(self, offset: int) -> None:
        """Send what the server lacks; it says itself where that begins, after whatever went wrong."""
        known_offset: int | None = offset
        stuck_count = 0

        def step() -> int | None:
            """One request; the offset behind it, None where that has to be asked for."""
            nonlocal known_offset
            position, known_offset = known_offset, None
            if position is None:
                position = self._kept()
            if position >= self.source.size:
                return position
            return self._part(position)

        while known_offset is None or known_offset < self.source.size:
            previous_offset = known_offset
            known_offset = self._ask(step)
            stuck_count = 0 if known_offset is not None and known_offset != previous_offset else stuck_count + 1
            if stuck_count > MAX_STUCK:
                raise UploadStuck

    def _kept(self) -> int:
        """Bytes that the server has; the whole size once it has accepted the upload, or given it up."""
        import_object = self.server.read(_require_uuid(self.uuid))
        return count_received(import_object) if import_object["state"] == "receiving" else self.source.size

    def _part(self, position: int) -> int | None:
        length = min(self.part, self.source.size - position)
        try:
            return self.server.send(_require_uuid(self.uuid), position, length, self._pieces(position, length))
        except ServerRefusal as refusal:
            if refusal.code in {"tus_offset", "tus_too_long"}:
                return None
            if refusal.code == "upload_stopped":
                return self.source.size  # cancelled by somebody: the outcome says it
            if (
                refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                and not refusal.code
                and self.part > MIN_PART_BYTES
            ):
                self.part = max(MIN_PART_BYTES, self.part // 8)  # a proxy's limit for one request
                return None
            raise

    def _pieces(self, position: int, length: int) -> Iterator[bytes]:
        for piece in self.source.read(position, length):
            if self.patience.cancelled.is_set():
                raise UploadCancelled
            yield piece
            position += len(piece)
            self._tell_of(Progress(stage="sending", bytes_done=position, bytes_total=self.source.size))

    def _tell_of(self, moment: Progress) -> None:
        """Pass on how far it is, with the seconds since the archive's turn came."""
        self.tell(
            Progress(
                stage=moment.stage,
                entries_done=moment.entries_done,
                entries_total=moment.entries_total,
                bytes_done=moment.bytes_done,
                bytes_total=moment.bytes_total,
                sessions=moment.sessions,
                seconds=time.monotonic() - self._begun,
            )
        )

    def _ask(self, attempt: Callable[[], Any]) -> Any:  # noqa: ANN401
        try:
            return self.patience.call(attempt)
        except ServerRefusal as refusal:
            if refusal.code in {"import_unknown", *LOST_CODES}:
                raise UploadMissing from None
            raise_meant(refusal, self.server, self.fields.get("project"))


def raise_meant(refusal: ServerRefusal, server: UploadServer, project: str | None) -> NoReturn:
    """Raise what a refusal means to the person at the command line."""
    detail, remedy = refusal.detail, refusal.remedy
    kinds: dict[str, ScandockError] = {
        "project_unknown": ProjectHidden(detail, "Check the id, or ask an owner of the project."),
        "forbidden": UploadForbidden(
            f"You may not upload to {f'the project {project}' if project else server.url}.",
            "Ask an owner of the project for the role of a member; a token needs the scope upload or all.",
        ),
        "upload_too_large": BadInput(refusal.code, detail, remedy),
        "disk_full": Fault(refusal.code, f"The server has no space for it: {detail}", remedy),
    }
    if refusal.code in kinds:
        raise kinds[refusal.code]
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        raise LoginEnded(server.url)
    if refusal.code and refusal.code != "internal" and refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Usage(refusal.code, detail, remedy)
    raise Fault(refusal.code or ServerFailed.CODE, detail, remedy or "Try again, or ask who runs the server.")


def _require_uuid(uuid: str | None) -> str:
    assert uuid is not None
    return uuid

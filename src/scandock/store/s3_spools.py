"""Spools of a store in a bucket: parts, noted in rows as soon as the bucket has them, whichever host took them."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final

from scandock.model.errors import TokenLost
from scandock.store import paths
from scandock.store.errors import SpoolTaken
from scandock.store.part_spools import Part, PartSpool, end_of
from scandock.store.s3_deletion import check_owner, delete_due

if TYPE_CHECKING:
    from scandock.formats.parts_source import PartsSource
    from scandock.store.bucket import Bucket
    from scandock.store.local import LocalStore
    from scandock.store.memory_budget import MemoryBudget
    from scandock.store.s3_rows import ObjectRows

NOTE_BYTES: Final = 64 * 1024 * 1024
"""Bytes after which parts are noted unasked, so that little is sent again where a host dies."""
_CHUNK: Final = 8 * 1024 * 1024


class S3Spool:
    """See handles.Spool. For one thread at a time."""

    def __init__(
        self,
        local: LocalStore,
        bucket: Bucket,
        rows: ObjectRows,
        upload: str,
        memory: MemoryBudget,
        *,
        garbage_ms: int,
        erases: bool,
    ) -> None:
        """`memory`: what all uploads of the process share. `garbage_ms`: how long parts outlive what names them, unless
        what arrives is erased (`erases`).
        """
        self.upload = paths.label(upload)
        self._local = local
        self._bucket = bucket
        self._rows = rows
        self._memory = memory
        self.grace_ms = 0 if erases else garbage_ms
        """How long a part outlives what names it."""
        self._erases = erases
        self._writer = ""
        self._spool: PartSpool | None = None
        self._noted: tuple[Part, ...] = ()
        self._source: PartsSource | None = None

    def hold(self) -> bool:
        """Be the one who notes parts: who wrote before is told so at its next note."""
        self._become_writer()
        return True

    def _become_writer(self) -> None:
        if not self._writer:
            check_owner(self._bucket, self._rows)  # nothing is acknowledged that a restored catalog would not know
            self._writer = os.urandom(8).hex()
            self._rows.hold_spool(self.upload, self._writer)

    def _open(self) -> PartSpool:
        if self._spool is None:
            self._noted = tuple(self._rows.parts(self.upload))
            self._spool = PartSpool(self._bucket, self.upload, self._noted, memory=self._memory)
        return self._spool

    def append(self, offset: int, data: bytes | memoryview) -> int:
        self._become_writer()
        spool = self._open()
        try:
            size = spool.append(offset, data)
        except ValueError:
            raise
        except BaseException:
            self._forget()
            raise
        if spool.stored - end_of(self._noted) >= NOTE_BYTES:
            self._note(spool)
        return size

    def sync(self) -> int:
        spool = self._spool
        if spool is None:  # all that is known is noted
            return self.size()
        try:
            size = spool.sync()
        except BaseException:
            self._forget()
            raise
        self._note(spool)
        return size

    def _note(self, spool: PartSpool) -> None:
        parts = spool.parts
        if parts != self._noted:
            try:
                self._note_parts(parts)
            except TokenLost as error:
                self._forget()
                raise SpoolTaken(self.upload) from error
            except BaseException:
                self._forget()
                raise
            self._noted = parts

    def _note_parts(self, parts: tuple[Part, ...]) -> None:
        count = len(self._noted)
        if parts[:count] == self._noted:  # nearly always: nothing that is noted is read again
            self._rows.add_parts(self.upload, self._writer, parts[count:])
        else:
            self._rows.note_parts(self.upload, self._writer, self._noted, parts, grace_ms=self.grace_ms)

    def _forget(self) -> None:
        """Know nothing of what was not noted: the next to ask looks at the rows."""
        self._close_source()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _read(self) -> PartsSource:
        """What was sent so far, noted or not."""
        spool = self._open()
        if spool.size() > spool.stored:
            self.sync()
        if self._source is None or self._source.size != spool.size():
            self._close_source()
            self._source = spool.source()
        if not spool.size():
            raise FileNotFoundError(2, "Nothing has come", self.upload)
        return self._source

    def read_at(self, offset: int, length: int) -> bytes:
        return self._read().read_at(offset, length)

    def readinto_at(self, view: memoryview, offset: int) -> int:
        return self._read().readinto_at(offset, view)

    def size(self) -> int:
        if self._spool is not None:
            return self._spool.size()
        return end_of(self._rows.parts(self.upload))

    def local_path(self) -> str | None:
        return None

    def reference(self, scratch: str) -> str:
        """See handles.Spool."""
        from scandock.store.sources import format_reference

        with open(scratch, "w", encoding="utf-8") as file:
            bucket = self._bucket
            parts = [[part.key, part.length] for part in self._rows.parts(self.upload)]
            json.dump([bucket.name, bucket.prefix, bucket.endpoint, bucket.region, parts], file)
        return format_reference(scratch)

    def bring(self) -> None:
        with contextlib.closing(self._local.spool(self.upload)) as received:
            size = received.size()
            if not size or self.size() == size:
                return
            at = 0
            while chunk := received.read_at(at, _CHUNK):
                at = self.append(at, chunk)
        self.sync()

    def discard(self, *, erase: bool = False) -> None:
        self._forget()
        self._rows.drop_spool(self.upload, grace_ms=0 if erase else self.grace_ms)
        self._local.spool(self.upload).discard()  # where objects were received one by one
        if self._erases:
            delete_due(self._bucket, self._rows)

    def close(self) -> None:
        self._forget()
        self._writer = ""

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

"""Object spools of an object store: each sync puts what came since the last one into the bucket and notes it.

So what was acknowledged is on no host alone, and any may go on with it: by the token of its row, `spool_writer`, one
alone notes parts. A host that another one has replaced is told so at its next sync.
"""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from isal import isal_zlib

from scandock.formats.parts_source import PartsSource
from scandock.model.errors import TokenLost
from scandock.store import paths
from scandock.store.durability import disk_fault
from scandock.store.errors import SpoolClosed, SpoolTaken
from scandock.store.object_spools import LocalObjectFile, LocalObjectSpool
from scandock.store.part_spools import PART, Part, PartSpool, put_part
from scandock.store.s3_deletion import check_owner
from scandock.store.zip_entries import Entry, local_header, make_directory, read_entry, walk_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor
    from typing import Literal

    from scandock.store.bucket import Bucket
    from scandock.store.memory_budget import MemoryBudget
    from scandock.store.port import ObjectFile
    from scandock.store.root import Root
    from scandock.store.s3_rows import ObjectRows
    from scandock.store.s3_spools import S3Spool

FEW_PARTS: Final = 16
"""Parts that a finished spool may have, however small they are; of more, neighbors are put together."""
_READ_AT_ONCE: Final = 8
"""Parts that are read at once to be put together."""
_BLOCK: Final = 1024 * 1024
_KEPT_BLOCKS: Final = 3


class _Placed(NamedTuple):
    """Bytes that are in the bucket already, and get their place in the spool by the next sync."""

    parts: tuple[Part, ...]
    """One behind the other from 0 on."""
    length: int


class S3ObjectSpool:
    """See handles.ObjectSpool. What was not synced is in memory alone; what was is noted."""

    def __init__(
        self, root: Root, bucket: Bucket, rows: ObjectRows, spool: S3Spool, writer: str, memory: MemoryBudget
    ) -> None:
        """`writer`: who may note parts, as its row says; empty: whoever opens it becomes that. `memory`: what all
        uploads of the process share, here for objects that come in files.
        """
        self.upload = spool.upload
        self._root = root
        self._bucket = bucket
        self._rows = rows
        self._spool = spool
        self._writer = writer
        self._is_checked = False
        """Whether the bucket was seen to be this catalog's."""
        self._memory = memory
        self._finishing = threading.Lock()
        self._syncing = threading.Lock()
        self._appending = threading.Lock()
        """Taken in this order. Who appends never waits for the bucket."""
        self._closed: Literal["", "failed", "finished", "discarded", "taken"] = ""
        self._pending: list[bytes | _Placed] = []
        """What no sync has covered, in its order."""
        self._noted: list[Part] = []
        self._entries: list[Entry] = []
        self._synced_entries = 0
        self._finished: int | None = None
        self.size = 0
        self.synced = 0

    @property
    def entries(self) -> int:
        return len(self._entries)

    @property
    def beside(self) -> int:
        return 0

    def append(self, name: str, parts: Sequence[bytes | memoryview]) -> int:
        content = b"".join(parts)
        crc = isal_zlib.crc32(content)
        header = local_header(name, crc, len(content))
        with self._appending:
            self._check_open()
            at = self.size
            data_at = at + len(header)
            self._pending.append(header + content)
            return self._add(Entry(name.encode("ascii"), crc, len(content), at, data_at))

    def append_file(self, file: ObjectFile) -> int:
        """See handles.ObjectSpool: its bytes are sent before it gets its place, so that smaller ones need not wait."""
        assert isinstance(file, LocalObjectFile)
        with self._appending:
            self._check_open()
        try:
            file.write_header()
            entry = read_entry(lambda length, offset: os.pread(file.fd, length, offset), 0, file.end)
            assert entry is not None
            parts = self._send_file(file)
        except OSError as error:
            raise disk_fault(error, f"receiving upload {self.upload}") from error
        with self._appending:
            self._check_open()
            at = self.size
            self._pending.append(_Placed(parts, file.end))
            end = self._add(entry._replace(header_at=at, data_at=at + entry.data_at))
        self.sync(end)
        return end

    def _send_file(self, file: LocalObjectFile) -> tuple[Part, ...]:
        """Its bytes as parts, in the memory that all uploads share. OSError; Fault `store_failed`."""
        with closing(PartSpool(self._bucket, self.upload, memory=self._memory)) as sent:
            while sent.size() < file.end:
                piece = os.pread(file.fd, min(_BLOCK, file.end - sent.size()), sent.size())
                if not piece:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                sent.append(sent.size(), piece)
            sent.sync()
            return sent.parts

    def _add(self, entry: Entry) -> int:
        self._entries.append(entry)
        self.size = entry.end
        return self.size

    def sync(self, end: int) -> None:
        if self.synced >= end:
            return
        with self._syncing:
            if self.synced < end:
                self._sync()

    def _sync(self, *, closed: bool = False) -> None:
        with self._appending:
            self._check_open(closed=closed)
            pending, self._pending = self._pending, []
            covered, entries = self.size, len(self._entries)
        try:
            self._become_writer()
            parts = list(self._send(pending))
            self._rows.add_parts(self.upload, self._writer, parts)
        except TokenLost as error:
            self._end("taken")
            raise SpoolTaken(self.upload) from error
        except BaseException:
            self._end("failed")
            raise
        self._noted += parts
        self.synced, self._synced_entries = covered, entries

    def _send(self, pending: Sequence[bytes | _Placed]) -> Iterator[Part]:
        """Put what is in memory into the bucket, as few parts; the parts of all of it, from what is noted on."""
        at, waiting = self.synced, bytearray()
        for piece in pending:
            if isinstance(piece, bytes):
                waiting += piece
            if waiting and (len(waiting) >= PART or not isinstance(piece, bytes)):
                yield self._put(at, bytes(waiting))
                at += len(waiting)
                waiting.clear()
            if isinstance(piece, _Placed):
                for part in piece.parts:
                    yield part._replace(at=at + part.at)
                at += piece.length
        if waiting:
            yield self._put(at, bytes(waiting))

    def _put(self, at: int, content: bytes) -> Part:
        return put_part(self._bucket, self.upload, at, content)

    def _become_writer(self) -> None:
        if not self._is_checked:
            check_owner(self._bucket, self._rows)  # nothing is acknowledged that a restored catalog would not know
            self._is_checked = True
        if not self._writer:
            self._writer = os.urandom(8).hex()
            self._rows.hold_spool(self.upload, self._writer)

    def _end(self, reason: Literal["failed", "taken"]) -> None:
        """Take nothing more, and keep what earlier syncs have covered."""
        with self._appending:
            self._closed, self._finished = reason, None
            self._drop_pending()

    def _drop_pending(self) -> None:
        self._pending = []
        del self._entries[self._synced_entries :]
        self.size = self.synced

    def cut(self) -> int:
        with self._finishing, self._syncing, self._appending:
            self._finished = None
            self._drop_pending()
            return self.size

    def recover(self) -> int:
        """See handles.ObjectSpool: what is noted is whole, whichever host noted it. The caller alone may note parts."""
        with self._finishing, self._syncing, self._appending:
            self._bring_local()
            self._become_writer()
            noted = self._noted = self._rows.parts(self.upload)
            with self._open_parts() as source:
                entries = walk_entries(lambda length, at: source.read_at(at, length), source.size, check=False)
                self._entries = list(entries)
            self.size = self.synced = self._entries[-1].end if self._entries else 0
            self._noted = [
                part._replace(length=min(part.length, self.synced - part.at))
                for part in self._noted
                if part.at < self.synced
            ]
            if self._noted != noted:  # a directory, which nobody may have read: its import has not begun
                self._rows.note_parts(self.upload, self._writer, noted, self._noted, grace_ms=self._spool.grace_ms)
            self._synced_entries = len(self._entries)
            self._pending = []
            self._finished = None
            return self.entries

    def _bring_local(self) -> None:
        """Bring what this host has received into a folder, before its site was moved into a bucket."""
        if not self._root.list(paths.spool_folder(self.upload)):
            return
        with closing(LocalObjectSpool(self._root, self.upload)) as received:
            received.recover()
            received.finish()
        with closing(self._spool) as spool:
            spool.bring()
        self._writer = ""  # until now it was who brought them

    def _open_parts(self) -> PartsSource:
        parts = [(part.key, part.length) for part in self._noted]
        return PartsSource(parts, self._bucket.get_range, block=_BLOCK, kept=_KEPT_BLOCKS)

    def finish(self) -> int:
        with self._finishing:
            with self._appending:
                if self._closed in ("discarded", "taken"):
                    self._check_open()
                if self._finished is not None:
                    return self._finished
                self._closed = self._closed or "finished"
            with self._syncing:
                if self._pending:
                    self._sync(closed=True)
                self._finished = self._write_directory()
            return self._finished

    def _write_directory(self) -> int:
        """Note the whole zip in place of what is noted, which a sync that has failed may have noted more of."""
        content = b"".join(make_directory(self._entries, self.size))
        self._become_writer()
        noted = self._rows.parts(self.upload)
        parts = [*self._join(self._noted), self._put(self.size, content)]
        try:
            self._rows.note_parts(self.upload, self._writer, noted, parts, grace_ms=self._spool.grace_ms)
        except TokenLost as error:
            self._end("taken")
            raise SpoolTaken(self.upload) from error
        self._noted = parts
        return self.size + len(content)

    def _join(self, parts: Sequence[Part]) -> Iterator[Part]:
        """Few parts in place of many small ones, in which imports would have to read object by object."""
        if len(parts) <= FEW_PARTS:
            yield from parts
            return
        group: list[Part] = []
        with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="join") as pool:
            for part in parts:
                if group and part.at + part.length - group[0].at > PART:
                    yield self._join_group(pool, group)
                    group = []
                group.append(part)
            yield self._join_group(pool, group)

    def _join_group(self, pool: Executor, group: Sequence[Part]) -> Part:
        if len(group) == 1:
            return group[0]
        contents = pool.map(lambda part: self._bucket.get_range(part.key, 0, part.length), group)
        return self._put(group[0].at, b"".join(contents))

    def read_first(self, length: int) -> bytes:
        with self._syncing, self._appending:
            if not self._entries:
                return b""
            first = self._entries[0]
            count = min(length, first.size)
            if self.synced:
                with self._open_parts() as source:
                    return source.read_at(first.data_at, count)
            (content, *_) = self._pending
            assert isinstance(content, bytes)  # an object of a file is synced where it has its place
            return content[first.data_at : first.data_at + count]

    def discard(self) -> None:
        with self._finishing, self._syncing, self._appending:
            self._closed = "discarded"
            self._drop_pending()
            self._spool.discard()

    def close(self) -> None:
        """Nothing is open between its calls."""

    def _check_open(self, *, closed: bool = False) -> None:
        if self._closed == "taken":
            raise SpoolTaken(self.upload)
        if self._closed and not closed:
            raise SpoolClosed(self.upload)

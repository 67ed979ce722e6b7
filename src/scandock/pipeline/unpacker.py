"""Step 2: an archive as a stream of entries, archives inside archives included. Runs in reader processes.

A container is walked to its end whatever single entries are: a damaged, encrypted or unknown entry is told by name and
costs its container, judged later (rules.md, "Which entries are images", 5). A limit stops everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from scandock.formats.display_names import decode_file_name, display_name, quote
from scandock.formats.errors import ArchiveTruncated, NotAnArchive, ReadFailed
from scandock.formats.kinds import ARCHIVES, STREAMS, Kind, kind_of
from scandock.formats.meter import Meter
from scandock.formats.source import AGAIN, FileSource, MemorySource, SliceSource, Source
from scandock.formats.stream import ByteStream, open_stream
from scandock.formats.tar import TarKind, TarMember, read_members
from scandock.formats.zip_directory import ZipEntry, read_directory
from scandock.formats.zip_entry import WHOLE, ZipEntryReader
from scandock.model.entry import Container, ordinal
from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits
from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.pipeline.staging import StagedFile, StageFiles, scratch_path, stage_stream
from scandock.rules.layout import EntryLayout
from scandock.store.paths import INNER, path_below
from scandock.store.sources import open_source

SPLIT_BYTES = 64 * 1024 * 1024
"""An inner zip that unpacks to more than this is given back, to be spread over the readers."""

CHUNK = 1024 * 1024
_MAGICS = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class EntryHandler(Protocol):
    """What is done with each entry: it is read for an import (`EntryReader`), or written elsewhere without one."""

    @property
    def stage(self) -> StageFiles:
        """Where archives inside archives are written that are too large for memory."""

    @property
    def emitted(self) -> int:
        """Entries told of so far."""

    @property
    def others(self) -> int:
        """Those among them that are neither images nor promise to be."""

    def place(self, name: str) -> EntryLayout:
        """What the folders of an entry's name say."""

    def is_image(self, head: Buffer) -> bool:
        """Whether these first bytes begin an image."""

    def take(
        self, number: bytes, prefix: str, name: str, body: EntryBody, container: bytes, *, unpacked: bool = False
    ) -> None:
        """Take one entry that is no archive to be opened; `unpacked` says that it was compressed by itself."""

    def special(self, number: bytes, path: str, name: str) -> None:
        """A link, device or pipe."""

    def refuse(self, number: bytes, path: str, size: int, code: str, message: str) -> None:
        """An entry that costs its archive: damaged, encrypted or of an unknown method."""

    def refuse_inner(self, number: bytes, path: str, body: EntryBody, code: str, message: str) -> None:
        """An inner archive that can't be opened: it costs itself alone."""

    def keep_inner_archive(
        self, number: bytes, prefix: str, name: str, body: EntryBody | StagedFile, container: bytes
    ) -> bool:
        """An inner archive in which no image was met. True where its staged file is used from now on."""


class ReaderControl(Protocol):
    """What the walk tells the process that it runs in."""

    def begin(self, number: bytes, path: str) -> bool:
        """Whether to read this entry now (False: already done by a reader that died, or deadly)."""

    def wants_inside(self, number: bytes) -> bool:
        """Whether anything in the container with this number is still to be read."""

    def announce(self, container: Container) -> None:
        """A container that other readers should share."""

    def damaged(self, container: bytes, code: str, message: str) -> None:
        """The rest of a container can't be read."""

    def note(self, code: str, message: str) -> None:
        """Something worth a warning."""


class Unpacker:
    """Walks containers, or ranges of their entries, and hands each entry to the reader."""

    def __init__(self, reader: EntryHandler, meter: Meter, limits: Limits, control: ReaderControl) -> None:
        self.reader = reader
        self.meter = meter
        self.limits = limits
        self.control = control
        self.zip_reader = ZipEntryReader(limits)

    # -- zip -----------------------------------------------------------------------------------------------------

    def zip_entries(self, container: Container, source: Source, entries: Iterable[ZipEntry]) -> None:
        """Read these entries of a zip."""
        for entry in entries:
            self.meter.entry()
            if entry.is_dir:
                continue
            number = ordinal(container.ordinal, entry.index)
            name = entry.name
            if not self._wanted(number, container.prefix + name):
                continue
            if entry.special:
                self.reader.special(number, container.prefix + name, name)
                continue
            try:
                self._zip_entry(container, source, entry, number, name)
            except LimitExceeded:
                raise
            except BadInput as error:
                self.reader.refuse(number, container.prefix + name, 0, error.code, error.message)

    def _zip_entry(self, container: Container, source: Source, entry: ZipEntry, number: bytes, name: str) -> None:
        if entry.usize <= WHOLE:
            body = EntryBody(self.zip_reader.whole(source, entry))
            self.meter.unpacked(entry.usize)
        else:
            self.meter.entry_bytes(container.prefix + name, entry.usize)
            body = EntryBody(None, lambda: self._metered(self.zip_reader.stream(source, entry)))
        self._dispatch(container, number, name, body)

    def _metered(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            self.meter.unpacked(len(chunk))
            yield chunk

    # -- tar and single compressed files -------------------------------------------------------------------------

    def stream(self, container: Container, source: Source, original: Callable[[], EntryBody] | None) -> bool:
        """Read a tar, a compressed tar, or one compressed object (rules.md, images 4); True for a tar that is whole.

        `original` gives the container's own bytes again, for the case that it is no archive but a file; None for the
        upload itself, which then is refused.
        """
        kind = Kind(container.kind)
        counted = self.meter.unpacked if kind in STREAMS else None
        before = self.reader.emitted
        stream = open_stream(source, kind, self.limits, counted, ahead=container.depth == 1)
        try:
            head = stream.peek_before_damage(CHUNK)
            inner = kind_of(head, len(head)) if kind in STREAMS else kind
            if inner is Kind.TAR:
                self._tar(container, stream)
            elif inner in (Kind.DICOM, Kind.ECAT) or (kind in STREAMS and self.reader.is_image(head)):
                self._single(container, stream)
            else:
                stream.check_peeked()
                self._opaque(container, original)
                return False
            for note in stream.notes:
                self.control.note("archive_note", f"{display_name(container.name)}: {note}")
            return inner is Kind.TAR
        except LimitExceeded:
            raise
        except BadInput as error:
            if original is None or self.reader.emitted > before:
                self.control.damaged(container.ordinal, error.code, f"{quote(container.name)}: {error.message}")
            elif self.control.begin(container.ordinal, container.name):
                self.reader.refuse_inner(container.ordinal, container.name, original(), error.code, error.message)
            return False

    def _tar(self, container: Container, stream: ByteStream) -> None:
        plain = container.kind == Kind.TAR
        for member in read_members(stream, self.limits):
            self.meter.entry()
            if member.kind is TarKind.DIR:
                continue
            number = ordinal(container.ordinal, member.index)
            path = container.prefix + member.name
            if not self._wanted(number, path):
                continue
            if member.kind is TarKind.SPECIAL:
                self.reader.special(number, path, member.name)
                continue
            self.meter.entry_bytes(path, member.size)
            self._dispatch(container, number, member.name, self._tar_body(member, is_counted=not plain))

    def _tar_body(self, member: TarMember, *, is_counted: bool) -> EntryBody:
        """The bytes of a member; `is_counted`: they were as they were decompressed, else they are as they are read."""
        if member.size > WHOLE:
            chunks = partial(member.chunks, CHUNK)
            return EntryBody(None, chunks if is_counted else lambda: self._metered(chunks()))
        data = member.read(member.size)
        if not is_counted:
            self.meter.unpacked(member.size)
        return EntryBody(data)

    def _single(self, container: Container, stream: ByteStream) -> None:
        path = container.name
        self.meter.entry()
        number = container.ordinal or ordinal(b"", 0)
        if self.control.begin(number, path):
            body = EntryBody(None, lambda: _rest(stream))
            self.reader.take(number, "", path, body, number[:-4], unpacked=True)
        stream.drain()

    def _opaque(self, container: Container, original: Callable[[], EntryBody] | None) -> None:
        path = container.name
        if original is None:
            raise NotAnArchive(
                f"{quote(path)} is compressed, but holds neither an archive nor an image.",
                "Upload a .zip or .tar.gz of a session.",
            )
        if self.control.begin(container.ordinal, path):
            self.reader.take(container.ordinal, "", path, original(), container.ordinal[:-4])

    # -- folders and single files --------------------------------------------------------------------------------

    def files(self, container: Container, listing: Iterable[tuple[int, str, int]]) -> None:
        """Read files of a folder, (index, path below the folder, size), or the one object that the container is."""
        for index, file, _ in listing:
            self.meter.entry()
            number, name = ordinal(container.ordinal, index), decode_file_name(file)
            if not self._wanted(number, container.prefix + name):
                continue
            full = os.path.join(container.file, file) if container.kind == "folder" else container.file
            try:
                source = open_source(full)
            except OSError:
                self.reader.refuse(
                    number, container.prefix + name, 0, "unreadable", "The file can't be read from the disk."
                )
                continue
            try:
                self.meter.unpacked(source.size)
                if source.size <= WHOLE:
                    body = EntryBody(source.read_at(0, source.size))
                else:
                    body = EntryBody(None, lambda s=source: _file_chunks(s))  # type: ignore[misc]
                self._dispatch(container, number, name, body)
            except LimitExceeded:
                raise
            except BadInput as error:
                self.reader.refuse(number, container.prefix + name, 0, error.code, error.message)
            finally:
                source.close()

    # -- archives inside archives --------------------------------------------------------------------------------

    def _wanted(self, number: bytes, path: str) -> bool:
        return self.control.begin(number, path) or self.control.wants_inside(number)

    def _dispatch(self, container: Container, number: bytes, name: str, body: EntryBody) -> None:
        head = body.head()
        if bytes(head[128:132]) != b"DICM" and not self.reader.place(name).is_resource_folder:
            kind = _inner_kind(head, name)
            if kind is not None:
                self._inner(container, number, name, body, kind)
                return
        self.reader.take(number, container.prefix, name, body, container.ordinal)

    def _inner(self, outer: Container, number: bytes, name: str, body: EntryBody, kind: Kind) -> None:
        path = outer.prefix + name
        reader = self.reader
        emitted, others = reader.emitted, reader.others
        if (data := body.whole) is not None:
            inner = Container(number, path + "!", "", 0, len(data), str(kind), outer.depth + 1, path)
            with self.zip_reader.keep_buffers():
                walked = self._open(inner, MemorySource(data), lambda: EntryBody(data))
                if walked and 0 < reader.emitted - emitted == reader.others - others:
                    reader.keep_inner_archive(number, outer.prefix, name, EntryBody(data), outer.ordinal)
            return
        staged = stage_stream(
            reader.stage, body, path_below(INNER, number.hex()), lambda size: self.meter.entry_bytes(path, size)
        )
        file = scratch_path(reader.stage, staged.staged)
        inner = Container(number, path + "!", file, 0, staged.size, str(kind), outer.depth + 1, path)
        with FileSource(file) as spool:
            walked = self._open(inner, spool, lambda: EntryBody(None, lambda: _file_chunks(spool)))
        stays = walked is None
        if walked is None or (walked and 0 < reader.emitted - emitted == reader.others - others):
            stays |= reader.keep_inner_archive(number, outer.prefix, name, staged, outer.ordinal)
        if not stays:
            reader.stage.remove(staged.staged)

    def _open(self, inner: Container, source: Source, original: Callable[[], EntryBody]) -> bool | None:
        """Walk an inner archive; True where it was walked to its end, None where it was given back to be shared.

        One that can't be opened costs itself.
        """
        try:
            self.meter.depth(inner.name, inner.depth)
            if Kind(inner.kind) in STREAMS or Kind(inner.kind) is Kind.TAR:
                return self.stream(inner, source, original)
            directory = read_directory(source, self.limits)
        except LimitExceeded:
            raise
        except BadInput as error:
            if self.control.begin(inner.ordinal, inner.name):
                self.reader.refuse_inner(inner.ordinal, inner.name, original(), error.code, error.message)
            return False
        for note in directory.notes:
            self.control.note("archive_note", f"{display_name(inner.name)}: {note}")
        if not directory.entries:
            self.control.note("inner_empty", f"{display_name(inner.name)} is an empty archive.")
        if inner.file and directory.entries and directory.entries.sums()[-1] > SPLIT_BYTES:
            self.control.announce(inner)
            return None
        self.zip_entries(inner, source, directory.entries)
        return True


def _inner_kind(head: Buffer, name: str) -> Kind | None:
    start = bytes(head[:5])
    if start.startswith(_MAGICS) or bytes(head[257:262]) == b"ustar" or name.lower().endswith(".tar"):
        kind = kind_of(head, len(head))
        return kind if kind in ARCHIVES or kind in STREAMS else None
    return None


def _rest(stream: ByteStream) -> Iterator[Buffer]:
    while view := stream.take(CHUNK):
        yield view


def _file_chunks(source: Source) -> Iterator[Buffer]:
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    at = 0
    while at < source.size:
        got = source.readinto_at(at, view[: min(CHUNK, source.size - at)])
        if got <= 0:
            raise ArchiveTruncated("The file became shorter while it was read.", "Upload it again.")
        yield view[:got]
        at += got


@contextmanager
def open_container(container: Container) -> Iterator[Source]:
    """The bytes of a container that lies in a file. Fault `read_failed` where that is gone, or shorter than it was."""
    try:
        whole = open_source(container.file)
    except OSError as error:
        message = f"{quote(container.name)} can't be opened any more: {error.strerror}."
        raise ReadFailed(message, AGAIN, quotes=True) from error
    with whole:
        if container.offset + container.size > whole.size:
            raise whole.cut()
        if container.offset == 0 and container.size == whole.size:
            yield whole
        else:
            yield SliceSource(whole, container.offset, container.size)

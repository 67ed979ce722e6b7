"""An entry on its way through a reader: its number and names, its bytes, and what is told of it."""

from __future__ import annotations

import hashlib
from typing import Protocol

from scandock.formats.dicom_tally import Tally
from scandock.formats.kinds import foreign, kind_of
from scandock.formats.meter import Meter
from scandock.model.entry import Content, Entry
from scandock.pipeline.body import Body, Buffer
from scandock.pipeline.keep import Keeper, Kept, keep_stream, keep_whole
from scandock.rules.junk import junk_code, named_like_image
from scandock.rules.layout import Place, place_of
from scandock.store.paths import LOOSE, NOWHERE, RelPath, below, spare

LONG_FOLDER = 1024
"""Folder names beyond this are read anew each time, so that hostile ones take no memory."""
_OTHERS = frozenset({Content.LOOSE, Content.JUNK, Content.SPECIAL})
INNER = "inner"
"""`Entry.facts` of an inner archive that may be kept whole."""


class Sink(Protocol):
    """Where a reader's findings go."""

    def entry(self, entry: Entry) -> None: ...
    def tally_of(self, container: bytes) -> Tally: ...
    def patient(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None: ...


class Found:
    """An entry on its way: its number, names and place."""

    __slots__ = ("container", "folder", "name", "number", "path", "place", "unpacked")

    def __init__(
        self, number: bytes, path: str, name: str, place: Place, container: bytes, *, unpacked: bool = False
    ) -> None:
        self.number = number
        self.path = path
        self.name = name
        self.place = place
        self.container = container
        self.folder = path[: max(path.rfind("/"), path.rfind("\\"), path.rfind("!")) + 1]
        self.unpacked = unpacked


class Teller:
    """Keeps bytes of entries and tells of them; `scandock.pipeline.read.Reader` says what each is.

    `keep_images` False reads without keeping (a dry run; the stage is then scratch space); `keep_loose` False hashes
    resources without keeping them.
    """

    def __init__(self, stage: Keeper, sink: Sink, meter: Meter, *, keep_images: bool, keep_loose: bool) -> None:
        self.stage = stage
        self.sink = sink
        self.meter = meter
        self.keep_images = keep_images
        self.keep_loose = keep_loose and keep_images
        self.emitted = 0
        """Entries told of so far."""
        self.others = 0
        """Those among them that are neither images nor promise to be."""
        self._places: dict[str, Place] = {}

    def place(self, name: str) -> Place:
        """The layout's reading of an entry's name, remembered by folder."""
        cut = max(name.rfind("/"), name.rfind("\\")) + 1
        folder = name[:cut]
        place = self._places.get(folder)
        if place is None:
            place = place_of(folder + "x")
            if len(folder) <= LONG_FOLDER:
                if len(self._places) > 4096:
                    self._places.clear()
                self._places[folder] = place
        return place

    def refuse(self, number: bytes, path: str, size: int, code: str, message: str) -> None:
        """An entry that costs its archive: damaged, encrypted or of an unknown method."""
        found = Found(number, path, path, self.place(path), b"")
        self.emit(found, Content.BAD, Kept(size, b"", NOWHERE), code, message)

    def refuse_inner(self, number: bytes, path: str, body: Body, code: str, message: str) -> None:
        """An inner archive that can't be opened: it costs itself alone."""
        found = Found(number, path, path, self.place(path), b"")
        self.emit(found, Content.INNER, self.hash(found, body), code, message)

    def inner_whole(self, number: bytes, prefix: str, name: str, body: Body | Kept, container: bytes) -> bool:
        """An inner archive in which no image was met, as the file that it is: told behind what is in it.

        `pipeline.inner_files` decides which of both stays. True where what is `Kept` already is used.
        """
        found = Found(number, prefix + name, name, self.place(name), container)
        content, code, message = Content.LOOSE, "", ""
        junk = junk_code(name)
        if junk is not None:
            content, code = Content.JUNK, junk
        elif found.place.is_image_folder or named_like_image(name):
            content = Content.UNPARSEABLE
            code, message = why_no_image(b"PK", in_image_folder=found.place.is_image_folder)
        keep = self.keep_loose and content is Content.LOOSE
        if isinstance(body, Kept):
            kept = body if keep else Kept(body.size, body.sha256, NOWHERE)
        else:
            kept = self.keep(found, body, LOOSE) if keep else self.hash(found, body)
        self.emit(found, content, kept, code, message, facts=INNER)
        return kept is body

    def special(self, number: bytes, path: str, name: str) -> None:
        """A link, device or pipe: named, never made."""
        found = Found(number, path, name, self.place(name), b"")
        self.emit(found, Content.SPECIAL, Kept(0, hashlib.sha256().digest(), NOWHERE), "ignored_link")

    # -- writing -------------------------------------------------------------------------------------------------

    def keep(self, found: Found, body: Body, folder: RelPath) -> Kept:
        """Write an entry's bytes under its ordinal into a folder of the stage."""
        name = below(folder, found.number.hex())
        if body.whole is not None:
            data = body.whole
            self.meter.entry_bytes(found.path, len(data))
            return Kept(len(data), hashlib.sha256(data).digest(), keep_whole(self.stage, data, name, spare(name)))
        return keep_stream(self.stage, body, name, lambda size: self.meter.entry_bytes(found.path, size))

    def hash(self, found: Found, body: Body) -> Kept:
        """Read an entry's bytes to their end, and keep none."""
        digest = hashlib.sha256()
        size = 0
        for chunk in body.chunks():
            digest.update(chunk)
            size += len(chunk)
            self.meter.entry_bytes(found.path, size)
        return Kept(size, digest.digest(), NOWHERE)

    def drop(self, kept: Kept) -> None:
        """Give up what was written."""
        if kept.staged:
            self.stage.remove(kept.staged)
        kept.staged = NOWHERE

    def emit(
        self, found: Found, content: str, kept: Kept, code: str, message: str = "", *, facts: str = "", frames: int = 0
    ) -> None:
        """Tell of an entry that is no DICOM object."""
        place = found.place
        self.emitted += 1
        self.others += content in _OTHERS
        self.sink.entry(
            Entry(
                found.number, found.path, kept.size, kept.sha256, str(content), kept.staged, code, message,
                found.folder, place.session_folder or "", place.scan_folder or "", place.resource or "",
                "", "", "", "", frames, 0, "", facts,
            )
        )  # fmt: skip


def why_no_image(head: Buffer, *, in_image_folder: bool) -> tuple[str, str]:
    """Code and sentence for what should be an image and is none."""
    if len(head) == 0:
        return "empty_entry", "It is empty."
    other = foreign(kind_of(head))
    if other is not None:
        return "foreign_format", f"It is {other[0]}. {other[1]}"
    if in_image_folder:
        return "not_dicom", "It stands in an image folder, but is neither DICOM nor ECAT 7 by its content."
    return "named_not_image", "It is named like an image, but is neither DICOM nor ECAT 7 by its content."

"""An entry on its way through a reader: its number and names, its bytes, and what is told of it."""

from __future__ import annotations

import hashlib
from typing import Protocol

from scandock.formats.dicom_tally import Tally
from scandock.formats.kinds import explain_foreign, kind_of
from scandock.formats.meter import Meter
from scandock.model.entry import Content, Entry
from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.pipeline.staging import StagedFile, StageFiles, stage_bytes, stage_stream
from scandock.rules.junk import is_named_like_image, junk_code
from scandock.rules.layout import EntryLayout, parse_layout
from scandock.store.paths import LOOSE, TREE_ROOT, RelPath, alternate_path, path_below

LONG_FOLDER = 1024
"""Folder names beyond this are read anew each time, so that hostile ones take no memory."""
_NO_IMAGES = frozenset({Content.LOOSE, Content.JUNK, Content.SPECIAL})
INNER = "inner"
"""`Entry.facts` of an inner archive that may be kept whole."""


class EntrySink(Protocol):
    """Where a reader's findings go."""

    def entry(self, entry: Entry) -> None: ...
    def tally_of(self, container: bytes, left_out_by: str = "") -> Tally: ...
    def patient(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None: ...


class PendingEntry:
    """An entry on its way: its number, names and place."""

    __slots__ = ("container", "folder", "name", "number", "path", "place", "unpacked")

    def __init__(
        self, number: bytes, path: str, name: str, place: EntryLayout, container: bytes, *, unpacked: bool = False
    ) -> None:
        self.number = number
        self.path = path
        self.name = name
        self.place = place
        self.container = container
        self.folder = path[: max(path.rfind("/"), path.rfind("\\"), path.rfind("!")) + 1]
        self.unpacked = unpacked


class EntryWriter:
    """Keeps bytes of entries and tells of them; `scandock.pipeline.entry_reader.EntryReader` says what each is.

    `keep_images` False reads without keeping (a dry run; the stage is then scratch space); `keep_loose` False hashes
    resources without keeping them.
    """

    def __init__(
        self, stage: StageFiles, sink: EntrySink, meter: Meter, *, keep_images: bool, keep_loose: bool
    ) -> None:
        self.stage = stage
        self.sink = sink
        self.meter = meter
        self.keep_images = keep_images
        self.keep_loose = keep_loose and keep_images
        self.emitted = 0
        """Entries told of so far."""
        self.others = 0
        """Those among them that are neither images nor promise to be."""
        self._places: dict[str, EntryLayout] = {}

    def place(self, name: str) -> EntryLayout:
        """The layout's reading of an entry's name, remembered by folder."""
        cut = max(name.rfind("/"), name.rfind("\\")) + 1
        folder = name[:cut]
        place = self._places.get(folder)
        if place is None:
            place = parse_layout(folder + "x")
            if len(folder) <= LONG_FOLDER:
                if len(self._places) > 4096:
                    self._places.clear()
                self._places[folder] = place
        return place

    def refuse(self, number: bytes, path: str, size: int, code: str, message: str) -> None:
        """An entry that costs its archive: damaged, encrypted or of an unknown method."""
        entry = PendingEntry(number, path, path, self.place(path), b"")
        self.emit(entry, Content.BAD, StagedFile(size, b"", TREE_ROOT), code, message)

    def refuse_inner(self, number: bytes, path: str, body: EntryBody, code: str, message: str) -> None:
        """An inner archive that can't be opened: it costs itself alone."""
        entry = PendingEntry(number, path, path, self.place(path), b"")
        self.emit(entry, Content.INNER, self.hash(entry, body), code, message)

    def keep_inner_archive(
        self, number: bytes, prefix: str, name: str, body: EntryBody | StagedFile, container: bytes
    ) -> bool:
        """An inner archive in which no image was met, as the file that it is: told behind what is in it.

        `pipeline.verdicts` decides which of both stays. True where what is `Kept` already is used.
        """
        entry = PendingEntry(number, prefix + name, name, self.place(name), container)
        content, code, message = Content.LOOSE, "", ""
        junk = junk_code(name)
        if junk is not None:
            content, code = Content.JUNK, junk
        elif entry.place.is_image_folder or is_named_like_image(name):
            content = Content.UNPARSEABLE
            code, message = explain_no_image(b"PK", in_image_folder=entry.place.is_image_folder)
        keep = self.keep_loose and content is Content.LOOSE
        if isinstance(body, StagedFile):
            staged = body if keep else StagedFile(body.size, body.sha256, TREE_ROOT)
        else:
            staged = self.keep(entry, body, LOOSE) if keep else self.hash(entry, body)
        self.emit(entry, content, staged, code, message, facts=INNER)
        return staged is body

    def special(self, number: bytes, path: str, name: str) -> None:
        """A link, device or pipe: named, never made."""
        entry = PendingEntry(number, path, name, self.place(name), b"")
        self.emit(entry, Content.SPECIAL, StagedFile(0, hashlib.sha256().digest(), TREE_ROOT), "ignored_link")

    # -- writing -------------------------------------------------------------------------------------------------

    def keep(self, entry: PendingEntry, body: EntryBody, folder: RelPath) -> StagedFile:
        """Write an entry's bytes under its ordinal into a folder of the stage."""
        name = path_below(folder, entry.number.hex())
        if body.whole is not None:
            data = body.whole
            self.meter.entry_bytes(entry.path, len(data))
            return StagedFile(
                len(data), hashlib.sha256(data).digest(), stage_bytes(self.stage, data, name, alternate_path(name))
            )
        return stage_stream(self.stage, body, name, lambda size: self.meter.entry_bytes(entry.path, size))

    def hash(self, entry: PendingEntry, body: EntryBody) -> StagedFile:
        """Read an entry's bytes to their end, and keep none."""
        digest = hashlib.sha256()
        size = 0
        for chunk in body.chunks():
            digest.update(chunk)
            size += len(chunk)
            self.meter.entry_bytes(entry.path, size)
        return StagedFile(size, digest.digest(), TREE_ROOT)

    def drop(self, staged: StagedFile) -> None:
        """Give up what was written."""
        if staged.staged:
            self.stage.remove(staged.staged)
        staged.staged = TREE_ROOT

    def emit(
        self,
        entry: PendingEntry,
        content: str,
        staged: StagedFile,
        code: str,
        message: str = "",
        *,
        facts: str = "",
        frames: int = 0,
    ) -> None:
        """Tell of an entry that is no DICOM object."""
        place = entry.place
        self.emitted += 1
        self.others += content in _NO_IMAGES
        self.sink.entry(
            Entry(
                entry.number, entry.path, staged.size, staged.sha256, str(content), staged.staged, code, message,
                entry.folder, place.session_folder or "", place.scan_folder or "", place.resource or "",
                "", "", "", "", frames, 0, "", facts,
            )
        )  # fmt: skip


def explain_no_image(head: Buffer, *, in_image_folder: bool) -> tuple[str, str]:
    """Code and sentence for what should be an image and is none."""
    if len(head) == 0:
        return "empty_entry", "It is empty."
    other = explain_foreign(kind_of(head))
    if other is not None:
        return "foreign_format", f"It is {other[0]}. {other[1]}"
    if in_image_folder:
        return "not_dicom", "It stands in an image folder, but is neither DICOM nor ECAT 7 by its content."
    return "named_not_image", "It is named like an image, but is neither DICOM nor ECAT 7 by its content."


def describe_rule(project: str, rule: str) -> str:
    """Whose filter left an object out, and by what; `project` is "" for the site's."""
    whose = f"the import filter of project {project}" if project else "the site's import filter"
    return f"{whose} ({rule})"


def explain_filtered(project: str, rule: str) -> str:
    """What a receipt says of an object that was left out."""
    return f"Not stored: left out by {describe_rule(project, rule)}."

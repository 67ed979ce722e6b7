"""Step 3: what each entry is, and its bytes into the stage. Runs in reader processes: no database here.

Written under a name that is final but for the scan id, `in/{study}/{series}/D|S/{SOPInstanceUID}.dcm`, so that placing
a scan is one rename of its folder. Entries that are no DICOM stand flat under `ecat/` and `loose/` by their ordinal.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Protocol

from scandock.formats.dicom_alike import AlikeHeaders
from scandock.formats.dicom_header import Header, Unparseable, looks_like_dicom, read_header
from scandock.formats.ecat import read_ecat
from scandock.formats.kinds import explain_foreign, kind_of
from scandock.formats.meter import Meter
from scandock.model.entry import Content, Entry
from scandock.model.tags import DICOMDIR_CLASS
from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.pipeline.entry_writer import (
    EntrySink,
    EntryWriter,
    PendingEntry,
    describe_rule,
    explain_filtered,
    explain_no_image,
)
from scandock.pipeline.staging import ImageNames, StagedFile, StageFiles, hash_dataset, move_staged, stage_bytes
from scandock.rules.filenames import is_uid
from scandock.rules.frame_counts import count_ecat_frames, count_object_frames
from scandock.rules.junk import is_named_like_image, junk_code
from scandock.rules.layout import escapes_archive
from scandock.store.paths import BIG, ECAT, LOOSE, TREE_ROOT, RelPath, alternate_path, path_below

if TYPE_CHECKING:
    from scandock.formats.dicom_object import SharedValues
    from scandock.pipeline.entry_filter import EntryFilter, FilterResult

_DICOM = Content.DICOM.value
DICOMDIR_BYTES = 16 * 1024 * 1024
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


class EarlyScrubber(Protocol):
    """De-identifies an object before it is written (`workers/scrub_task.py`)."""

    def read(self, data: Buffer) -> Header | None:
        """Give the header of an object, where it is known without reading it; `scrub` of it follows, or nothing."""

    def scrub(self, number: bytes, path: str, data: Buffer, header: Header) -> RelPath | None:
        """Give where the new object is in the stage, "" where there is none; None where the original is to be kept."""


class EntryReader(EntryWriter):
    """Takes entries one after the other: tells what each is, hashes it, keeps it."""

    def __init__(
        self,
        stage: StageFiles,
        sink: EntrySink,
        meter: Meter,
        tags: frozenset[int],
        *,
        keep_images: bool,
        keep_loose: bool,
        entry_filter: EntryFilter | None = None,
        hash_datasets: bool = False,
    ) -> None:
        """`hash_datasets`: tell the digest of each object's data set, also where its bytes are kept."""
        super().__init__(stage, sink, meter, keep_images=keep_images, keep_loose=keep_loose)
        self.wanted = tags if entry_filter is None else tags | entry_filter.tags
        self._headers = AlikeHeaders(self.wanted)
        self.filter = entry_filter
        self._of_filters_alone = self.wanted - tags
        self._hash_datasets = hash_datasets or not keep_images
        self._image_names = ImageNames()
        self.early: EarlyScrubber | None = None
        """De-identifies objects in memory, where that can be done so early."""

    # -- what an entry is ----------------------------------------------------------------------------------------

    def is_image(self, head: Buffer) -> bool:
        """Whether these first bytes begin a DICOM object or an ECAT file."""
        return bytes(head[:7]) == b"MATRIX7" or looks_like_dicom(head, 1 << 62)

    def take(
        self, number: bytes, prefix: str, name: str, body: EntryBody, container: bytes, *, unpacked: bool = False
    ) -> None:
        """Read one entry that is no archive to be opened; emits exactly one `Entry`.

        `prefix` stands before `name` in the receipt, `unpacked` says that the entry itself was compressed.
        """
        place = self.place(name)
        entry = PendingEntry(number, prefix + name, name, place, container, unpacked=unpacked)
        head = body.head()
        size = len(head) if body.whole is not None else 1 << 62
        if place.is_resource_folder:
            self._loose_or_junk(entry, body, junk_code(name))
        elif bytes(head[:7]) == b"MATRIX7":
            self._ecat(entry, body)
        elif looks_like_dicom(head, size):
            self._dicom(entry, body, head)
        else:
            self._no_image(entry, body, head)

    def _no_image(self, entry: PendingEntry, body: EntryBody, head: Buffer) -> None:
        junk = junk_code(entry.name)
        if junk is None and (entry.place.is_image_folder or is_named_like_image(entry.name)):
            code, message = explain_no_image(head, in_image_folder=entry.place.is_image_folder)
            self._unparseable(entry, body, code, message)
        elif junk is None and entry.name.lower().endswith(ARCHIVE_SUFFIXES):
            self._refused(entry, body, "not_an_archive", "It is named like an archive but holds none.")
        else:
            self._loose_or_junk(entry, body, junk)

    # -- DICOM ---------------------------------------------------------------------------------------------------

    def _dicom(self, entry: PendingEntry, body: EntryBody, head: Buffer) -> None:
        if body.whole is None:
            self._dicom_stream(entry, body, bytes(head))
            return
        data = body.whole
        size = len(data)
        self.meter.entry_bytes(entry.path, size)
        early = self.early if self.keep_images else None
        try:
            header = early.read(data) if early is not None else None
            shared = None
            if header is None:
                header = self._headers.read(data)
                shared = self._headers.shared
        except Unparseable as error:
            self._unparseable(entry, body, error.code, error.message)
            return
        sha256 = hashlib.sha256(data).digest()
        if header.sop_class == DICOMDIR_CLASS:
            self._dicomdir(entry, StagedFile(size, sha256, TREE_ROOT), bytes(data))
            return
        left_out_by = ""
        if self.filter is not None:
            result = self.filter.check(header)
            if result.code:
                self._filtered(entry, header, StagedFile(size, sha256, TREE_ROOT), result)
                return
            left_out_by = result.left_out_by
        path, alternate_path = self._image_names.find(header, sha256, entry.number)
        staged, facts = StagedFile(size, sha256, path), ""
        if self.keep_images:
            new = early.scrub(entry.number, entry.path, data, header) if early is not None else None
            staged.staged = stage_bytes(self.stage, data, path, alternate_path) if new is None else new
        if self._hash_datasets:
            facts = hashlib.sha256(memoryview(data)[header.dataset_at :]).hexdigest()
        self._emit_dicom(entry, header, staged, facts, left_out_by, shared)

    def _dicom_stream(self, entry: PendingEntry, body: EntryBody, head: bytes) -> None:
        if self.filter is not None and (header := self._whole_header(head)) is not None:
            result = self.filter.check(header)
            if result.code:
                self._filtered(entry, header, self.hash(entry, body), result)
                return
        staged = self.keep(entry, body, BIG)

        def more(length: int) -> bytes:
            return self.stage.read_at(staged.staged, 0, length)

        try:
            header = read_header(head, staged.size, self.wanted, more)
        except Unparseable as error:
            self.drop(staged)
            self.emit(entry, Content.UNPARSEABLE, staged, error.code, error.message)
            return
        if header.sop_class == DICOMDIR_CLASS:
            self._dicomdir(entry, staged, more(min(staged.size, DICOMDIR_BYTES)))
            self.drop(staged)
            return
        left_out_by = ""
        if self.filter is not None:
            result = self.filter.check(header)
            if result.code:
                self.drop(staged)
                self._filtered(entry, header, staged, result)
                return
            left_out_by = result.left_out_by
        path, alternate_path = self._image_names.find(header, staged.sha256, entry.number)
        facts = ""
        if self._hash_datasets:
            facts = hash_dataset(lambda at, n: self.stage.read_at(staged.staged, at, n), header.dataset_at).hex()
        if self.keep_images:
            staged.staged = move_staged(self.stage, staged.staged, path, alternate_path)
            self._emit_dicom(entry, header, staged, facts, left_out_by)
            return
        self.drop(staged)
        staged.staged = path
        self._emit_dicom(entry, header, staged, facts, left_out_by)

    def _whole_header(self, head: bytes) -> Header | None:
        """The header of an object that comes as a stream, where all of it is in these first bytes."""
        try:
            header = read_header(head, 1 << 62, self.wanted, None)
        except Unparseable:
            return None
        return header if header.pixels != "none" else None

    def _filtered(self, entry: PendingEntry, header: Header, staged: StagedFile, result: FilterResult) -> None:
        """Tell of an object that an import filter leaves out."""
        place = entry.place
        self.emitted += 1
        self.sink.entry(
            Entry(
                entry.number, entry.path, staged.size, staged.sha256, Content.FILTERED.value, "", result.code,
                explain_filtered(result.project, result.rule), entry.folder, place.session_folder or "",
                place.scan_folder or "", place.resource or "", header.study_uid, header.series_uid, header.sop_uid,
                header.sop_class, facts=describe_rule(result.project, result.rule),
            )
        )  # fmt: skip

    def _dicomdir(self, entry: PendingEntry, staged: StagedFile, data: bytes) -> None:
        from scandock.formats.dicomdir import dicomdir_files

        self.emit(
            entry,
            Content.JUNK,
            StagedFile(staged.size, staged.sha256, TREE_ROOT),
            "dicomdir",
            facts=json.dumps(dicomdir_files(data)),
        )

    def _emit_dicom(
        self,
        entry: PendingEntry,
        header: Header,
        staged: StagedFile,
        facts: str,
        left_out_by: str,
        shared: SharedValues | None = None,
    ) -> None:
        """`facts` is the sha256 of the data set where that was asked for, or the bytes are not kept.

        Repeats are told by it. Where they are not kept `staged.staged` says where they would be.
        """
        values = header.values
        if self._of_filters_alone:
            shared = None
            for tag in self._of_filters_alone:
                values.pop(tag, None)
        self.sink.tally_of(entry.container, left_out_by).add(header, shared)
        self.sink.patient(header.study_uid, values.get(0x00100020, b""), values.get(0x00100010, b""))
        code = message = ""
        if header.pixels == "cut":
            code = "stored_pixels_cut"
        elif header.notes:
            code, message = "stored_odd_header", " ".join(header.notes)
        elif entry.unpacked:
            code = "stored_unpacked"
        elif not header.preamble:
            code = "stored_no_preamble"
        elif not is_uid(header.sop_uid) or escapes_archive(entry.name):
            code = "stored_odd_name"
        place = entry.place
        self.emitted += 1
        self.sink.entry(
            Entry(
                entry.number, entry.path, staged.size, staged.sha256, _DICOM, staged.staged, code, message,
                entry.folder, place.session_folder or "", place.scan_folder or "", place.resource or "",
                header.study_uid, header.series_uid, header.sop_uid, header.sop_class,
                count_object_frames(header.sop_class, values), header.dataset_at, header.transfer_syntax, facts,
                left_out_by,
            )
        )  # fmt: skip

    # -- everything else -----------------------------------------------------------------------------------------

    def _ecat(self, entry: PendingEntry, body: EntryBody) -> None:
        if body.whole is not None:
            data = body.whole
            self.meter.entry_bytes(entry.path, len(data))
            staged = StagedFile(len(data), hashlib.sha256(data).digest(), TREE_ROOT)

            def read_at(offset: int, length: int) -> bytes:
                return bytes(data[offset : offset + length])

            head = bytes(data[:4096])
        else:
            head = bytes(body.head()[:4096])
            staged = self.keep(entry, body, ECAT)

            def read_at(offset: int, length: int) -> bytes:
                return self.stage.read_at(staged.staged, offset, length)

        try:
            facts = read_ecat(head, staged.size, read_at)
        except Unparseable as error:
            self.drop(staged)
            self.emit(entry, Content.UNPARSEABLE, staged, error.code, error.message)
            return
        if not self.keep_images:
            self.drop(staged)
        elif body.whole is not None:
            name = path_below(ECAT, entry.number.hex())
            staged.staged = stage_bytes(self.stage, body.whole, name, alternate_path(name))
        code = "ecat_cut" if facts.note else "stored_unpacked" if entry.unpacked else ""
        facts_json = json.dumps(facts._asdict())
        self.emit(entry, Content.ECAT, staged, code, facts.note, facts=facts_json, frames=count_ecat_frames(facts))

    def _loose_or_junk(self, entry: PendingEntry, body: EntryBody, junk: str | None) -> None:
        if junk is not None:
            self.emit(entry, Content.JUNK, self.hash(entry, body), junk)
            return
        code = message = ""
        if not entry.place.is_resource_folder:
            other = explain_foreign(kind_of(body.head()))
            if other is not None:
                code, message = "foreign_format", f"It is {other[0]}, which is not opened. {other[1]}"
        staged = self.keep(entry, body, LOOSE) if self.keep_loose else self.hash(entry, body)
        self.emit(entry, Content.LOOSE, staged, code, message)

    def _unparseable(self, entry: PendingEntry, body: EntryBody, code: str, message: str) -> None:
        self.emit(entry, Content.UNPARSEABLE, self.hash(entry, body), code, message)

    def _refused(self, entry: PendingEntry, body: EntryBody, code: str, message: str) -> None:
        self.emit(entry, Content.INNER, self.hash(entry, body), code, message)

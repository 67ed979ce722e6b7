"""Step 3: what each entry is, and its bytes into the stage. Runs in reader processes: no database here.

Written under a name that is final but for the scan id, `in/{study}/{series}/D|S/{SOPInstanceUID}.dcm`, so that placing
a scan is one rename of its folder. Entries that are no DICOM stand flat under `ecat/` and `loose/` by their ordinal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from scandock.formats.dicom_header import Header, Unparseable, looks_like_dicom, read_header
from scandock.formats.ecat import read_ecat
from scandock.formats.kinds import foreign, kind_of
from scandock.formats.meter import Meter
from scandock.model.entry import Content, Entry
from scandock.model.tags import DICOMDIR_CLASS
from scandock.pipeline.body import Body, Buffer
from scandock.pipeline.found import Found, Sink, Teller, why_no_image
from scandock.pipeline.keep import Keeper, Kept, dataset_digest, keep_whole, move_free
from scandock.rules.filenames import object_name
from scandock.rules.frames import ecat_frames, object_frames
from scandock.rules.junk import junk_code, named_like_image
from scandock.rules.layout import climbs
from scandock.rules.sop_classes import is_primary
from scandock.store.paths import BIG, ECAT, LOOSE, NOWHERE, RelPath, below, image_folder, spare, uid_key

_DICOM = Content.DICOM.value
DICOMDIR_BYTES = 16 * 1024 * 1024
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


class Reader(Teller):
    """Takes entries one after the other: tells what each is, hashes it, keeps it."""

    def __init__(
        self, stage: Keeper, sink: Sink, meter: Meter, wanted: frozenset[int], *, keep_images: bool, keep_loose: bool
    ) -> None:
        super().__init__(stage, sink, meter, keep_images=keep_images, keep_loose=keep_loose)
        self.wanted = wanted
        self._keys: dict[str, str] = {}

    # -- what an entry is ----------------------------------------------------------------------------------------

    def is_image(self, head: Buffer) -> bool:
        """Whether these first bytes begin a DICOM object or an ECAT file."""
        return bytes(head[:7]) == b"MATRIX7" or looks_like_dicom(head, 1 << 62)

    def take(
        self, number: bytes, prefix: str, name: str, body: Body, container: bytes, *, unpacked: bool = False
    ) -> None:
        """Read one entry that is no archive to be opened; emits exactly one `Entry`.

        `prefix` stands before `name` in the receipt, `unpacked` says that the entry itself was compressed.
        """
        place = self.place(name)
        found = Found(number, prefix + name, name, place, container, unpacked=unpacked)
        head = body.head()
        size = len(head) if body.whole is not None else 1 << 62
        if place.is_resource_folder:
            self._loose_or_junk(found, body, junk_code(name))
        elif bytes(head[:7]) == b"MATRIX7":
            self._ecat(found, body)
        elif looks_like_dicom(head, size):
            self._dicom(found, body, head)
        else:
            self._no_image(found, body, head)

    def _no_image(self, found: Found, body: Body, head: Buffer) -> None:
        junk = junk_code(found.name)
        if junk is None and (found.place.is_image_folder or named_like_image(found.name)):
            code, message = why_no_image(head, in_image_folder=found.place.is_image_folder)
            self._unparseable(found, body, code, message)
        elif junk is None and found.name.lower().endswith(ARCHIVE_SUFFIXES):
            self._refused(found, body, "not_an_archive", "It is named like an archive but holds none.")
        else:
            self._loose_or_junk(found, body, junk)

    # -- DICOM ---------------------------------------------------------------------------------------------------

    def _dicom(self, found: Found, body: Body, head: Buffer) -> None:
        if body.whole is None:
            self._dicom_stream(found, body, bytes(head))
            return
        data = body.whole
        size = len(data)
        self.meter.entry_bytes(found.path, size)
        try:
            header = read_header(data, size, self.wanted, None)
        except Unparseable as error:
            self._unparseable(found, body, error.code, error.message)
            return
        sha256 = hashlib.sha256(data).digest()
        if header.sop_class == DICOMDIR_CLASS:
            self._dicomdir(found, Kept(size, sha256, NOWHERE), bytes(data))
            return
        wanted, spare = self._names(header, sha256, found.number)
        kept, facts = Kept(size, sha256, wanted), ""
        if self.keep_images:
            kept.staged = keep_whole(self.stage, data, wanted, spare)
        else:
            facts = hashlib.sha256(memoryview(data)[header.dataset_at :]).hexdigest()
        self._emit_dicom(found, header, kept, facts)

    def _dicom_stream(self, found: Found, body: Body, head: bytes) -> None:
        kept = self.keep(found, body, BIG)

        def more(length: int) -> bytes:
            return self.stage.read_at(kept.staged, 0, length)

        try:
            header = read_header(head, kept.size, self.wanted, more)
        except Unparseable as error:
            self.drop(kept)
            self.emit(found, Content.UNPARSEABLE, kept, error.code, error.message)
            return
        if header.sop_class == DICOMDIR_CLASS:
            self._dicomdir(found, kept, more(min(kept.size, DICOMDIR_BYTES)))
            self.drop(kept)
            return
        wanted, spare = self._names(header, kept.sha256, found.number)
        if self.keep_images:
            kept.staged = move_free(self.stage, kept.staged, wanted, spare)
            self._emit_dicom(found, header, kept, "")
            return
        facts = dataset_digest(lambda at, n: self.stage.read_at(kept.staged, at, n), header.dataset_at).hex()
        self.drop(kept)
        kept.staged = wanted
        self._emit_dicom(found, header, kept, facts)

    def _dicomdir(self, found: Found, kept: Kept, data: bytes) -> None:
        from scandock.formats.dicomdir import dicomdir_files

        self.emit(
            found,
            Content.JUNK,
            Kept(kept.size, kept.sha256, NOWHERE),
            "dicomdir",
            facts=json.dumps(dicomdir_files(data)),
        )

    def _names(self, header: Header, sha256: bytes, number: bytes) -> tuple[RelPath, RelPath]:
        kind = "D" if is_primary(header.sop_class) else "S"
        name = object_name(header.sop_uid, sha256.hex())
        wanted = below(image_folder(self._key(header.study_uid), self._key(header.series_uid), kind), name)
        return wanted, spare(wanted, number.hex())

    def _key(self, uid: str) -> str:
        key = self._keys.get(uid)
        if key is None:
            if len(self._keys) > 100_000:
                self._keys.clear()
            key = self._keys[uid] = uid_key(uid)
        return key

    def _emit_dicom(self, found: Found, header: Header, kept: Kept, facts: str) -> None:
        """`facts` is the sha256 of the data set where the bytes are not kept: repeats are told by it.

        `kept.staged` then says where they would be.
        """
        self.sink.tally_of(found.container).add(header)
        values = header.values
        self.sink.patient(header.study_uid, values.get(0x00100020, b""), values.get(0x00100010, b""))
        code = message = ""
        if header.pixels == "cut":
            code = "stored_pixels_cut"
        elif header.notes:
            code, message = "stored_odd_header", " ".join(header.notes)
        elif found.unpacked:
            code = "stored_unpacked"
        elif not header.preamble:
            code = "stored_no_preamble"
        elif object_name(header.sop_uid, "") != f"{header.sop_uid}.dcm" or climbs(found.name):
            code = "stored_odd_name"
        place = found.place
        self.emitted += 1
        self.sink.entry(
            Entry(
                found.number, found.path, kept.size, kept.sha256, _DICOM, kept.staged, code, message,
                found.folder, place.session_folder or "", place.scan_folder or "", place.resource or "",
                header.study_uid, header.series_uid, header.sop_uid, header.sop_class,
                object_frames(header.sop_class, values), header.dataset_at, header.transfer_syntax, facts,
            )
        )  # fmt: skip

    # -- everything else -----------------------------------------------------------------------------------------

    def _ecat(self, found: Found, body: Body) -> None:
        if body.whole is not None:
            data = body.whole
            self.meter.entry_bytes(found.path, len(data))
            kept = Kept(len(data), hashlib.sha256(data).digest(), NOWHERE)

            def read_at(offset: int, length: int) -> bytes:
                return bytes(data[offset : offset + length])

            head = bytes(data[:4096])
        else:
            head = bytes(body.head()[:4096])
            kept = self.keep(found, body, ECAT)

            def read_at(offset: int, length: int) -> bytes:
                return self.stage.read_at(kept.staged, offset, length)

        try:
            facts = read_ecat(head, kept.size, read_at)
        except Unparseable as error:
            self.drop(kept)
            self.emit(found, Content.UNPARSEABLE, kept, error.code, error.message)
            return
        if not self.keep_images:
            self.drop(kept)
        elif body.whole is not None:
            name = below(ECAT, found.number.hex())
            kept.staged = keep_whole(self.stage, body.whole, name, spare(name))
        code = "ecat_cut" if facts.note else "stored_unpacked" if found.unpacked else ""
        said = json.dumps(asdict(facts))
        self.emit(found, Content.ECAT, kept, code, facts.note, facts=said, frames=ecat_frames(facts))

    def _loose_or_junk(self, found: Found, body: Body, junk: str | None) -> None:
        if junk is not None:
            self.emit(found, Content.JUNK, self.hash(found, body), junk)
            return
        code = message = ""
        if not found.place.is_resource_folder:
            other = foreign(kind_of(body.head()))
            if other is not None:
                code, message = "foreign_format", f"It is {other[0]}, which is not opened. {other[1]}"
        kept = self.keep(found, body, LOOSE) if self.keep_loose else self.hash(found, body)
        self.emit(found, Content.LOOSE, kept, code, message)

    def _unparseable(self, found: Found, body: Body, code: str, message: str) -> None:
        self.emit(found, Content.UNPARSEABLE, self.hash(found, body), code, message)

    def _refused(self, found: Found, body: Body, code: str, message: str) -> None:
        self.emit(found, Content.INNER, self.hash(found, body), code, message)

"""The reader's part of de-identifying an import's entries: staged originals in, new objects beside them.

The only module of an import that knows `scandock.deidentification`; a reader loads it with its first task of this kind.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from scandock.deidentification.alike import Alike
from scandock.deidentification.data_set import EditedPixels, Range
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.profile.table import SafePrivate
from scandock.deidentification.script.lookup_table import parse_lookup_table
from scandock.deidentification.script.parser import parse_script
from scandock.deidentification.scrub import Context, Failed, Rejected, Rules, Scrubbed, scrub
from scandock.formats.dicom_header import Header, Unparseable, read_header
from scandock.formats.dicom_tally import OBJECTS, Tally
from scandock.formats.ecat import read_ecat
from scandock.formats.errors import ReadFailed
from scandock.formats.zip_entry import WHOLE
from scandock.model.crash_points import SCRUBBED_ENTRY, reach_scrubbed
from scandock.model.entry import Content
from scandock.model.errors import Fault, ScandockError
from scandock.model.tags import DICOMDIR_CLASS, TAGS
from scandock.pipeline.staging import ImageNames, StagedFile, StageFiles, move_staged, stage_parts
from scandock.rules.frame_counts import count_ecat_frames, count_object_frames
from scandock.rules.privacy import PrivacyRules
from scandock.rules.stored_uids import StoredUids, is_made_uid
from scandock.store.paths import (
    BIG,
    EARLY,
    ECAT,
    TREE_ROOT,
    RelPath,
    alternate_path,
    path_below,
)
from scandock.workers.pixel_decoding import PixelDecoding

if TYPE_CHECKING:
    from scandock.deidentification.encoding import Part
    from scandock.formats.dicom_encoding import Buffer
    from scandock.workers.reader_counters import ReaderCounters
    from scandock.workers.wire import Wire

BATCH_ENTRIES: Final = OBJECTS
BATCH_SECONDS: Final = 0.25
MOST_FAILURES: Final = 3
"""Objects that fail in one task before it is ended: its session is refused by then, and each may take seconds."""
_HEAD: Final = 1024 * 1024
_CHUNK: Final = 1024 * 1024
_WANTED: Final = frozenset(TAGS)


class _Failure(Exception):
    """An object that can't be de-identified; the message quotes nothing of it."""


class ScrubTasks:
    """All tasks of one reader: rules are parsed once, decoders of pixels started once."""

    def __init__(
        self,
        wire: Wire,
        board: ReaderCounters,
        index: int,
        stage: StageFiles,
        rules: list[tuple[tuple[object, ...], bytes]],
    ) -> None:
        """`rules` are those of the import, which tasks name by their index, with the UIDs that stay by each."""
        self._wire = wire
        self._board = board
        self._index = index
        self._stage = stage
        self._plain = rules
        self._parsed: dict[int, tuple[bytes, Rules]] = {}
        self._job: tuple[int, dict[str, str], Alike] | None = None
        self._decoding = PixelDecoding()
        self._outcomes: list[tuple[Any, ...]] = []
        self._tally = Tally()
        self._sent = time.monotonic()
        self._image_names = ImageNames()

    def run(self, payload: tuple[Any, ...], resume: bytes, avoid: frozenset[bytes]) -> None:
        """De-identify the entries of one task behind `resume`; those in `avoid` have killed two readers."""
        _, index, variables, folder, entries = payload
        failures = 0
        self._sent = time.monotonic()
        for number, path, staged, size, content in entries:
            if resume and number <= resume:
                continue
            self._board.set_current(self._index, number)
            if number in avoid:
                outcome: tuple[Any, ...] = (number, "failed", "De-identifying it killed the reader twice.")
            else:
                if SCRUBBED_ENTRY:
                    reach_scrubbed(path)
                outcome = self._scrub_entry(
                    index, variables, folder, number, partial(_Original.staged, self._stage, staged, size), content
                )
            failures += outcome[1] == "failed"
            self._outcomes.append(outcome)
            if len(self._outcomes) >= BATCH_ENTRIES or time.monotonic() - self._sent > BATCH_SECONDS:
                self._flush()
            if failures >= MOST_FAILURES:
                break
        self._flush()

    def scrub_whole(
        self,
        variables: dict[str, str],
        folder: RelPath,
        number: bytes,
        data: Buffer,
        tally: Tally,
        header: Header | None = None,
    ) -> tuple[Any, ...]:
        """De-identify one DICOM object that is in memory, by the only rules; gives its outcome. `header` is its own."""
        return self._scrub_entry(
            0, variables, folder, number, lambda: _Original(data, header=header), Content.DICOM, tally
        )

    @property
    def changes_uids(self) -> bool:
        """Whether objects may get other UIDs by the first of the rules."""
        return PrivacyRules.from_plain(self._plain[0][0]).changes_uids

    def read_whole(self, variables: dict[str, str], data: Buffer) -> Header | None:
        """The header of an object that is in memory, where it is known by another one."""
        return self._job[2].read(data) if self._job is not None and self._job[:2] == (0, variables) else None

    def close(self) -> None:
        """End the decoders of pixels."""
        self._decoding.close()

    def _flush(self) -> None:
        """Tell of entries and of what was counted over them, in one message: both survive this process, or neither."""
        if self._outcomes:
            counted = [
                (t.study_uid, t.series_uid, t.objects, t.frames, t.values, t.nested, list(t.overfull), "")
                for t in self._tally.drain()
            ]
            self._wire.send(("scrubbed", self._outcomes, counted))
            self._outcomes = []
        self._sent = time.monotonic()

    # -- one entry -------------------------------------------------------------------------------------------------

    def _scrub_entry(
        self,
        index: int,
        variables: dict[str, str],
        folder: RelPath,
        number: bytes,
        open_original: Callable[[], _Original],
        content: str,
        tally: Tally | None = None,
    ) -> tuple[Any, ...]:
        try:
            alike = self._alike(index, variables)
            source = open_original()
            if source.read is None:
                result = alike.scrub(source.head)
            else:
                result = scrub(source.head, source.size, source.read, rules=alike.rules, context=alike.context)
            if isinstance(result, Failed):
                return number, "failed", result.message
            if isinstance(result, Rejected):
                return number, "reject", result.message
            if content == Content.ECAT:
                return (*self._write_ecat(source, result, folder, number), _warnings(result))
            written = self._write_dicom(source, result, folder, number, tally or self._tally, alike)
            return (*written, _warnings(result))
        except _Failure as failure:
            return number, "failed", str(failure)
        except (Fault, OSError, MemoryError):
            raise
        except ScandockError as error:  # the rules can't be read: nothing may be stored by them
            return number, "failed", f"The rules can't be applied: {error.message}"
        except Exception as error:  # noqa: BLE001  whatever it is, this object is not stored
            if os.environ.get("SCANDOCK_DEBUG") == "1":
                traceback.print_exception(error, file=sys.stderr)
            return number, "failed", f"An unexpected error ({type(error).__name__})."

    def _alike(self, index: int, variables: dict[str, str]) -> Alike:
        """What is known of the objects of a job, by its rules and variables; of the last job alone."""
        if self._job is None or self._job[0] != index or self._job[1] != variables:
            plain, stored_uids = self._plain[index]
            parsed = self._parsed.get(index)
            if parsed is None:
                parsed = self._parsed[index] = parse_privacy_rules(PrivacyRules.from_plain(plain))
            key, rules = parsed
            context = Context(
                key=key, variables=variables, stored_uids=StoredUids(stored_uids), decode_pixels=self._decoding
            )
            self._job = index, variables, Alike(rules, context)
        return self._job[2]

    # -- the new object ----------------------------------------------------------------------------------------------

    def _write_dicom(
        self, source: _Original, result: Scrubbed, folder: RelPath, number: bytes, tally: Tally, alike: Alike
    ) -> tuple[Any, ...]:
        if source.read is None:
            parts = source.parts(result)
            header = result.header
            if header is None:
                whole = b"".join(parts)
                parts, header = [whole], _read_new_header(whole, len(whole), None)
                alike.learn(result, header, source.header)
            sha256 = _hash(parts)
            path, spare = self._image_names.find(header, sha256, number, folder)
            staged = StagedFile(sum(map(len, parts)), sha256, stage_parts(self._stage, parts, path, spare))
        else:
            staged = source.stream(self._stage, result, path_below(path_below(folder, BIG), number.hex()))

            def more(length: int) -> bytes:
                return self._stage.read_at(staged.staged, 0, length)

            try:
                header = _read_new_header(more(min(staged.size, _HEAD)), staged.size, more)
            except _Failure:
                self._stage.remove(staged.staged)
                raise
            path, spare = self._image_names.find(header, staged.sha256, number, folder)
            staged.staged = move_staged(self._stage, staged.staged, path, spare)
        tally.add(header)
        return (
            number, "ok", "", staged.size, staged.sha256, staged.staged, header.study_uid, header.series_uid,
            header.sop_uid, header.sop_class, count_object_frames(header.sop_class, header.values), header.dataset_at,
            header.transfer_syntax, "",
        )  # fmt: skip

    def _write_ecat(self, source: _Original, result: Scrubbed, folder: RelPath, number: bytes) -> tuple[Any, ...]:
        name = path_below(path_below(folder, ECAT), number.hex())
        if source.read is None:
            parts = source.parts(result)
            path = stage_parts(self._stage, parts, name, alternate_path(name))
            staged = StagedFile(sum(map(len, parts)), _hash(parts), path)
        else:
            staged = source.stream(self._stage, result, name)
        try:
            facts = read_ecat(
                self._stage.read_at(staged.staged, 0, 4096),
                staged.size,
                lambda offset, length: self._stage.read_at(staged.staged, offset, length),
            )
        except Unparseable:
            self._stage.remove(staged.staged)
            raise _Failure("The new file can't be read as ECAT 7.") from None
        return (
            number, "ok", "", staged.size, staged.sha256, staged.staged, "", "", "", "", count_ecat_frames(facts), 0,
            "", json.dumps(facts._asdict()),
        )  # fmt: skip


class EarlyScrubber:
    """De-identifies objects as they are read, in memory: what they were never gets to the disk.

    A reader has one where its import can be read so (`rules.privacy.EarlyScrub`).
    """

    def __init__(self, tasks: ScrubTasks, variables: dict[str, str]) -> None:
        self._tasks = tasks
        self._variables = variables
        self._changes_uids = tasks.changes_uids
        self._outcomes: list[tuple[Any, ...]] = []
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._failures = 0

    def read(self, data: Buffer) -> Header | None:
        """The header of an object, where it is known by another one."""
        return self._tasks.read_whole(self._variables, data)

    def scrub(self, number: bytes, path: str, data: Buffer, header: Header) -> RelPath | None:
        """De-identify an object; gives where the new one is, "" where there is none.

        None where the original is to be kept: enough have failed for each to be refused, be it of another study; or it
        may name what is stored of its study, which nobody knows yet (`pipeline/stored_uids.py`).
        """
        if self._failures >= MOST_FAILURES or (self._changes_uids and is_made_uid(header.study_uid)):
            return None
        if SCRUBBED_ENTRY:
            reach_scrubbed(path)
        tally = self._tallies[header.series_uid]
        outcome = self._tasks.scrub_whole(self._variables, EARLY, number, data, tally, header)
        self._failures += outcome[1] == "failed"
        self._outcomes.append(outcome)
        return outcome[5] if outcome[1] == "ok" else TREE_ROOT

    def drain(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What became of objects since the last time, and what was counted over the new ones, by their old series."""
        outcomes, self._outcomes = self._outcomes, []
        counted = [
            (own, t.study_uid, t.series_uid, t.objects, t.frames, t.values, t.nested, list(t.overfull))
            for own, tally in self._tallies.items()
            for t in tally.drain()
        ]
        self._tallies.clear()
        return outcomes, counted


class _Original:
    """The bytes of an entry: all of them where they fit into memory, else the header, and ranges from the stage."""

    def __init__(
        self,
        head: Buffer,
        size: int | None = None,
        read: Callable[[int, int], bytes] | None = None,
        header: Header | None = None,
    ) -> None:
        """`read`, where `head` is not all: gives a range. `header` where somebody has read it."""
        self.head = head
        self.header = header
        self.size = len(head) if size is None else size
        self.read = read

    @classmethod
    def staged(cls, stage: StageFiles, staged: RelPath, size: int) -> _Original:
        """Of an entry that is in the stage."""

        def read(start: int, end: int) -> bytes:
            data = stage.read_at(staged, start, end - start)
            if len(data) < end - start:
                raise ReadFailed("A staged file is shorter than it was written.", "Look at the disk and import again.")
            return data

        if size <= WHOLE:
            return cls(read(0, size))
        return cls(read(0, min(size, _HEAD)), size, read)

    def parts(self, result: Scrubbed) -> list[Buffer]:
        """What the new object consists of, one behind the other."""
        view = memoryview(self.head)
        return [
            piece
            for part in result.parts
            for piece in ((view[part.start : part.end],) if isinstance(part, Range) else _pieces(part))
        ]

    def stream(self, stage: StageFiles, result: Scrubbed, path: RelPath) -> StagedFile:
        """Write the new object to `path`, part by part; what a reader has left there that died goes."""
        digest, size = hashlib.sha256(), 0
        try:
            writer = stage.put(path)
        except FileExistsError:
            stage.remove(path)
            writer = stage.put(path)
        for part in result.parts:
            for chunk in self._chunks(part):
                digest.update(chunk)
                size += len(chunk)
                writer.write(chunk)
        writer.close()
        return StagedFile(size, digest.digest(), path)

    def _chunks(self, part: Part) -> Iterator[Buffer]:
        if not isinstance(part, Range):
            yield from _pieces(part)
            return
        assert self.read is not None
        for start in range(part.start, part.end, _CHUNK):
            yield self.read(start, min(part.end, start + _CHUNK))


def _hash(parts: Iterable[Buffer]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _pieces(part: bytes | memoryview | EditedPixels) -> Iterator[Buffer]:
    """What is in memory as it is; pixels of which areas are filled piece by piece."""
    if isinstance(part, EditedPixels):
        for piece in part:
            yield memoryview(piece)
    else:
        yield part


def _read_new_header(head: bytes, size: int, more: Callable[[int], bytes] | None) -> Header:
    """The header of a new object, by the ordinary scan; whatever that notes, the object fails."""
    try:
        header = read_header(head, size, _WANTED, more)
    except Unparseable as error:
        raise _Failure(f"The rules leave no readable object: {error.message}") from None
    if header.sop_class == DICOMDIR_CLASS or header.notes or header.pixels == "cut":
        raise _Failure("The new header does not read as it was meant.")
    return header


def parse_privacy_rules(rules: PrivacyRules) -> tuple[bytes, Rules]:
    """The rules as the scrub takes them, with their key. Raises what a script or table that can't be read raises."""
    safe = [SafePrivate(*element) for element in rules.safe_private]
    scripts = tuple(
        parse_script(text, "The script" if len(rules.scripts) == 1 else f"Script {number}")
        for number, text in enumerate(rules.scripts, 1)
    )
    return rules.key, Rules(
        scripts=scripts,
        lookups=parse_lookup_table(rules.lookups),
        profile=parse_profile(rules.profile, safe or None) if rules.profile else None,
        residue=rules.residue,
        policy=rules.policy,
    )


def _warnings(result: Scrubbed) -> tuple[tuple[str, str, str], ...]:
    return tuple((notice.code, notice.message, notice.remedy) for notice in result.warnings)

"""Files that are put into a session by hand: kept in a stage of their own, known by their digests, then shown.

(xnat-clients.md 2.4, 3 and 4.) An object in a scan's image resource has its SOP UID with its row, so that an import
which brings the same one finds it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import field, replace
from typing import Final

from scandock.formats.dicom_header import Unparseable, looks_like_dicom, read_header
from scandock.formats.ecat import looks_like_ecat, read_ecat
from scandock.model.dataclass import dataclass
from scandock.queue.tokens import new_token, new_uuid
from scandock.rules.errors import LabelUnusable
from scandock.rules.frame_counts import MODALITY, NUMBER_OF_FRAMES, count_ecat_frames, count_object_frames
from scandock.rules.permissions import Action
from scandock.services import audit
from scandock.services.context import ServiceContext
from scandock.services.file_errors import FilePathInvalid
from scandock.services.next_tree import NextTree, ResourcePath, StagedFile
from scandock.services.tree_changes import TreeChange
from scandock.store.paths import SENT_FILES, RelPath, label, parse_rel, path_below
from scandock.store.port import Stage, Store, Writer

_HEAD: Final = 1024 * 1024
_WANTED: Final = frozenset({MODALITY, NUMBER_OF_FRAMES})
_IMAGES: Final = frozenset({"dicom", "secondary", "ecat"})
Chunk = bytes | memoryview


class Digests:
    """SHA-256 and MD5 of the same bytes: by the one files are known here, by the other to clients."""

    def __init__(self) -> None:
        self._ours = hashlib.sha256()
        self._theirs = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def update(self, data: Chunk) -> None:
        self._ours.update(data)
        self._theirs.update(data)
        self.size += len(data)

    def digest(self) -> bytes:
        return self._ours.digest()

    def md5(self) -> bytes:
        return self._theirs.digest()


class StagedFileWriter:
    """One file of a stage as a sink of what arrives (see `web.receiving.spooling`)."""

    def __init__(self, stage: Stage, rel: RelPath) -> None:
        self.rel = rel
        self._writer: Writer = stage.put(rel)
        self._whole = False

    def append(self, offset: int, data: Chunk) -> int:
        """Write what comes next; nothing here is ever sent again."""
        assert offset == self._writer.size
        self._writer.write(data)
        return self._writer.size

    def sync(self) -> int:
        """Finish it. What stands in a stage is durable only once the stage is sealed."""
        self._writer.close()
        self._whole = True
        return self._writer.size

    def close(self) -> None:
        """Give up what was not finished."""
        if not self._whole:
            self._writer.abort()


@dataclass(slots=True)
class ResourceUpload:
    """What one request wants with its files."""

    uuid: str
    place: ResourcePath
    overwrite: bool | None = None
    """None where the request does not say: the same bytes again are no conflict then."""
    content: str = ""
    format: str = ""
    tags: str = ""


@dataclass(slots=True)
class StagedUpload:
    """The files of one request, in a stage of their own until they are shown."""

    stage: Stage
    holds: ExitStack
    files: list[StagedFile] = field(default_factory=list)
    _number: int = 0

    def next_rel(self) -> RelPath:
        """Where the next file may wait."""
        self._number += 1
        return path_below(SENT_FILES, str(self._number))

    def keep(self, name: str, chunks: Iterable[Chunk], counted: Callable[[int], None]) -> None:
        """Write one file from its bytes; `counted` hears of each piece's size and may refuse it."""
        digests, rel = Digests(), self.next_rel()
        with self.stage.put(rel) as writer:
            for chunk in chunks:
                counted(len(chunk))
                digests.update(chunk)
                writer.write(chunk)
        self.add(rel, name, digests)

    def add(self, rel: RelPath, name: str, digests: Digests) -> None:
        """Note a file that was written to the stage."""
        self.files.append(StagedFile(rel=rel, name=name, size=digests.size, sha256=digests.digest(), md5=digests.md5()))


def open_staged_upload(store: Store) -> StagedUpload:
    """A stage for the files of one request. Who asked for it closes `holds`, or hands it on with a change."""
    with ExitStack() as holds:
        number = new_uuid()
        holds.enter_context(store.hold(number))
        stage = store.begin(number, new_token())
        holds.callback(stage.close)
        holds.callback(store.finish, stage)
        return StagedUpload(stage, holds.pop_all())


def parse_file_path(text: str) -> str:
    """The path of a file in its resource, as a request names it. Usage `file_path_invalid`."""
    try:
        return parse_rel(text.strip("/"))
    except ValueError:
        raise FilePathInvalid(
            f"{text[:200]!r} can't be the path of a file.",
            "A path has no empty piece, no . or .., no backslash, no line break or other control character, and at most"
            " 1,024 bytes, 255 in each piece.",
        ) from None


def check_resource_label(text: str) -> str:
    """The label of a resource that is to be made. Usage `label_unusable`."""
    try:
        return label(text)
    except ValueError:
        raise LabelUnusable(
            f"{text[:100]!r} can't be the label of a resource.",
            "A label is 1 to 128 letters, digits, _ and -.",
        ) from None


def make_upload_change(context: ServiceContext, request: ResourceUpload, staged: StagedUpload) -> TreeChange:
    """The change that shows the files that came."""
    if request.place.scan_id is not None and request.place.label.casefold() in _IMAGES:
        staged.files = [_add_header_facts(staged.stage, staged_file) for staged_file in staged.files]
    content, kind = request.content, request.format

    def apply(next_tree: NextTree) -> Mapping[str, audit.DetailValue]:
        new = next_tree.put(
            staged.stage, request.place, staged.files, overwrite=request.overwrite, kind=(content, kind, request.tags)
        )
        return {"fields": ["files"], "files": new, "bytes": sum(staged_file.size for staged_file in staged.files)}

    return TreeChange(context, Action.SESSION_EDIT, apply, staged.stage, staged.holds)


def _add_header_facts(stage: Stage, staged_file: StagedFile) -> StagedFile:
    """What an image's header says that belongs to a file's row; any other file is no image."""
    head = stage.read_at(staged_file.rel, 0, min(_HEAD, staged_file.size))
    try:
        if looks_like_ecat(head):
            facts = read_ecat(
                head, staged_file.size, lambda offset, length: stage.read_at(staged_file.rel, offset, length)
            )
            return replace(staged_file, frames=count_ecat_frames(facts))
        if not looks_like_dicom(head, staged_file.size):
            return staged_file
        header = read_header(head, staged_file.size, _WANTED, lambda length: stage.read_at(staged_file.rel, 0, length))
    except Unparseable:
        return staged_file
    frames = count_object_frames(header.sop_class, header.values)
    return replace(staged_file, sop_uid=header.sop_uid or None, frames=frames, dataset_at=header.dataset_at)

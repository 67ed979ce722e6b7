"""Writing the bytes of entries into the stage, once, hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from scandock.model.errors import BadInput
from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.rules.filenames import object_name
from scandock.rules.sop_classes import is_primary
from scandock.store.errors import ScratchMissing
from scandock.store.paths import IMAGES, RelPath, alternate_path, image_folder, path_below, uid_key

if TYPE_CHECKING:
    from scandock.formats.dicom_header import Header

MANY_SERIES: Final = 10_000
"""Whose folders are remembered, at most: UIDs may have 512 characters."""
_CHUNK = 1024 * 1024


class StageFile(Protocol):
    def write(self, data: bytes | memoryview, /) -> object: ...
    def close(self) -> object: ...


class StageFiles(Protocol):
    """What the reading step needs of a stage (`scandock.store`); paths are relative to it."""

    def put(self, rel: RelPath, /) -> StageFile: ...
    def put_whole(self, rel: RelPath, data: bytes | memoryview, /) -> object: ...
    def move(self, old: RelPath, new: RelPath, /) -> None: ...
    def remove(self, rel: RelPath, /) -> None: ...
    def read_at(self, rel: RelPath, offset: int, length: int, /) -> bytes: ...
    def local_path(self, rel: RelPath, /) -> str | None: ...


class StagedFile:
    """What was written: its size and sha256, and where."""

    __slots__ = ("sha256", "size", "staged")

    def __init__(self, size: int, sha256: bytes, staged: RelPath) -> None:
        self.size = size
        self.sha256 = sha256
        self.staged = staged


class ImageNames:
    """Where DICOM objects stand in the stage: in a folder of their series, by their UID."""

    def __init__(self) -> None:
        self._folders: dict[tuple[RelPath, str, str, bool], RelPath] = {}
        """By folder of images, study, series, and whether the object is no secondary one."""

    def find(self, header: Header, sha256: bytes, number: bytes, images: RelPath = IMAGES) -> tuple[RelPath, RelPath]:
        """The name of an object below `images`, and the one that entry `number` has where that is taken."""
        series = (images, header.study_uid, header.series_uid, is_primary(header.sop_class))
        folder = self._folders.get(series)
        if folder is None:
            if len(self._folders) >= MANY_SERIES:
                self._folders.clear()
            kind = "D" if series[3] else "S"
            folder = image_folder(uid_key(header.study_uid), uid_key(header.series_uid), kind, images)
            self._folders[series] = folder
        path = path_below(folder, object_name(header.sop_uid, sha256))
        return path, alternate_path(path, number.hex())


def stage_bytes(stage: StageFiles, data: bytes | memoryview, path: RelPath, spare: RelPath) -> RelPath:
    """Write `data` to `path`, or to `spare` where that name is taken; gives the name used.

    `spare` is the entry's own: what stands there, a reader has left that died at it.
    """
    try:
        stage.put_whole(path, data)
    except FileExistsError:
        try:
            stage.put_whole(spare, data)
        except FileExistsError:
            stage.remove(spare)
            stage.put_whole(spare, data)
        return spare
    return path


def stage_parts(stage: StageFiles, parts: Iterable[Buffer], path: RelPath, spare: RelPath) -> RelPath:
    """As `stage_bytes`, of a file that is not in one piece: no whole one is made of it."""
    try:
        writer = stage.put(path)
    except FileExistsError:
        path = spare
        try:
            writer = stage.put(spare)
        except FileExistsError:
            stage.remove(spare)
            writer = stage.put(spare)
    for part in parts:
        writer.write(part)
    writer.close()
    return path


def stage_stream(stage: StageFiles, body: EntryBody, staged: RelPath, grown: Callable[[int], None]) -> StagedFile:
    """Write a stream to `staged`, hashing it; `grown` hears of each chunk's size. A broken stream leaves nothing."""
    digest = hashlib.sha256()
    size = 0
    try:
        writer = stage.put(staged)
    except FileExistsError:  # names here are by ordinal: a reader that died has left it
        stage.remove(staged)
        writer = stage.put(staged)
    try:
        for chunk in body.chunks():
            digest.update(chunk)
            size += len(chunk)
            grown(size)
            writer.write(chunk)
    except BadInput:
        writer.close()
        stage.remove(staged)
        raise
    writer.close()
    return StagedFile(size, digest.digest(), staged)


def move_staged(stage: StageFiles, old: RelPath, path: RelPath, spare: RelPath) -> RelPath:
    """Move `old` to `path`, or to `spare`, as `stage_bytes` does, where that is taken; gives the name used."""
    try:
        stage.move(old, path)
    except FileExistsError:
        stage.remove(spare)
        stage.move(old, spare)
        return spare
    return path


def scratch_path(stage: StageFiles, rel: RelPath) -> str:
    """Path of a scratch file of the stage; a Fault where the store has no place for such."""
    path = stage.local_path(rel)
    if path is None:
        raise ScratchMissing
    return path


def hash_dataset(read_at: Callable[[int, int], bytes], start: int) -> bytes:
    """sha256 of an object behind its preamble and file meta: by it objects are the same that differ in those alone."""
    digest = hashlib.sha256()
    at = start
    while chunk := read_at(at, _CHUNK):
        digest.update(chunk)
        at += len(chunk)
    return digest.digest()

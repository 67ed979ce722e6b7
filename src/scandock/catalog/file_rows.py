"""What the catalog knows of a file of a tree."""

from __future__ import annotations

import builtins
from typing import Final, NamedTuple

FileAnnotations = tuple[str | None, str | None, str | None]
"""Content, format and tags that a person said of one file; None where nothing was said, and its resource's hold."""
NO_ANNOTATIONS: Final[FileAnnotations] = (None, None, None)


class FileHead(NamedTuple):
    """What lists of files are sorted and searched by: a part of `FileRow`."""

    n: int
    resource_n: int
    name: str
    bytes: int


class FileRow(NamedTuple):
    n: int
    resource_n: int
    name: str
    bytes: int
    sha256: builtins.bytes
    sop_uid: str | None
    frames: int
    dataset_at: int
    content: str | None = None
    """What a person said of this one file, as its format and tags: without, it has its resource's."""
    format: str | None = None
    tags: str | None = None
    origin: builtins.bytes | None = None
    """Keyed hash of the object that it was before it was de-identified."""
    rules: builtins.bytes | None = None
    """Fingerprint of the rules that de-identified it."""
    sop_key: int | None = None
    """Keyed hash of the SOP Instance UID that it had before it was de-identified."""

    @property
    def words(self) -> FileAnnotations:
        return self.content, self.format, self.tags

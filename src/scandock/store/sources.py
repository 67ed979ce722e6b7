"""What a reader opens an archive by: a path, or a reference to the parts of an upload that lie in a bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from scandock.formats.source import FileSource

if TYPE_CHECKING:
    from scandock.formats.parts_source import PartsSource

_MARK: Final = "\0parts:"
"""What no path of a file begins with."""


def format_reference(path: str) -> str:
    """The reference to the parts that a file names."""
    return _MARK + path


def open_source(where: str) -> FileSource | PartsSource:
    """The bytes of a file, or of the parts of a reference. OSError as `FileSource` raises."""
    if not where.startswith(_MARK):
        return FileSource(where)
    from scandock.formats.parts_source import PartsSource
    from scandock.store.bucket import Bucket

    with open(where.removeprefix(_MARK), encoding="utf-8") as file:
        name, prefix, endpoint, region, parts = json.load(file)
    bucket = Bucket(name, prefix, endpoint=endpoint, region=region)
    return PartsSource([(key, size) for key, size in parts], bucket.get_range)

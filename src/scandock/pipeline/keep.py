"""Writing the bytes of entries into the stage, once, hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from scandock.model.errors import BadInput
from scandock.pipeline.body import Body


class Writer(Protocol):
    def write(self, data: bytes | bytearray | memoryview, /) -> object: ...
    def close(self) -> object: ...


class Keeper(Protocol):
    """What the reading step needs of a stage (`scandock.store`); paths are relative to it."""

    def put(self, relpath: str) -> Writer: ...
    def move(self, old: str, new: str) -> None: ...
    def remove(self, relpath: str) -> None: ...
    def read_at(self, relpath: str, offset: int, length: int) -> bytes: ...
    def full_path(self, relpath: str) -> str: ...


class Kept:
    """What was written: its size and sha256, and where."""

    __slots__ = ("sha256", "size", "staged")

    def __init__(self, size: int, sha256: bytes, staged: str) -> None:
        self.size = size
        self.sha256 = sha256
        self.staged = staged


def keep_whole(stage: Keeper, data: bytes | bytearray | memoryview, wanted: str, spare: str) -> str:
    """Write `data` to `wanted`, or to `spare` where that name is taken; gives the name used."""
    try:
        writer, staged = stage.put(wanted), wanted
    except FileExistsError:
        writer, staged = stage.put(spare), spare
    try:
        writer.write(data)
    finally:
        writer.close()
    return staged


def keep_stream(stage: Keeper, body: Body, staged: str, grown: Callable[[int], None]) -> Kept:
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
    return Kept(size, digest.digest(), staged)


def move_free(stage: Keeper, old: str, wanted: str, spare: str) -> str:
    """Move `old` to `wanted`, or to `spare` where that is taken; gives the name used."""
    try:
        stage.move(old, wanted)
    except FileExistsError:
        stage.move(old, spare)
        return spare
    return wanted

"""What is counted of an archive while it is read: never more than has come of it, as the rest may still come."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from scandock.formats.kinds import Kind
from scandock.formats.meter import Meter
from scandock.formats.source import MemorySource
from scandock.formats.zip_entry import WHOLE
from scandock.model.entry import Container
from scandock.model.limits import Limits
from scandock.pipeline.entry_body import EntryBody
from scandock.pipeline.unpacker import Unpacker
from tests.badinput import tars


class WatchedSource:
    """Bytes in memory; `on_read` is told of the offset of each read."""

    def __init__(self, data: bytes, on_read: Callable[[int], object]) -> None:
        self._source = MemorySource(data)
        self._on_read = on_read
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        self._on_read(offset)
        return self._source.read_at(offset, length)

    def readinto_at(self, offset: int, view: memoryview) -> int:
        self._on_read(offset)
        return self._source.readinto_at(offset, view)


def read_whole(_number: bytes, _prefix: str, _name: str, body: EntryBody, _container: bytes) -> None:
    for _ in body.chunks():
        pass


def test_members_of_a_plain_tar_are_counted_as_their_bytes_are_read() -> None:
    sizes = (1000, WHOLE + 3_000_000, WHOLE, 1000)
    body = tars.plain(*((b"%d.bin" % n, bytes(size)) for n, size in enumerate(sizes)))
    meter = Meter(Limits(), len(body))
    too_early: list[int] = []
    source = WatchedSource(body, lambda offset: too_early.append(offset) if meter.bytes > offset else None)
    handler: Any = SimpleNamespace(
        emitted=0, take=read_whole, place=lambda _: SimpleNamespace(is_resource_folder=False)
    )
    control: Any = SimpleNamespace(begin=lambda *_: True)
    unpacker = Unpacker(handler, meter, Limits(), control)

    assert unpacker.stream(Container(b"", "", "", 0, len(body), str(Kind.TAR), 1, "a.tar"), source, None)

    assert too_early == []
    assert meter.bytes == sum(sizes)

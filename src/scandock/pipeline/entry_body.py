"""The bytes of one entry: whole in a reused buffer, or as a stream that is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

HEAD = 1024 * 1024
"""Bytes of a streamed entry that are looked at before it is decided what it is."""

Buffer = bytes | memoryview


class EntryBody:
    """Bytes of an entry. A whole one is valid only until the next entry is asked for."""

    __slots__ = ("_chunks", "_open", "whole")

    def __init__(self, whole: Buffer | None, open_chunks: Callable[[], Iterator[Buffer]] | None = None) -> None:
        self.whole = whole
        self._open = open_chunks
        self._chunks: Iterator[Buffer] | None = None

    def head(self) -> Buffer:
        """The first bytes (all of them where the entry is whole); a stream still gives them again in `chunks`."""
        if self.whole is not None:
            return self.whole
        first = bytearray()
        rest = self.chunks()
        for chunk in rest:
            first += chunk
            if len(first) >= HEAD:
                break
        self._chunks = chain((bytes(first),), rest) if first else rest
        return bytes(first)

    def chunks(self) -> Iterator[Buffer]:
        """All bytes, in order; of a stream only once."""
        if self.whole is not None:
            return iter((self.whole,))
        if self._chunks is None:
            assert self._open is not None
            self._chunks = iter(self._open())
        return self._chunks

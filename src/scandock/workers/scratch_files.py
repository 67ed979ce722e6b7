"""Files without names, for what is too large for memory: they go with the process, whatever ends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.services.output_folder import OutputFolder
from scandock.store.paths import RelPath


class ScratchFiles:
    """Such files by names of ours, as a stage has files (`pipeline.staging.StageFiles`)."""

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._fds: dict[RelPath, int] = {}

    @contextmanager
    def spool(self, body: EntryBody, grown: Callable[[int], None]) -> Iterator[tuple[int, int]]:
        """A descriptor of all that a stream gives, and its size."""
        fd = self._output.scratch()
        try:
            size = 0
            for chunk in body.chunks():
                size += len(chunk)
                grown(size)
                self._output.write_scratch(fd, chunk)
            yield fd, size
        finally:
            os.close(fd)

    def put(self, rel: RelPath) -> _ScratchFile:
        fd = self._fds[rel] = self._output.scratch()
        return _ScratchFile(self._output, fd)

    def put_whole(self, rel: RelPath, data: Buffer) -> None:
        self.put(rel).write(data)

    def move(self, old: RelPath, new: RelPath) -> None:
        self._fds[new] = self._fds.pop(old)

    def remove(self, rel: RelPath) -> None:
        fd = self._fds.pop(rel, None)
        if fd is not None:
            os.close(fd)

    def read_at(self, rel: RelPath, offset: int, length: int) -> bytes:
        return os.pread(self._fds[rel], length, offset)

    def local_path(self, rel: RelPath) -> str:
        return f"/proc/self/fd/{self._fds[rel]}"

    def close(self) -> None:
        for rel in list(self._fds):
            self.remove(rel)


class _ScratchFile:
    """One of them, while it is written."""

    def __init__(self, output: OutputFolder, fd: int) -> None:
        self._output = output
        self._fd = fd

    def write(self, data: Buffer) -> None:
        self._output.write_scratch(self._fd, data)

    def close(self) -> None:
        """It stays open: it has no name to be opened by again."""

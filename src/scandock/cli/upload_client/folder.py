"""A folder as the tar that it makes: sorted by path, so that the same folder gives the same bytes at the same offsets.

Nothing is written to disk: headers are made, and files read, when their bytes are asked for.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from scandock.cli.upload_client.sources import PIECE_BYTES, archive_changed, read_failed
from scandock.formats.errors import ArchiveEmpty
from scandock.model.dataclass import dataclass

BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = 2 * BLOCK
"""Empty blocks that end a tar."""


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    """Below the folder."""
    size: int
    mtime_ns: int
    link: str | None = None
    """Where a link leads: it is named, and never followed."""

    @property
    def header(self) -> bytes:
        info = tarfile.TarInfo(self.path)
        info.mtime = self.mtime_ns // 1_000_000_000
        info.mode = 0o644
        if self.link is not None:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        else:
            info.size = self.size
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    @property
    def padding(self) -> int:
        return -self.size % BLOCK


class FolderSource:
    """The files of a folder and all below it. Raises BadInput `empty_archive` where there are none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(os.path.abspath(path))
        self._members: list[_Member] = []
        self._offsets: list[int] = []
        size = 0
        files = 0
        for member in _list_members(path):
            self._members.append(member)
            self._offsets.append(size)
            size += len(member.header) + member.size + member.padding
            files += member.link is None
        if not files:
            raise ArchiveEmpty(f"The folder {path!r} holds no files.", "Name the folder that holds the session.")
        self._offsets.append(size)
        self.size = size + _END

    def identity(self) -> bytes:
        """Every file's path, size and time of its last change."""
        digest = hashlib.sha256()
        for member in self._members:
            digest.update(repr((member.path, member.size, member.mtime_ns, member.link)).encode())
        return digest.digest()

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """See `Source.read`."""
        index = bisect_right(self._offsets, offset) - 1
        skip = offset - self._offsets[index]
        remaining = length
        for member in (*self._members[index:], None):
            for piece in self._pieces(member, skip):
                if remaining and piece:
                    yield piece[:remaining]
                    remaining -= min(remaining, len(piece))
            skip = 0
            if not remaining:
                return

    def close(self) -> None:
        """Nothing stays open."""

    def _pieces(self, member: _Member | None, skip: int) -> Iterator[bytes]:
        """The bytes of a member (None: of the end), without the first `skip`."""
        if member is None:
            yield bytes(_END)[skip:]
            return
        header = member.header
        if skip < len(header):
            yield header[skip:]
        position = max(0, skip - len(header))
        if position < member.size:
            yield from self._content(member, position)
        if member.padding:
            yield bytes(member.padding)[max(0, position - member.size) :]

    def _content(self, member: _Member, position: int) -> Iterator[bytes]:
        path = os.path.join(self.path, member.path)
        try:
            with open(path, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != (member.size, member.mtime_ns):
                    raise archive_changed(path)
                while position < member.size:
                    piece = os.pread(file.fileno(), min(PIECE_BYTES, member.size - position), position)
                    if not piece:
                        raise archive_changed(path)
                    position += len(piece)
                    yield piece
        except OSError as error:
            raise read_failed(path, error) from error


def _list_members(folder: str) -> Iterator[_Member]:
    """All below a folder that has bytes or is a link, sorted by path; pipes and devices have none and are left out."""

    def stop(error: OSError) -> None:
        raise read_failed(str(error.filename), error) from error

    for root, folders, names in os.walk(folder, onerror=stop):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted(names + links):
            full = os.path.join(root, name)
            try:
                status = os.lstat(full)
                link = os.readlink(full) if stat.S_ISLNK(status.st_mode) else None
            except OSError as error:
                raise read_failed(full, error) from error
            if link is not None or stat.S_ISREG(status.st_mode):
                size = 0 if link is not None else status.st_size
                yield _Member(os.path.relpath(full, folder), size, status.st_mtime_ns, link)

"""A stage that keeps nothing, for a dry run: what is arranged in it is arranged in names alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, NoReturn, Self

from scandock.store.handles import ReadFile, StagedPart, Writer
from scandock.store.paths import RelPath, unchecked_path
from scandock.store.records import AdoptResult, Blob, Mark, StoreEntry


class NullStage:
    """Takes every change and has no file: the `Stage` of a store in which nothing stands."""

    is_remote = False

    def __init__(self, upload: str, token: str) -> None:
        self.upload = upload
        self.token = token

    def put(self, rel: str) -> Writer:
        return _NullWriter(rel)

    def put_whole(self, rel: str, data: bytes | memoryview, sha256: bytes = b"") -> Blob:
        return Blob(rel, 0, len(data), len(data), sha256)

    def adopt(self, name: str, pairs: Iterable[tuple[str, str]]) -> AdoptResult:  # noqa: ARG002
        return AdoptResult(sum(1 for _ in pairs), 0)

    def move(self, old: str, new: str) -> None: ...

    def compose(
        self,
        root: str,  # noqa: ARG002
        staged: Iterable[StagedPart],
        *,
        base: str | None = None,  # noqa: ARG002
        kept: Iterable[str] = (),  # noqa: ARG002
    ) -> Mark:
        for _ in staged:
            pass
        return Mark(0)

    def remove(self, rel: str) -> None: ...

    def clear(self) -> None: ...

    def write_back(self) -> None: ...

    def name_read(self, files: Sequence[tuple[ReadFile, bytes]]) -> list[RelPath]:
        return [unchecked_path(file.rel) for file, _ in files]

    def send_ahead(self, files: Iterable[ReadFile]) -> None: ...

    def seal(self, check: Callable[[], None] | None = None) -> None: ...

    def open(self, rel: str, offset: int = 0, length: int | None = None) -> IO[bytes]:  # noqa: ARG002
        _refuse(rel)

    def read_at(self, rel: str, offset: int, length: int) -> bytes:  # noqa: ARG002
        _refuse(rel)

    def local_path(self, rel: str) -> None: ...

    def exists(self, rel: str) -> bool:  # noqa: ARG002
        return False

    def list(self, rel: str = "") -> list[str]:  # noqa: ARG002
        return []

    def walk(self, rel: str = "") -> Iterator[StoreEntry]:  # noqa: ARG002
        return iter(())

    def mark(self, rel: str) -> None: ...

    def close(self) -> None: ...


def _refuse(rel: str) -> NoReturn:
    raise FileNotFoundError(2, "Nothing is kept in a dry run", rel)


class _NullWriter:
    """Counts what it is given."""

    def __init__(self, rel: str) -> None:
        self._rel = rel
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self.size += len(data)
        return len(data)

    def close(self, sha256: bytes = b"") -> Blob:
        return Blob(self._rel, 0, self.size, self.size, sha256)

    def abort(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None: ...

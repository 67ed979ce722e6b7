"""A disk that keeps what was synced and nothing else: what a power cut may leave in the worst case that POSIX allows.

A file holds the bytes of its last fsync (none where there was none), a folder the names that it had then; syncfs is an
fsync of all. Real file systems keep more, by their journals: what they forgive today is not what is promised. The
catalog's own files are left as they are, as SQLite syncs them; `test_power_cuts.py` cuts the power of those as well.

`SyncedDisk` watches the syncs of its own process. `run_until_cut` is a process (`forked.Fork`) that is watched and ends
at a named point of the crash suite; `DiskContents.apply` then takes from DATA what was not synced, inodes staying as
they are, since intents name them.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import linecache
import os
import pickle
import re
import shutil
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

import pytest

import scandock
from scandock.store import syscalls

SOURCE = Path(scandock.__file__).parent
CATALOG = ("scandock.db", "scandock.db-wal", "scandock.db-shm")
WRAPPERS = ("store/durability.py", "store/syscalls.py")
"""What is named by who calls it."""
HINT = "store/stages.py _write_back: syscalls.syncfs(fd)"
"""Has the system begin early, beside the import; nobody waits for it, so that nothing may count on it."""
CUT = 9
"""Exit code of a process whose power was cut."""


@dataclass
class DiskContents:
    """What is on the disk, by inode."""

    root: int = 0
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    """Names with their inode, and whether that is a folder."""

    def tree(self, number: int, below: str = "") -> Iterator[tuple[str, int, bool]]:
        """(path, inode, is a folder) of all that is below a folder, parents first."""
        for name, (inode, is_folder) in sorted(self.folders.get(number, {}).items()):
            yield below + name, inode, is_folder
            if is_folder:
                yield from self.tree(inode, f"{below}{name}/")

    def contents(self) -> dict[str, bytes | None]:
        """Bytes of each file that is on the disk, None of a folder, by path."""
        return {
            path: None if is_folder else self.files.get(number, b"")
            for path, number, is_folder in self.tree(self.root)
            if os.path.basename(path) not in CATALOG
        }

    def apply(self, root: Path) -> None:
        """Leave of the folder what is kept, in its place and with its inode. Nobody may be at work in it."""
        limbo = root.with_name(root.name + ".limbo")
        limbo.mkdir()
        for above, folders, files in os.walk(root, topdown=False):
            for name in (*folders, *files):
                if name not in CATALOG:
                    path_ = Path(above, name)
                    target = limbo / str(path_.lstat().st_ino)
                    path_.unlink() if target.exists() else path_.rename(target)
        for rel, number, is_folder in self.tree(self.root):
            path, lives = root / rel, limbo / str(number)
            if path.name in CATALOG:
                continue
            if is_folder:
                lives.rename(path) if lives.exists() else path.mkdir()
                continue
            content = self.files.get(number, b"")
            if lives.exists():
                os.link(lives, path)
            if not lives.exists() or path.read_bytes() != content:
                path.write_bytes(content)
        shutil.rmtree(limbo)


class SyncedDisk:
    """`with SyncedDisk(root)`: what is in the folder counts as synced, and from then on what this process syncs.

    Of a call of the source that is `dropped` (`sites`) no sync counts. Syncs cost nothing: the system keeps the bytes.
    """

    def __init__(self, root: Path, dropped: str = "") -> None:
        self.root = root
        self.dropped = dropped
        self.kept = DiskContents(root.stat().st_ino)
        self.missed = 0
        """Syncs that were dropped."""
        self._lock = threading.Lock()
        self._held: dict[int, int] = {}
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._note_all()
        patch = self._closing.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(os, "fdatasync", self._fsync)
        patch.setattr(syscalls, "syncfs", self._syncfs)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()
        for fd in self._held.values():
            os.close(fd)

    def end(self) -> bytes:
        """What is kept, and the number of syncs that were dropped, pickled; from now on every sync waits for ever."""
        self._lock.acquire()
        return pickle.dumps((self.kept, self.missed))

    def unsynced(self, below: str = "") -> list[str]:
        """Paths that a power cut would take, change, or bring back."""
        now = _read_folder(self.root)
        contents = self.kept.contents()
        every = now.keys() | contents.keys()
        return sorted(
            path for path in every if path.startswith(below) and now.get(path, "no") != contents.get(path, "no")
        )

    def has_bytes_of(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file's bytes are synced, whatever name it has on the disk."""
        return self.kept.files.get(os.stat(path).st_ino) == Path(path).read_bytes()

    def has_name(self, path: Path) -> bool:
        """Whether the name of a file is synced: for those of the catalog, whose bytes SQLite syncs."""
        return path.name in self.kept.folders.get(path.parent.stat().st_ino, {})

    def _fsync(self, fd: int) -> None:
        os.fstat(fd)  # which raises OSError of a descriptor that is none
        if not self._is_dropped():
            with self._lock:
                self._note(f"/proc/self/fd/{fd}", follow=True)

    def _syncfs(self, fd: int) -> None:
        os.fstat(fd)
        if not self._is_dropped():
            self._note_all()

    def _is_dropped(self) -> bool:
        under_way = active_sync_calls(inspect.currentframe())
        if self.dropped in under_way:
            self.missed += 1
        return not under_way.isdisjoint({self.dropped, HINT})

    def _note_all(self) -> None:
        with self._lock:
            self._note(str(self.root))
            for above, folders, files in os.walk(self.root):
                for name in (*folders, *files):
                    with contextlib.suppress(FileNotFoundError):  # of other threads
                        self._note(os.path.join(above, name))

    def _note(self, path: str, *, follow: bool = False) -> None:
        status = os.stat(path) if follow else os.lstat(path)
        self._hold(path, status.st_ino, follow=follow)
        if stat.S_ISDIR(status.st_mode):
            names = {}
            for name in os.listdir(path):
                with contextlib.suppress(FileNotFoundError):
                    entry_status = os.lstat(f"{path}/{name}")
                    self._hold(f"{path}/{name}", entry_status.st_ino)
                    names[name] = (entry_status.st_ino, stat.S_ISDIR(entry_status.st_mode))
            self.kept.folders[status.st_ino] = names
        elif stat.S_ISREG(status.st_mode) and not os.path.basename(path).startswith(CATALOG[0]):
            self.kept.files[status.st_ino] = Path(path).read_bytes()

    def _hold(self, path: str, number: int, *, follow: bool = False) -> None:
        """Keep an inode from being given to another file."""
        if number not in self._held:
            self._held[number] = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))


def _read_folder(root: Path) -> dict[str, bytes | None]:
    contents: dict[str, bytes | None] = {}
    for above, folders, files in os.walk(root):
        rel = os.path.relpath(above, root)
        here = "" if rel == "." else rel + "/"
        contents.update((here + name, None) for name in folders)
        contents.update((here + name, Path(above, name).read_bytes()) for name in files if name not in CATALOG)
    return contents


# -- which sync it is --------------------------------------------------------------------------------------------------


def active_sync_calls(frame: FrameType | None) -> set[str]:
    """The calls of the source that are under way: `store/spools.py sync: sync_folder(INCOMING, self._root.fd)`."""
    names = set()
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        if path.is_relative_to(SOURCE) and (name := _calls(path).get(frame.f_lineno)):
            names |= name
        frame = frame.f_back
    return names


_known: dict[Path, dict[int, set[str]]] = {}


def _calls(path: Path) -> dict[int, set[str]]:
    """The calls of a module that sync, by the lines on which they stand."""
    if path not in _known:
        calls_by_line: dict[int, set[str]] = {}
        _known[path] = calls_by_line
        rel = str(path.relative_to(SOURCE))
        text = "".join(linecache.getlines(str(path)))
        tree = ast.parse(text)
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or rel in WRAPPERS:
                continue
            calls = [call for call in ast.walk(function) if isinstance(call, ast.Call) and _syncs(rel, call)]
            times = Counter[str]()
            for call in sorted(calls, key=lambda call: call.lineno):
                name = f"{rel} {function.name}: {ast.unparse(call)}"
                times[name] += 1
                if times[name] > 1:
                    name += f" ({times[name]})"
                for line in range(call.lineno, (call.end_lineno or call.lineno) + 1):
                    calls_by_line.setdefault(line, set()).add(name)
    return _known[path]


def _syncs(rel: str, call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if last == "seal":  # of a stage
        return "." in name
    if last in {"fsync", "fdatasync", "syncfs", "sync_file", "sync_folder", "sync_all", "replace_file"}:
        return True
    if last == "settle":  # of a store: other things settle too
        return rel.startswith(("store/", "publishing/"))
    return last == "sync" and name.endswith("spool.sync")


_CALL = re.compile(r"(sync|fdatasync|syncfs|sync_file|sync_folder|sync_all|replace_file|\.seal|\.settle)\(")


def sync_calls() -> set[str]:
    """Every call of the source that syncs something."""
    calls: set[str] = set()
    for path in sorted(SOURCE.rglob("*.py")):
        if _CALL.search(path.read_text()):
            for names in _calls(path).values():
                calls |= names
    return calls


# -- a command that is cut off -----------------------------------------------------------------------------------------


def run_until_cut(folder: str, target: str, dropped: str, function: str, *words: str) -> int:
    """A function ("module:name"), its power cut at the point that SCANDOCK_CRASH_AT names, or when it has ended.

    What is kept of the folder goes to the file `target`.
    """
    from scandock.model import crash_points

    disk = SyncedDisk(Path(folder), dropped).__enter__()

    def cut() -> None:
        Path(target).write_bytes(disk.end())
        os._exit(CUT)

    crash_points._send_signal = cut  # noqa: SLF001
    module, _, name = function.partition(":")
    getattr(importlib.import_module(module), name)(*words)
    cut()
    return CUT

"""Runs of the command line in a world around DATA that must stay as it is.

As a process, under bounds of time, memory and file sizes; or within the test's own process, where those can't be told
from the test's.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.forked import ForkedCommand
from tests.integration.in_process import run_in_process

ADDRESS_SPACE: Final = 16 << 30
"""Of one process: far above what is needed, far below what a header may claim and a loop may take."""
LARGEST_FILE: Final = 3 << 30
_WORK_SECONDS: Final = 0.04
"""Of the processor, between two looks at what processes have taken: each look costs some of it."""
PATIENCE: Final = 600.0
"""Seconds after which a run is killed, however little of the processor it got: a test fails, it does not hang."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave."""

    code: int
    report: dict[str, Any]
    lines: list[dict[str, Any]]
    stderr: str
    seconds: float
    """Of the processor, as a machine that is busy otherwise gives them late."""
    memory: int
    """Largest sum of PSS over the run's processes, in bytes; 0 where it was not measured."""
    staged: int
    """Most bytes that stood on disk under DATA/work and DATA/incoming, as far as seen."""


@dataclass(slots=True)
class BoundedFolder:
    """A DATA folder, and beside it a working folder, a temporary one, a home and a canary that nobody may touch."""

    root: Path
    data: Path = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.root / "DATA"
        for name in ("cwd", "tmp", "home", "canary", "archives", "receipts"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "canary" / "secret").write_text("not to be read, not to be written\n")

    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SCANDOCK_")}
        own = {"TMPDIR": str(self.root / "tmp"), "HOME": str(self.root / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**inherited, **own, "COLUMNS": "120", "NO_COLOR": "1"}

    def around(self) -> dict[str, tuple[int, int, int]]:
        """Everything beside DATA: path, mode, size and time of change."""
        entries = {}
        for folder, folders, files in os.walk(self.root):
            if Path(folder) == self.root:
                folders[:] = [name for name in folders if name not in {"DATA", "receipts"}]
            for name in (*folders, *files):
                info = os.lstat(os.path.join(folder, name))
                size = info.st_size if stat.S_ISREG(info.st_mode) else 0
                entries[os.path.relpath(os.path.join(folder, name), self.root)] = (info.st_mode, size, info.st_mtime_ns)
        mode, size, _ = entries["tmp"]
        entries["tmp"] = (mode, size, 0)  # may be used, must be empty again
        return entries


class _Watch(threading.Thread):
    """Samples memory of a session's processes, and what is staged, until told to stop."""

    def __init__(self, leader: int, data: Path) -> None:
        super().__init__(daemon=True)
        self.leader, self.data, self.done = leader, data, threading.Event()
        self.memory = self.staged = 0
        self._cpu: dict[int, float] = {}
        self._due = self._seen = 0.0

    @property
    def seconds(self) -> float:
        """Of the processor that its processes have taken, but for the last moment of each."""
        return sum(self._cpu.values())

    def run(self) -> None:
        while not self.done.wait(0.06):
            self.look()

    def look(self) -> None:
        members = list(_members(self.leader))
        for member in members:
            self._cpu[member] = max(self._cpu.get(member, 0.0), _cpu(member))
        if self.memory and self.seconds < self._seen + _WORK_SECONDS:
            return  # who has done no work since has taken no more memory, and written nothing
        self._seen = self.seconds
        self.memory = max(self.memory, sum(map(_pss, members)))
        started = time.monotonic()
        if started >= self._due:  # a walk over 100,000 files takes longer than the pause, and as much of the processor
            self.staged = max(self.staged, _size_on_disk(self.data / "work") + _size_on_disk(self.data / "incoming"))
            self._due = time.monotonic() + 4 * (time.monotonic() - started)


def _members(leader: int) -> Iterable[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    yield int(name)
            except ProcessLookupError:
                continue


def _pss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            return next((int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss:")), 0)
    except (ProcessLookupError, FileNotFoundError):
        return 0


def _cpu(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (ProcessLookupError, FileNotFoundError):
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _size_on_disk(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def scandock(site: BoundedFolder, *args: str, fresh: bool = False) -> tuple[int, str, str, float, _Watch]:
    """Run the command line in a session of its own: exit code, stdout, stderr, seconds, and what was seen.

    Memory and what is staged are seen unless it is `fresh`, an interpreter of its own.
    """
    before = os.times()
    process = _start(site, *args) if fresh else _fork(site, *args)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    watch = _Watch(process.pid, site.data)
    if not fresh:
        watch.look()  # a command may end before the thread first does
        watch.start()
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"no answer in {PATIENCE} s\n{err[-2000:]}") from None
    finally:
        watch.done.set()
    if not fresh:
        watch.join()
    assert not list(_members(process.pid)), "a process outlived the command"
    code, after = process.wait(), os.times()
    took = after.children_user + after.children_system - before.children_user - before.children_system
    return code, out, err, took if fresh else watch.seconds, watch


def _start(site: BoundedFolder, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scandock.cli", *args],
        cwd=site.root / "cwd",
        env=site.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def _fork(site: BoundedFolder, *args: str) -> ForkedCommand:
    """What it shares with the process that it is forked from counts for a part: measured is what it takes itself."""
    return ForkedCommand(
        "scandock.cli:main", argv=["scandock", *args], env=site.environment(), folder=site.root / "cwd"
    )


def import_by_process(site: BoundedFolder, archive: Path, project: str, *args: str, fresh: bool = False) -> Outcome:
    """`scandock import --json --receipt` of one archive."""
    receipt = site.root / "receipts" / f"{project}.jsonl"
    words = _import_words(site, archive, project, receipt, *args)
    code, out, err, took, watch = scandock(site, *words, fresh=fresh)
    return _outcome(code, out, err, receipt, seconds=took, memory=watch.memory, staged=watch.staged)


def import_in_process(site: BoundedFolder, archive: Path, project: str, *args: str) -> Outcome:
    """The same without a process of its own; neither memory nor staged bytes are measured."""
    receipt = site.root / "receipts" / f"{project}.jsonl"
    started = time.process_time()
    done = run_within(site, *_import_words(site, archive, project, receipt, *args))
    took = time.process_time() - started
    return _outcome(done.returncode, done.stdout, done.stderr, receipt, seconds=took, memory=0, staged=0)


def run_within(site: BoundedFolder, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line within this process, in the site's working folder and with its environment."""
    return run_in_process(list(args), environment=site.environment(), folder=site.root / "cwd")


def _import_words(site: BoundedFolder, archive: Path, project: str, receipt: Path, *args: str) -> list[str]:
    named = ["--data", str(site.data), "--project", project, "--create-project", "--json", "--receipt", str(receipt)]
    return ["import", str(archive), *named, *args]


def _outcome(code: int, out: str, err: str, receipt: Path, *, seconds: float, memory: int, staged: int) -> Outcome:
    assert code in {0, 3, 4}, f"exit {code}\n{out[-2000:]}\n{err[-2000:]}"
    printed = out.splitlines()
    assert len(printed) == 1, out[-2000:]
    assert not control_characters(printed[0] + err), "control characters reach the terminal"
    with receipt.open(encoding="utf-8", newline="\n") as lines:
        receipt_lines = [json.loads(line) for line in lines]
    return Outcome(code, json.loads(printed[0]), receipt_lines, err, seconds, memory, staged)


def control_characters(text: str) -> set[str]:
    """Control characters, of which a terminal would obey some."""
    return {char for char in text if (ord(char) < 32 and char != "\n") or ord(char) in range(127, 160)}


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_under(folder: Path) -> set[Path]:
    return {Path(parent, name) for parent, _, files in os.walk(folder) for name in files}


def assert_plain(data: Path) -> None:
    """DATA holds folders and plain, non-executable files alone; nothing is staged or spooled any more."""
    for parent, folders, files in os.walk(data):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(parent, name)).st_mode
            assert stat.S_ISDIR(mode) or stat.S_ISREG(mode), f"{parent}/{name} is neither file nor folder"
            if stat.S_ISREG(mode):
                assert not mode & 0o7111, f"{parent}/{name} has mode {mode:o}"
    for name in ("work", "incoming"):
        left = sorted(os.listdir(data / name)) if (data / name).is_dir() else []
        assert not left, f"left in {name}: {left}"


def image_files(session: Mapping[str, Any]) -> tuple[int, ...]:
    """Sorted numbers of image files in the scans of a session."""
    kinds = {"DICOM", "ECAT", "secondary"}
    return tuple(sorted(sum(r["files"] for r in scan["resources"] if r["name"] in kinds) for scan in session["scans"]))

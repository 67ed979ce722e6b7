"""The commands that are measured against each other: each takes one archive into one fresh folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.archives import HERE, Archive
from bench.free_memory import touch_free_memory

SCANDOCK = Path(sys.executable).with_name("scandock")
UNZIP_BUNDLE = 'unzip -q "$1" -d "$2" && cd "$2" && for inner in *.zip; do unzip -q "$inner" -d "${inner%.zip}"; done'


class WrongResult(Exception):
    """A contender ended well and did not do the work: its time would mean nothing."""


@dataclass(frozen=True)
class Contender:
    name: str
    command: Callable[[Archive, Path], list[str]]
    produced: Callable[[Path, Path], int]
    """Image files that it made, from its folder and what it printed."""


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float


def run(contender: Contender, archive: Archive, folder: Path, *, verify: bool) -> Run:
    folder.mkdir(parents=True)
    prepare(archive.path)
    printed = folder.with_name(f"{folder.name}.out")
    with printed.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            contender.command(archive, folder), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WrongResult(f"{contender.name} ended with {process.returncode}: {printed.read_text()[-2000:]}")
    if verify and (made := contender.produced(folder, printed)) != archive.files:
        raise WrongResult(f"{contender.name} made {made} files of {archive.files} in {archive.path.name}")
    return Run(wall, usage.ru_utime + usage.ru_stime)


def prepare(path: Path) -> None:
    """What is owed before a clock starts: what is read is in the page cache, no one else's writes wait, and free memory
    is the machine's."""
    touch_free_memory()
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass
    os.sync()


def compile_code(tree: Path) -> None:
    """Have Python's byte code of a checkout written, as an installed program has it."""
    subprocess.run([tree / ".venv" / "bin" / "python", "-m", "compileall", "-q", tree / "src"], check=True)


def scandock_command(archive: Archive, folder: Path, program: Path = SCANDOCK) -> list[str]:
    options = ["--data", str(folder / "data"), "--project", "BENCH", "--create-project", "--json"]
    return [str(program), "import", str(archive.path), *options]


def _unpack_command(archive: Archive, folder: Path) -> list[str]:
    if archive.path.name.endswith(".tar.gz"):
        return ["tar", "-xzf", str(archive.path), "-C", str(folder)]
    if archive.key == "e":
        return ["bash", "-c", UNZIP_BUNDLE, "unzip", str(archive.path), str(folder)]
    return ["unzip", "-q", str(archive.path), "-d", str(folder)]


def _plain_command(archive: Archive, folder: Path) -> list[str]:
    return [sys.executable, str(HERE / "plain.py"), str(archive.path), str(folder)]


def _files_below(folder: Path, _printed: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file() and path.suffix != ".zip")


def _stored(_folder: Path, printed: Path) -> int:
    told = json.loads(printed.read_text())
    return int(told["entries"]["stored"]) if told["state"] == "placed" else -1


UNPACK = Contender("unzip", _unpack_command, _files_below)
PLAIN = Contender("plain", _plain_command, _files_below)
IMPORT = Contender("scandock", scandock_command, _stored)


def other_build(tree: Path) -> Contender:
    """Scandock of another checkout, with the environment that stands in it."""
    program = tree / ".venv" / "bin" / "scandock"
    return Contender("before", lambda archive, folder: scandock_command(archive, folder, program), _stored)

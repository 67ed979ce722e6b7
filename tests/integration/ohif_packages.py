"""Packages of the OHIF viewer for tests: a small one that is built as the real ones are, and the real one by npm."""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

LOCK: Final = Path(__file__).with_name("ohif_package.json")
"""Name, version and hash of the real package, as npm's locks have them."""
INDEX: Final = (
    "<!doctype html><html><head><script>window.PUBLIC_URL = '/';</script>"
    '<script rel="preload" as="script" src="/app-config.js"></script>'
    '<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>'
    '<script defer="defer" src="/app.bundle.1f.js"></script><link href="/app.bundle.css" rel="stylesheet"></head>'
    '<body><div id="root"></div></body></html>'
)
FILES: Final[Mapping[str, str]] = {
    "package/package.json": json.dumps({"name": "@ohif/app", "version": "3.12.4"}),
    "package/LICENSE": "MIT",
    "package/README.md": "readme",
    "package/dist/index.html": INDEX,
    "package/dist/app.bundle.1f.js": '__webpack_require__.p = "/";\nwindow.ready = true;',
    "package/dist/app.bundle.1f.js.map": "{}",
    "package/dist/app.bundle.css": "a{src:url(/f.woff2)} b{src:url('/g.woff2')} c{src:url(//h/i)} d{src:url(data:x)}",
    "package/dist/compute.bundle.2a.js": 'x();__webpack_require__.p = "/";y()',
    "package/dist/f.woff2": "font",
    "package/dist/a.wasm": "\0asm",
    "package/dist/assets/images/logo.svg": "<svg/>",
    "package/dist/assets/favicon-32x32.png": "png",
    "package/dist/app-config.js": "theirs",
    "package/dist/sw.js": "importScripts('https://cdn.example')",
    "package/dist/silent-refresh.html": "<script>1</script>",
    "package/dist/ort/ort.wasm": "large",
    "package/dist/dicom-microscopy-viewer/v.js": "large",
}


def make_package(path: Path, changes: Mapping[str, str | None] | None = None, **description: Any) -> Path:
    """A package with other files than `FILES`, or without those that are None, or of another name or version."""
    files: dict[str, str | None] = {**FILES, **(changes or {})}
    if description:
        files["package/package.json"] = json.dumps({**json.loads(FILES["package/package.json"]), **description})
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            if content is None:
                continue
            data = content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(raw.getvalue(), 1))
    return path


def real_package(project_root: Path) -> Path:
    """The package itself, fetched once; the test is skipped, and says so, where that can't be done."""
    lock = json.loads(LOCK.read_text())
    folder = project_root / ".cache" / "ohif"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ohif-app-{lock['version']}.tgz"
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not path.exists() or _integrity(path) != lock["integrity"]:
            _fetch(lock, folder)
    if not path.exists():
        pytest.skip(f"{lock['name']} {lock['version']} can't be fetched by npm: OHIF itself is not tried")
    assert _integrity(path) == lock["integrity"], f"{path} is another package than {LOCK.name} says"
    return path


def _fetch(lock: Mapping[str, str], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        return
    command = [npm, "pack", "--silent", f"{lock['name']}@{lock['version']}"]
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
        timeout=300,
        check=False,
        capture_output=True,
    )


def _integrity(path: Path) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()}"

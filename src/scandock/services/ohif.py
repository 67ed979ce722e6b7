"""The OHIF viewer as an add-on: its npm package is taken once, and kept in DATA as one file that pages are served from.

The package is a distribution that is built to be served from the root of a host. What it says of that is made relative
when it is installed, so that it can be served from anywhere. Its page and configuration are the server's own
(`web.pages.ohif`): nothing of it is run inline. An archive of the same limits as any other; no code of it is run here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import threading
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, Final

from scandock.formats.display_names import quote
from scandock.formats.kinds import HEAD_BYTES, Kind, kind_of
from scandock.formats.meter import Meter
from scandock.formats.source import FileSource
from scandock.formats.stream import open_stream
from scandock.formats.tar import TarKind, TarMember, read_members
from scandock.model.dataclass import dataclass
from scandock.model.limits import MIB, Limits
from scandock.services.ohif_errors import (
    NotAPackage,
    NotTheViewer,
    PackageFileMissing,
    PackageOddlyBuilt,
    VersionUnknown,
)
from scandock.store.durability import disk_fault, replace_file, sync_folder

VIEWER_FILE: Final = "ohif.zip"
"""In DATA."""
PACKAGE: Final = "@ohif/app"
VERSIONS: Final = ("3.12", "3.13")
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""By the ends of names: what has another is not served, and so not kept."""
LARGE_PARTS: Final = ("ort/", "dicom-microscopy-viewer/")
"""Left out unless they are asked for: 156 MB for segmentation by models and for microscopy."""
_LEFT_OUT: Final = frozenset(
    {"app-config.js", "google.js", "init-service-worker.js", "oidc-client.min.js", "serve.json", "sw.js"}
)
"""The server has a configuration of its own; service workers and logins by the viewer itself are not wanted."""
_ROOT: Final = "package/"
_DIST: Final = f"{_ROOT}dist/"
_MANIFEST: Final = "scandock.json"
_NAME: Final = re.compile(r"[A-Za-z0-9_@.-]+(/[A-Za-z0-9_@.-]+){0,3}")
_PUBLIC_PATH: Final = b'__webpack_require__.p = "/"'
_OWN_PATH: Final = (
    b'__webpack_require__.p = new URL(".", typeof document !== "undefined" && document.currentScript'
    b" ? document.currentScript.src : self.location.href).href"
)
_PACKAGE_BYTES: Final = 512 * MIB
_JSON_BYTES: Final = MIB


@dataclass(frozen=True, kw_only=True)
class OhifManifest:
    """What is known of the viewer that is installed."""

    version: str
    sha256: str
    """Of the package's file."""
    integrity: str
    """The same as npm's locks and registries write it."""
    files: int
    bytes: int
    complete: bool
    """With `LARGE_PARTS`."""
    installed: str
    scripts: tuple[str, ...]
    """That its page begins with, in this order."""
    styles: tuple[str, ...]
    workers: tuple[str, ...]
    """Those of its scripts that run as workers: the others that know where they are."""

    @property
    def stamp(self) -> str:
        """What the addresses of its files begin with: another package, or another choice of its parts, has another."""
        return hashlib.sha256(f"{self.sha256} {self.complete} {self.installed}".encode()).hexdigest()[:16]


class InstalledOhif:
    """The viewer as it is kept: a zip of stored entries, each compressed as browsers take it. For several threads."""

    def __init__(self, path: str) -> None:
        """FileNotFoundError where there is none."""
        self._lock = threading.Lock()
        self._zip = zipfile.ZipFile(path)
        self.manifest = _parse_manifest(json.loads(self._zip.read(_MANIFEST)))
        self._names = {name for name in self._zip.namelist() if name != _MANIFEST}

    def read(self, name: str) -> bytes | None:
        """A file, compressed by gzip; None where there is none of that name."""
        if name not in self._names:
            return None
        with self._lock:
            return self._zip.read(name)


class OhifLookup:
    """The viewer of a DATA, looked for anew where it was installed or removed meanwhile."""

    def __init__(self, data: str) -> None:
        self._path = os.path.join(data, VIEWER_FILE)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._installed: InstalledOhif | None = None

    def find(self) -> InstalledOhif | None:
        """The viewer; None where there is none."""
        with self._lock:
            try:
                status = os.stat(self._path)
                seen = (status.st_ino, status.st_size, status.st_mtime_ns)
                if seen != self._seen:
                    self._installed = InstalledOhif(self._path)
                    self._seen = seen
            except FileNotFoundError:
                self._seen, self._installed = None, None
            except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):  # none of ours, or damaged
                self._installed = None
            return self._installed


def install_ohif(data: str, path: str, limits: Limits, *, complete: bool = False) -> OhifManifest:
    """Take the npm package at `path` as the viewer of a DATA, in place of the one that it has.

    Raises Usage `ohif_package`, BadInput and LimitExceeded; Fault for the disk.
    """
    try:
        source = FileSource(path)
    except FileNotFoundError:
        raise PackageFileMissing(path) from None
    except OSError as error:
        raise disk_fault(error, f"reading {path}") from error
    with source:
        sha256, integrity = _digest(source)
        files = dict(_read_package(source, limits, complete=complete))
    description = _parse_json(files.pop("package.json", b""))
    _check_version(description)
    index = files.pop("index.html", b"")
    scripts, styles = _linked_files(index.decode("utf-8", "replace"))
    if not scripts or not all(name in files for name in (*scripts, *styles)):
        raise PackageOddlyBuilt("its page names no scripts, or scripts that are not in it")
    if not any(_PUBLIC_PATH in files[name] for name in scripts):
        raise PackageOddlyBuilt("its scripts do not say that they are at the root of a host")
    manifest = OhifManifest(
        version=str(description["version"]),
        sha256=sha256,
        integrity=integrity,
        files=len(files),
        bytes=sum(map(len, files.values())),
        complete=complete,
        installed=datetime.now(UTC).isoformat(timespec="seconds"),
        scripts=scripts,
        styles=styles,
        workers=tuple(name for name, content in files.items() if _PUBLIC_PATH in content and name not in scripts),
    )
    _write(data, _pack(files, manifest))
    return manifest


def remove_ohif(data: str) -> bool:
    """Take the viewer away; False where there is none."""
    try:
        os.unlink(os.path.join(data, VIEWER_FILE))
    except FileNotFoundError:
        return False
    return True


def _write(data: str, content: bytes) -> None:
    try:
        folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            replace_file(VIEWER_FILE, content, folder)
            sync_folder(".", folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise disk_fault(error, f"writing {VIEWER_FILE}") from error


def _pack(files: Mapping[str, bytes], manifest: OhifManifest) -> bytes:
    import deflate

    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_MANIFEST, json.dumps(asdict(manifest)))
        for name, content in files.items():
            archive.writestr(name, bytes(deflate.gzip_compress(_make_relative(name, content), 6)))
    return raw.getvalue()


def _make_relative(name: str, content: bytes) -> bytes:
    """A file that looks for others where it is itself, and not at the root of the host."""
    if name.endswith(".js"):
        return content.replace(_PUBLIC_PATH, _OWN_PATH)
    if name.endswith(".css") and "/" not in name:
        return re.sub(rb"""url\((["']?)/(?!/)""", rb"url(\1", content)
    return content


# -- the package -------------------------------------------------------------------------------------------------------


def _digest(source: FileSource) -> tuple[str, str]:
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    for at in range(0, source.size, MIB):
        piece = source.read_at(at, MIB)
        sha256.update(piece)
        sha512.update(piece)
    return sha256.hexdigest(), f"sha512-{b64encode(sha512.digest()).decode()}"


def _read_package(source: FileSource, limits: Limits, *, complete: bool) -> Iterator[tuple[str, bytes]]:
    """The files that are kept, and those that tell what the package is, by their names below `dist`."""
    head = source.read_at(0, HEAD_BYTES)
    if kind_of(head, len(head)) is not Kind.GZIP:
        raise NotAPackage
    meter = Meter(limits, source.size)
    stream = open_stream(source, Kind.GZIP, limits, meter.unpacked)
    head = stream.peek(HEAD_BYTES)
    if kind_of(head, len(head)) is not Kind.TAR:
        raise NotAPackage
    kept = 0
    for member in read_members(stream, limits):
        meter.entry()
        if member.kind is TarKind.DIR:
            continue
        if member.kind is TarKind.SPECIAL:
            raise PackageOddlyBuilt(f"{quote(member.name)} is a {member.special}")
        meter.entry_bytes(member.name, member.size)
        name = _kept_name(member.name, complete=complete)
        if name is None:
            continue
        kept += member.size
        if kept > _PACKAGE_BYTES or (name == "package.json" and member.size > _JSON_BYTES):
            raise PackageOddlyBuilt("it has more bytes than any version of it")
        yield name, _read_member(member)


def _read_member(member: TarMember) -> bytes:
    return b"".join(bytes(chunk) for chunk in member.chunks())


def _kept_name(name: str, *, complete: bool) -> str | None:
    """What a file of the package is called here; None where it is left out."""
    if name in (f"{_ROOT}package.json", f"{_DIST}index.html"):
        return name.rpartition("/")[2]
    if name == f"{_ROOT}LICENSE":
        return "LICENSE.txt"
    if not name.startswith(_DIST):
        return None
    short = name.removeprefix(_DIST)
    if not _NAME.fullmatch(short) or any(piece.strip(".") == "" for piece in short.split("/")):
        raise PackageOddlyBuilt(f"{quote(name)} is no name of a file of it")
    if short in _LEFT_OUT or media_type_of(short) is None or (not complete and short.startswith(LARGE_PARTS)):
        return None
    return short


def media_type_of(name: str) -> str | None:
    """The media type of a file of the viewer, by its name; None of what is not served."""
    return MEDIA_TYPES.get(os.path.splitext(name)[1])


def _parse_json(content: bytes) -> dict[str, object]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise PackageOddlyBuilt("it has no package.json that can be read")
    return values


def _check_version(description: Mapping[str, object]) -> None:
    name, version = str(description.get("name", "")), str(description.get("version", ""))
    if name != PACKAGE:
        raise NotTheViewer(quote(name))
    if not any(re.fullmatch(rf"{re.escape(known)}\.\d{{1,6}}", version) for known in VERSIONS):
        raise VersionUnknown(quote(version), " and ".join(VERSIONS))


def _linked_files(page: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scripts and style sheets that the viewer's own page loads, but for what is left out here."""
    links = _Links()
    links.feed(page)
    links.close()
    return tuple(name for name in links.scripts if name not in _LEFT_OUT), tuple(links.styles)


class _Links(HTMLParser):
    """What a page loads, by the names of its files below the viewer's folder."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and (source := values.get("src")):
            self.scripts.append(source.removeprefix("/"))
        elif tag == "link" and (target := values.get("href") or "").endswith(".css"):
            self.styles.append(target.removeprefix("/"))


def _parse_manifest(values: dict[str, Any]) -> OhifManifest:
    """What `_pack` wrote; KeyError or TypeError for anything else."""
    known = {name: values[name] for name in OhifManifest.__dataclass_fields__}
    for name in ("scripts", "styles", "workers"):
        known[name] = tuple(known[name])
    return OhifManifest(**known)

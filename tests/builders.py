"""Small archives for tests of the whole import (objects by bytes, packed by zipfile), and a place to import them.

The objects come from `tests.badinput`: `Image` says what stands in one DICOM object, `ecat` in one ECAT 7 file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.rules.import_request import ImportRequest
from scandock.services.consistency_check import check_data
from scandock.services.data_catalog import open_data
from scandock.services.file_verification import VerificationCounts, VerificationPlan, Verifier
from scandock.services.settings import Settings, load_settings
from scandock.services.store_opening import open_data_store
from scandock.store.paths import parse_rel, parse_tree
from scandock.store.port import Store
from scandock.testing.data import make_data
from scandock.workers.local_import import run_import
from tests.badinput.ecat import ecat
from tests.badinput.objects import Image, sha256

__all__ = [
    "DataFolder",
    "Image",
    "ImportOutcome",
    "ecat",
    "images",
    "make_data_folder",
    "sha256",
    "uploader_layout",
    "verify_some",
    "zip_entries",
]

KEPT = {"stored", "conflict", "resource"}
Entries = Mapping[str, bytes] | Iterable[tuple[str, bytes]]


def images(count: int = 2, **values: Any) -> list[bytes]:
    """`count` objects of one series; `values` as `Image` takes them."""
    return [Image(number=number, **{"case": "again", **values}).file() for number in range(1, count + 1)]


def zip_entries(entries: Entries) -> bytes:
    """The bytes of a zip with these entries, in their order; a name may come twice."""
    raw = io.BytesIO()
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, data in pairs:
            archive.writestr(name, data)
    return raw.getvalue()


def uploader_layout(session: str, scan: str, objects: Iterable[bytes], *, resource: str = "DICOM") -> dict[str, bytes]:
    """Objects in the layout that the uploader documents (xnat-behaviour.md 0)."""
    return {
        f"{session}/scans/{scan}/resources/{resource}/files/{n}.dcm": data for n, data in enumerate(objects, start=1)
    }


@dataclass(frozen=True, kw_only=True)
class ImportOutcome:
    """What one import told: its report, and its receipt's lines."""

    report: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def state(self) -> str:
        return str(self.report["state"])

    @property
    def sessions(self) -> list[dict[str, Any]]:
        sessions: list[dict[str, Any]] = self.report["sessions"]
        return sessions

    @property
    def session(self) -> dict[str, Any]:
        """The only session."""
        (only,) = self.sessions
        return only

    @property
    def counts(self) -> dict[str, int]:
        """Entries by verdict, those that are there."""
        return {verdict: count for verdict, count in self.report["entries"].items() if count}

    def line(self, path: str) -> dict[str, Any]:
        """The receipt's line of one entry."""
        (only,) = [line for line in self.lines if line["path"] == path]
        return only

    def codes(self) -> dict[str, str]:
        """Path -> verdict and code."""
        return {line["path"]: f"{line['verdict']} {line['code']}" for line in self.lines}

    def warned(self) -> set[str]:
        """Codes of all warnings, of the import and of its sessions."""
        every = [*self.report["warnings"], *(notice for session in self.sessions for notice in session["warnings"])]
        return {warning["code"] for warning in every}


def make_data_folder(root: Path, monkeypatch: pytest.MonkeyPatch, database_url: str | None = None) -> DataFolder:
    """A site of the test's own; its catalog is SQLite in DATA unless another database is named."""
    if database_url is not None and not database_url.startswith("sqlite"):
        monkeypatch.setenv("SCANDOCK_DATABASE_URL", database_url)
    else:
        make_data(root / "data")
    return DataFolder(root=root, settings=load_settings())


@dataclass(kw_only=True)
class DataFolder:
    """A DATA folder with its catalog, and imports into it within this process."""

    root: Path
    settings: Settings = field(default_factory=load_settings)
    archives: int = 0
    checked: bool = True
    """Whether catalog and store are compared after every import."""
    scrubs: bool = False
    """Whether what is stored may be other bytes than what came."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    def bring(self, archive: bytes | Entries | Path, *, project: str | None = "P", **options: Any) -> ImportOutcome:
        """Import an archive: its bytes, what a zip of it holds, or a path; the project is made where missing."""
        path = archive if isinstance(archive, Path) else self.written(archive)
        request_options = {"create_project": project is not None, "workers": 1, "receipt": True, **options}
        result = run_import(
            data=str(self.data),
            archive=str(path),
            request=ImportRequest(project=project, **request_options),
            settings=self.settings,
            on_progress=None,
            cancelled=threading.Event(),
        )
        lines = io.StringIO()
        result.write_receipt(lines)
        outcome = ImportOutcome(
            report=dict(result.report), lines=[json.loads(line) for line in lines.getvalue().splitlines()]
        )
        self._holds(outcome)
        return outcome

    def written(self, archive: bytes | Entries) -> Path:
        """The path of an archive of these bytes, or of a zip that holds these entries."""
        self.archives += 1
        path = self.root / f"archive-{self.archives}.zip"
        path.write_bytes(archive if isinstance(archive, bytes) else zip_entries(archive))
        return path

    def _holds(self, outcome: ImportOutcome) -> None:
        """What is true of every import: sums agree, what is told to stand somewhere stands there, nothing is left."""
        assert sum(outcome.report["entries"].values()) == len(outcome.lines)
        assert sum(line["bytes"] for line in outcome.lines) == outcome.report["bytes"]["unpacked"]
        for line in outcome.lines:
            if line["stored_as"] is None:
                assert line["verdict"] not in KEPT
                continue
            stands = self._hash(line["stored_as"])
            assert line["verdict"] == "duplicate" or self.scrubs or stands == line["sha256"], line
            assert line["code"] != "stored_deid" or stands != line["sha256"], line
        assert os.listdir(self.data / "work") == []
        assert outcome.state == "placed" or outcome.report["message"]
        if self.checked:
            self.check()

    def _hash(self, stored_as: str) -> str:
        """sha256 of a file by its path under DATA, wherever the store has it."""
        if self.settings.store is None:
            return sha256((self.data / stored_as).read_bytes())
        pieces = stored_as.split("/")
        depth = 4 if pieces[0] == "prearchive" else 3
        name, rel = parse_tree("/".join(pieces[:depth])), parse_rel("/".join(pieces[depth:]))
        with self._store() as store, store.snapshot(name) as tree, tree.open(rel) as file:
            return sha256(file.read())

    def _store(self) -> closing[Store]:
        return closing(open_data_store(str(self.data), self.settings))

    def check(self) -> None:
        """Catalog and store agree, every byte read again."""
        assert check_data(str(self.data), self.settings) == []

    def files(self, under: str = "") -> dict[str, str]:
        """Path under DATA -> sha256 of every file in the archive and prearchive, or below `under`."""
        if self.settings.store is not None:
            with self._store() as store:
                paths = [
                    f"{entry.name}/{entry.rel}"
                    for area in ("archive", "prearchive")
                    for entry in store.walk(area)
                    if entry.kind == "file"
                ]
            below = f"{under}/" if under else ""
            return {path.removeprefix(below): self._hash(path) for path in paths if path.startswith(below)}
        return {
            path.relative_to(self.data / under).as_posix() if under else path.relative_to(self.data).as_posix(): (
                hashlib.sha256(path.read_bytes()).hexdigest()
            )
            for top in ([under] if under else ["archive", "prearchive"])
            for path in sorted((self.data / top).rglob("*"))
            if path.is_file()
        }

    def trashed(self) -> list[str]:
        """sha256 of every file of a session in the trash."""
        paths = [path for path in (self.data / "trash").rglob("*") if path.is_file() and "files" in path.parts]
        return sorted(sha256(path.read_bytes()) for path in paths)

    def project(self, name: str = "P", **values: Any) -> None:
        """Make a project with settings of its own."""
        with self.catalog() as catalog:
            assert add_project(catalog, ProjectRow(name=name, **values))

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        with open_data(str(self.data), self.settings) as (catalog, _):
            yield catalog


def verify_some(
    catalog: Catalog,
    store: Store,
    seconds: float,
    stop: Callable[[], bool] = lambda: False,
    plan: VerificationPlan | None = None,
) -> VerificationCounts:
    """Verify what is new, and what is due again, as the worker's verifier does in one go."""
    return Verifier(catalog, store, plan or VerificationPlan()).run(seconds, stop)

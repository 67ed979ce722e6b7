"""Orthanc (Debian's) as a foreign peer: one process with its own folder, driven by its REST API."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port

PROGRAM = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Orthanc:
    def __init__(self, http: httpx.Client, dicom_port: int, folder: Path) -> None:
        self.http = http
        self.dicom_port = dicom_port
        self.log = folder / "log"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        response = self.http.request(method, path, content=content)
        if response.status_code != 200:
            raise RuntimeError(
                f"{method} {path}: {response.status_code} {response.text}\n{self.log.read_text()[-2000:]}"
            )
        return response.json() if response.content else None

    def upload(self, *files: bytes) -> list[str]:
        """Orthanc's own ids of what it was given."""
        return [self.call("POST", "/instances", file)["ID"] for file in files]

    def modality(self, name: str, port: int, title: str = "SCANDOCK", **more: Any) -> None:
        """Tell it of a peer on the loopback."""
        self.call("PUT", f"/modalities/{name}", {"AET": title, "Host": "127.0.0.1", "Port": port, **more})


@contextlib.contextmanager
def running(folder: Path, **more: Any) -> Iterator[Orthanc]:
    """Orthanc on two free ports of the loopback, AE title ORTHANC; `more` are further settings of its own."""
    assert PROGRAM, "no Orthanc: scripts/system-packages.sh installs it"
    http_port, dicom_port = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomScuTimeout": 5,
        "Plugins": [],
        "ConcurrentJobs": 1,
        "SynchronousCMove": True,
        "StorageCommitmentReportsSize": 100,
        "SyncStorageArea": False,
        **more,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60, trust_env=False) as http:
            orthanc = Orthanc(http, dicom_port, folder)
            _wait(orthanc, process)
            yield orthanc
    finally:
        process.terminate()
        process.wait()


def _wait(orthanc: Orthanc, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, orthanc.log.read_text()
        with contextlib.suppress(httpx.HTTPError):
            orthanc.call("GET", "/system")
            return
        time.sleep(0.05)
    raise AssertionError(orthanc.log.read_text())

"""A SeaweedFS server with S3 for one run of the tests: nothing of it stays, and it tells nobody of itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.ports import free_port
from tests.s3_server import ACCESS, Server, wait_until_ready

_IDENTITY = {
    "name": "t",
    "credentials": [{"accessKey": ACCESS["AWS_ACCESS_KEY_ID"], "secretKey": ACCESS["AWS_SECRET_ACCESS_KEY"]}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}
PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc",
)  # fmt: skip
"""All that a server listens at."""


def server_words(folder: Path, address: str, ports: Mapping[str, int]) -> list[str]:
    """Words that run a server whose data are in `folder`; `ports` has one for each of `PORTS`."""
    (folder / "s3.json").write_text(json.dumps({"identities": [_IDENTITY]}))
    options = {
        "dir": folder, "ip": address, "ip.bind": address, "master.telemetry": "false",
        "master.volumeSizeLimitMB": 1024, "master.volumePreallocate": "false", "master.electionTimeout": "1s",
        "master.heartbeatInterval": "100ms", "volume.max": 1000, "filer.localSocket": folder / "filer.sock",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.config": folder / "s3.json", "s3.localSocket": folder / "s3.sock",
        **ports,
    }  # fmt: skip
    program = str(Path(sys.executable).with_name("weed"))
    named = [f"-{name}={value}" for name, value in options.items()]
    return [program, "-logtostderr=true", "-v=0", "server", *named, "-filer", "-s3"]


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Start it, and kill it at the end: it would take half a minute to end by itself."""
    folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
    ports = {name: free_port() for name in PORTS}
    words = server_words(folder, "127.0.0.1", ports)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        running = Server(f"http://127.0.0.1:{ports['s3.port']}", process.pid)
        wait_until_ready(running, [process], folder / "log")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

"""A bucket on an S3 server of the tests' own: what the kinds of servers (`seaweed`, `ceph`) have in common."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import obstore

from scandock.model.errors import Fault
from scandock.store.bucket import Bucket

START_SECONDS = 60
NAME = "scandock"
ACCESS = {"AWS_ACCESS_KEY_ID": "scandock", "AWS_SECRET_ACCESS_KEY": "scandocksecret"}
"""The variables that its clients need."""


@dataclass(frozen=True)
class Server:
    """A running server with one bucket: each test has a prefix of its own in it."""

    endpoint: str
    pid: int = 0
    """Of its process, where it is one alone."""

    def bucket(self) -> Bucket:
        """A place in the bucket that nobody else has."""
        return Bucket(NAME, uuid.uuid4().hex, endpoint=self.endpoint)


def wait_until_ready(server: Server, processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Make the bucket where it is not there, and wait until it takes an object."""
    end = time.monotonic() + START_SECONDS
    address = obstore.sign(Bucket(NAME, endpoint=server.endpoint).open(), "PUT", "", timedelta(seconds=START_SECONDS))
    while all(process.poll() is None for process in processes) and time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError, Fault):
            answer = httpx.put(address, timeout=START_SECONDS, trust_env=False)
            if answer.is_success or answer.status_code == httpx.codes.CONFLICT:
                server.bucket().put("ready", b"1")
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-3000:])

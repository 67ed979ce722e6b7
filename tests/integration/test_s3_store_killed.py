"""kill -9 of the object store under writes: what a store in its bucket has acknowledged is there once it runs again.

`make test-s3` runs it, as Ceph's packages are needed; it keeps its objects in a file (bluestore) here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from scandock.model.errors import Fault
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.store.s3_store import S3Store
from tests import ceph
from tests.integration.store_conformance import publish_tree, read_tree
from tests.s3_server import ACCESS

pytestmark = [
    pytest.mark.processes,
    pytest.mark.disk,
    pytest.mark.skipif(os.environ.get("TESTS_S3") != "ceph", reason="without Ceph: make test-s3 runs it"),
]

WRITERS = 4
BEFORE_KILL = 40
"""What each writer has acknowledged at least when the store is killed, in each round."""
PART = b"part" * 5_000


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ceph.Cluster]:
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    with ceph.cluster("bluestore", tmp_path) as running:
        yield running


class Writer:
    """Publishes sessions and grows an upload, until the store fails; notes what was acknowledged."""

    def __init__(self, store: S3Store, name: str) -> None:
        self.store = store
        self.name = name
        self.sessions: dict[str, dict[str, bytes]] = {}
        self.upload_size = 0
        self.has_enough = threading.Event()

    def run(self) -> None:
        with pytest.raises(Fault) as caught:
            self.write()
        assert caught.value.code == "store_failed"

    def write(self) -> None:
        spool = self.store.spool(self.name)
        assert spool.hold()
        for number in count():
            files = {f"scans/1/{n}": f"{self.name} {number} {n} ".encode() * 500 for n in range(5)}
            publish_tree(self.store, f"archive/{self.name}/{number}", files, f"{self.name}-{number}")
            self.sessions[f"archive/{self.name}/{number}"] = files
            spool.append(self.upload_size, PART)
            self.upload_size = spool.sync()
            if number >= BEFORE_KILL:
                self.has_enough.set()

    def check(self, reader: S3Store) -> None:
        for name, files in self.sessions.items():
            assert read_tree(reader, name) == files
        sent = PART * (self.upload_size // len(PART))
        assert reader.spool(self.name).read_at(0, self.upload_size) == sent


def test_what_was_acknowledged_before_the_store_was_killed_is_there(
    tmp_path: Path, cluster: ceph.Cluster, postgres_url: str
) -> None:
    bucket = cluster.server.bucket()
    writers: list[Writer] = []
    with (
        closing(S3Store(str(tmp_path / "host"), bucket, PostgresObjectRows(postgres_url), attempt_ms=0)) as store,
        closing(S3Store(str(tmp_path / "other"), bucket, PostgresObjectRows(postgres_url))) as reader,
    ):
        store.prepare()
        reader.prepare()
        for number in range(2):
            new = [Writer(store, f"{number}-{n}") for n in range(WRITERS)]
            writers += new
            with ThreadPoolExecutor(WRITERS) as pool:
                running = [pool.submit(writer.run) for writer in new]
                try:
                    for writer in new:
                        assert writer.has_enough.wait(60)
                finally:
                    cluster.kill()
                for each in running:
                    each.result()
            cluster.start()
            for writer in writers:
                writer.check(reader)
        assert store.census()[1] == []

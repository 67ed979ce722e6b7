"""Imports into a bucket that are killed at named points: taken over by this host or another one, whole, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from scandock.model.crash_points import BUCKET_POINTS
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.store.bucket import Bucket
from scandock.store.file_places import FilePlace, unpack_places
from scandock.store.paths import parse_tree
from scandock.store.s3_store import S3Store
from tests.badinput.objects import Element, Image, sha256
from tests.builders import uploader_layout, zip_entries
from tests.crash.archives import Step
from tests.crash.processes import KILLED, Command, CommandResult, check, import_words

pytestmark = [pytest.mark.crash, pytest.mark.processes]

KILLS = ("rows", "sealed", "intent", "switched_one", "receipt", "published", "finished")
"""Those between which a bucket and its rows differ; by all of them the same holds."""


def objects(case: str, count: int) -> list[bytes]:
    return [Image(case=case, number=number).file() for number in range(1, count + 1)]


def large_objects(case: str, count: int) -> list[bytes]:
    """Of 7 MiB each: five of them are more than a pack."""
    pixels: dict[int, Element] = {0x7FE00010: (b"OW", bytes(7 * 1024 * 1024))}
    return [Image(case=case, number=number, also=pixels).file() for number in range(1, count + 1)]


class Site:
    """Two hosts with folders of their own, over one catalog and one bucket."""

    def __init__(self, folder: Path, bucket: Bucket, url: str) -> None:
        self.folder = folder
        self.bucket = bucket
        self.rows = PostgresObjectRows(url)
        self.store = S3Store(str(folder / "judge"), bucket, self.rows, garbage_ms=0, attempt_ms=0)
        self.store.prepare()
        self.engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self.settings = {
            "SCANDOCK_DATABASE_URL": url,
            "SCANDOCK_STORE": bucket.url,
            "SCANDOCK_S3_ENDPOINT": bucket.endpoint or "",
            "SCANDOCK_WORKERS": "1",
            "SCANDOCK_GARBAGE_DAYS": "0",
        }

    def run(self, host: str, archive: bytes, **changes: str) -> CommandResult:
        path = self.folder / "sent.zip"
        path.write_bytes(archive)
        step = Step(path, ("--overwrite", "append"))
        words = import_words(step, self.folder / host)
        return Command(words, threads=True, **self.settings, **changes).wait()

    def end_leases(self) -> None:
        """Let all that runs have been silent for longer than a lease lasts."""
        with self.engine.connect() as connection:
            connection.execute(text("UPDATE upload SET lease_until = lease_until - 60000 WHERE state = 'running'"))

    def age_attempts(self) -> None:
        """Let all attempts have begun so long ago that those without an import are over."""
        with self.engine.connect() as connection:
            connection.execute(text("UPDATE store_attempt SET began = began - 7200000"))

    def check(self, hosts: tuple[str, ...]) -> None:
        """Sweep: nothing is left of what was killed, and all that rows name is there and whole."""
        for host in hosts:
            done = check(self.folder / host, **self.settings)
            assert done.code == 0, str(done)
        self.age_attempts()
        assert self.store.sweep().left == 0
        assert self.store.sweep().left == 0  # what rows named until the first
        assert set(self.bucket.list("v1")) == {*self.rows.named_keys(), "v1/store"}
        with self.engine.connect() as connection:
            assert connection.execute(text("SELECT upload, key FROM stored_receipt WHERE staged")).all() == []
        assert self.store.works() == []

    def read(self, label: str) -> list[str]:
        with self.store.snapshot(parse_tree(f"archive/P/{label}")) as snapshot:
            hashes = []
            for entry in snapshot.walk():
                with snapshot.open(entry.rel) as reader:
                    hashes.append(sha256(reader.read()))
        return sorted(hashes)

    def places(self, label: str) -> list[FilePlace]:
        """Where the files of a session are."""
        number = self.rows.current(parse_tree(f"archive/P/{label}"))
        assert number is not None
        return [place for batch in self.rows.batches(number) for place in unpack_places(batch)]

    def close(self) -> None:
        self.store.close()
        self.engine.dispose()


@pytest.fixture
def two_hosts(tmp_path: Path, bucket: Bucket, postgres_url: str) -> Iterator[Site]:
    site = Site(tmp_path, bucket, postgres_url)
    yield site
    site.close()


def test_a_kill_at_any_point_leaves_whole_sessions_and_no_orphans(two_hosts: Site) -> None:
    site = two_hosts
    base = {name: data for point in KILLS for name, data in uploader_layout(point, "1", objects(point, 2)).items()}
    assert site.run("one", zip_entries(base)).code == 0
    for number, point in enumerate(KILLS):
        archive = zip_entries(uploader_layout(point, "1", objects(point, 3)))
        died = site.run("one", archive, SCANDOCK_CRASH_AT=point)
        assert died.code == KILLED, f"{point} was not reached: {died}"
        old, new = (sorted(map(sha256, objects(point, count))) for count in (2, 3))
        assert site.read(point) in (old, new), point
        if number % 2:
            site.end_leases()
        again = site.run("two" if number % 2 else "one", archive)
        assert again.code == 0, f"{point}: {again}"
        assert site.read(point) == new, point
    site.check(("one", "two"))


def test_a_kill_beside_what_is_sent_ahead_leaves_no_orphans(two_hosts: Site) -> None:
    """Of one session nothing is there before, of another a file that comes again: its pack is packed anew."""
    site = two_hosts
    for number, point in enumerate((*BUCKET_POINTS, "read", "arranged", "sealed")):
        host = "two" if number % 2 else "one"
        files = large_objects(point, 6)
        assert site.run(host, zip_entries(uploader_layout(point, "1", files[:1]))).code == 0
        archive = zip_entries(uploader_layout(point, "1", files))
        died = site.run("one", archive, SCANDOCK_CRASH_AT=point)
        assert died.code == KILLED, f"{point} was not reached: {died}"
        site.end_leases()
        again = site.run(host, archive)
        assert again.code == 0, f"{point}: {again}"
        assert site.read(point) == sorted(map(sha256, files)), point
        new = zip_entries(uploader_layout(f"new-{point}", "1", large_objects(f"new-{point}", 5)))
        assert site.run(host, new).code == 0
        (size,) = {len(data) for data in large_objects(f"new-{point}", 5)}
        objects_of_new = {place.object for place in site.places(f"new-{point}")}
        assert len(objects_of_new) == 1, "the pack that was sent ahead is that of the tree"
        assert [place.length for place in site.places(f"new-{point}")] == [size] * 5
    site.check(("one", "two"))

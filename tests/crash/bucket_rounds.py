"""Rounds of a server whose files are in a bucket: killed as other servers are, and a sweeper beside it again and again.

The sweeper (`python -m tests.crash.bucket_rounds FOLDER`) waits for no grace: what an import still has is to be safe
because rows say so, not because it is new. The judge reads bucket and tables by itself (`tests/hosts/checker.py`).
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from scandock.model.crash_points import BUCKET_POINTS
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.services.cleaning.cleaner import TURN_SECONDS
from scandock.store.bucket import Bucket
from scandock.store.s3_store import S3Store
from tests import postgres, seaweed
from tests.crash.processes import check, environment, until
from tests.crash.rounds import assert_clean
from tests.crash.served import FreshServerProcess, ServerProcess
from tests.crash.server_rounds import EACH, ServerRound, ServerTest, kinds, run_server_test
from tests.hosts.checker import Checker
from tests.s3_server import ACCESS, Server

SHORTEST, LONGEST = 0.5, 3.0
"""Seconds that a sweeper lives."""
_PLACE = ("SCANDOCK_DATABASE_URL", "SWEPT_BUCKET", "SWEPT_PREFIX", "SWEPT_ENDPOINT")
"""The environment of a sweeper."""
_KEPT_BYTES: Final[LiteralString] = """
SELECT kept.what, kept.upload, upload.state, reception.door, reception.accepted, reception.received FROM (
  SELECT 'part ' || key AS what, upload FROM spool_part UNION ALL SELECT 'writer', upload FROM spool_writer
  UNION ALL SELECT 'receiving', upload FROM store_attempt WHERE ended IS NULL AND token = ''
) AS kept LEFT JOIN upload ON upload.uuid = kept.upload LEFT JOIN reception ON reception.upload_id = upload.id
"""
"""Of what an import has left whose process was killed between its end and theirs, until the next turn of cleaners. What
an attempt may have that was killed as it began is looked at an hour later, and two days pass for the judge.
"""


def bucket_kinds() -> list[tuple[str, str]]:
    """Every victim at every moment that there is for it, with those of a bucket."""
    return [*kinds(), *((victim, point) for victim in ("attempt", "group") for point in BUCKET_POINTS)]


def bucket_rounds(count: int, seed: int) -> Iterator[ServerRound]:
    """So many rounds: every kind in turn, in an order of the seed, then at random moments."""
    every = random.Random(seed).sample(bucket_kinds(), len(bucket_kinds()))
    moments = [(victim, "random") for victim in ("attempt", "worker", "web", "group", "forks")]
    for number in range(count):
        victim, at = every[number] if number < len(every) else moments[number % len(moments)]
        yield ServerRound(victim=victim, at=at, seed=seed + number)


@dataclass(frozen=True)
class Site:
    """What the rounds of a run share: a database server and an S3 server."""

    cluster: postgres.Cluster
    s3: Server


@contextlib.contextmanager
def open_site() -> Iterator[Site]:
    os.environ.update(ACCESS)
    with postgres.cluster() as cluster, seaweed.server() as s3:
        yield Site(cluster, s3)


class BucketTest(ServerTest):
    """A server of a catalog and a prefix of the bucket that are new."""

    def __init__(self, folder: Path, server_round: ServerRound, url: str, bucket: Bucket, each: int = EACH) -> None:
        self.url = url
        self.bucket = bucket
        self.settings = {
            "SCANDOCK_DATABASE_URL": url,
            "SCANDOCK_STORE": bucket.url,
            "SCANDOCK_S3_ENDPOINT": bucket.endpoint or "",
            "SCANDOCK_GARBAGE_DAYS": "0",
        }
        super().__init__(folder, server_round, each)
        self.sweeps = 0
        self._swept = threading.Event()
        self._sweeping = threading.Thread(target=self._sweep_and_kill)

    def start(self, **changes: str) -> ServerProcess:
        """One of processes of its own, as of every site with a bucket: forked from another one it ends at once."""
        more = {"SCANDOCK_WORKERS": "1", **self.settings, **changes}
        return FreshServerProcess(self.folder, self.port, "--workers", "2", **more)

    def strike(self) -> None:
        self._sweeping.start()  # not before: the server has made its tables by now
        super().strike()

    def _sweep_and_kill(self) -> None:
        """Start sweepers, one after the other, and kill each."""
        chance = random.Random(f"sweepers of {self.one}")
        place = (self.url, self.bucket.name, self.bucket.prefix, self.bucket.endpoint or "")
        words = [sys.executable, "-m", "tests.crash.bucket_rounds", str(self.folder / "sweeper")]
        while not self._swept.is_set():
            with subprocess.Popen(
                words, env=environment(**dict(zip(_PLACE, place, strict=True))), stdout=subprocess.PIPE
            ) as sweeper:
                assert sweeper.stdout is not None
                began = sweeper.stdout.readline()
                self._swept.wait(chance.uniform(SHORTEST, LONGEST))
                ended = sweeper.poll()
                sweeper.kill()
            if began and ended is None:  # else it could not, and has said why
                self.sweeps += 1

    def end_sweeping(self) -> None:
        self._swept.set()
        if self._sweeping.ident is not None:
            self._sweeping.join()

    def wait_until_clear(self) -> None:
        """Also of the bytes of uploads, which are rows here."""
        super().wait_until_clear()
        with self.connect() as rows:
            until(
                lambda: not rows.execute(_KEPT_BYTES).fetchall(),
                lambda: f"bytes of uploads are left: {rows.execute(_KEPT_BYTES).fetchall()}",
                3 * TURN_SECONDS,
            )

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)

    def judge(self) -> None:
        """Pass two days, sweep, and compare what clients were promised, the rows and the bucket."""
        self.end_sweeping()
        assert self.sweeps, "no sweeper was killed"
        with self.connect() as rows:
            rows.execute("UPDATE store_attempt SET began = began - 172800000, ended = ended - 172800000")
            with open_sweeping_store(str(self.folder / "judge"), self.url, self.bucket) as store:
                store.sweep()
                assert store.sweep().left == 0
            checker = Checker(rows, self.bucket.open(), self.log.path)
            checker.check()
        assert not checker.wrong, "\n".join(checker.wrong)
        assert_clean(check(self.server.data, **self.settings))

    def close(self) -> None:
        super().close()
        self.end_sweeping()


def run_bucket_round(site: Site, folder: Path, server_round: ServerRound, each: int = EACH) -> None:
    """Play a round; AssertionError says what was wrong."""
    with site.cluster.database() as url:
        run_server_test(BucketTest(folder, server_round, url, site.s3.bucket(), each))


@contextlib.contextmanager
def open_sweeping_store(folder: str, url: str, bucket: Bucket) -> Iterator[S3Store]:
    """A store of a host of its own that lets nothing wait that is to be deleted."""
    os.makedirs(folder, exist_ok=True)
    store = S3Store(folder, bucket, PostgresObjectRows(url), garbage_ms=0, attempt_ms=0)
    with contextlib.closing(store):
        store.prepare()
        yield store


def main(folder: str) -> None:
    """Sweep until somebody kills this."""
    url, name, prefix, endpoint = (os.environ[variable] for variable in _PLACE)
    with open_sweeping_store(folder, url, Bucket(name, prefix, endpoint=endpoint)) as store:
        print("sweeps", flush=True)
        while True:
            store.sweep()


if __name__ == "__main__":
    main(*sys.argv[1:])

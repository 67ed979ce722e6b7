"""Clients that upload by the balancer while something is done to the site."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.crash.archives import Study
from tests.crash.processes import until
from tests.crash.uploaders import DOORS, Archive, Log, Uploader
from tests.hosts.site import PORT, Site

PATIENCE = 150.0
"""Seconds: a body that its host left half there can be sent again after 30, an import is taken over after 15."""


class Load:
    """So many clients for each door; each sends `each` archives, one after the other."""

    def __init__(self, site: Site, log: Path, clients: int, each: int) -> None:
        self.site = site
        self.log = Log(log)
        self._clients = clients
        self._each = each
        self._number = 0
        self._halfway = 0
        self._lock = threading.Lock()
        self._struck = threading.Event()
        """Lets uploads that are halfway go on."""
        self.meanwhile: Callable[[], None] = _do_nothing
        """Called once, by the test's own thread, while uploads go on from there."""

    def archive(self, door: str) -> Archive:
        """One of a study of its own."""
        with self._lock:
            self._number += 1
            number = self._number
        side, count = ((8, 2), (64, 6), (128, 12))[number % 3]
        study = Study(77, number, series=1, count=count, side=side)
        return Archive(f"{door}-{number}", study)

    def uploader(self, door: str) -> Uploader:
        return Uploader(PORT, door, self.log, patience=PATIENCE, connect=self.site.connect)

    def send(self, door: str = "raw") -> str:
        """One upload, until it is acknowledged; its id."""
        return self.uploader(door).send(self.archive(door))

    @contextmanager
    def halfway(self) -> Iterator[None]:
        """Within, one upload of each client has brought half of its bytes; the rest, and others, come at the end of it.

        All are acknowledged then, or AssertionError says which are not.
        """
        self._struck.clear()
        self._halfway = 0
        with ThreadPoolExecutor(self._clients * len(DOORS)) as pool:
            running = [pool.submit(self._send_all, door) for door in DOORS for _ in range(self._clients)]
            try:
                until(lambda: self._halfway >= len(running), f"not halfway: {[_failure(one) for one in running]}")
                yield
            finally:
                self._struck.set()
            meanwhile, self.meanwhile = self.meanwhile, _do_nothing
            meanwhile()
            for client in running:
                client.result()

    def _send_all(self, door: str) -> None:
        uploader = self.uploader(door)
        uploader.halfway = self._wait
        for _ in range(self._each):
            uploader.send(self.archive(door))

    def _wait(self) -> None:
        with self._lock:
            self._halfway += 1
        assert self._struck.wait(PATIENCE)

    def wait_until_ended(self) -> None:
        """Wait until every upload that was acknowledged is an archived session."""
        query = "SELECT count(*) FROM upload WHERE state = 'placed' AND uuid = ANY(%s)"
        promised = self.log.uploads()
        with self.site.database.connect() as rows:
            until(
                lambda: rows.execute(query, [promised]).fetchone() == (len(promised),),
                f"of {len(promised)} uploads that were acknowledged some never ended as archived",
                PATIENCE,
            )


def _do_nothing() -> None:
    pass


def _failure(client: Future[None]) -> str:
    return repr(client.exception()) if client.done() else "runs"

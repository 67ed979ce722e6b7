"""What a worker keeps of the imports that it has run: nothing, however they ended."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy.engine import Engine

from scandock.testing.worker import InProcessWorker
from scandock.workers.worker import CACHES_BYTES
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import until
from tests.integration.upload_server import UploadServer

pytestmark = pytest.mark.long

ROUNDS = 6
LOOKS = 6
"""Three looks suffice where nothing grew in both spans between them. Whatever else lives in this process (SQLAlchemy's
and pytest's lists are like ours) can grow twice by chance, 12 lists and 12 lists were seen: what leaks grows on."""
DEAD = "weakref.ReferenceType to builtins.NoneType"
"""Weak references to what is gone: they come and go with whatever had them (640, 386, 490, 624, 575 in five spans of a
worker that kept nothing), so that two spans in which they are more say nothing."""


@pytest.fixture
def server(tmp_path) -> Iterator[UploadServer]:
    made = UploadServer(tmp_path / "data")
    yield made
    made.close()


def run_some(server: UploadServer, first: int, rounds: int) -> None:
    """In each round: a session, it again, it replaced, no archive, one whose bytes are gone, one cancelled."""
    ended = {}
    for number in range(first, first + rounds):
        body = zip_bytes(Study(61, number, series=1, count=1, side=8).entries("S"))
        other = zip_bytes(Study(61, number, series=1, count=1, side=8, version=1).entries("S"))
        for archive, options in ((body, {}), (body, {}), (other, {"overwrite": "delete"}), (b"<html>", {})):
            uuid = server.send(archive, **options)
            ended[uuid] = server.ended(uuid)
        lost = server.receive(body)
        server.store.spool(lost).discard()
        server.accept(lost)
        cancelled = server.receive(body)
        server.cancel(cancelled)
        server.store.spool(cancelled).discard()  # as the web process does
        ended |= {uuid: server.ended(uuid) for uuid in (lost, cancelled)}
    assert set(Counter(ended.values())) >= {"placed", "refused", "failed", "cancelled"}


def kept() -> Counter[str]:
    """What lives in this process: objects by their kind, and beside them threads and descriptors.

    SQLAlchemy's caches of compiled statements are bounded, and fill whenever a thread comes to a statement that it had
    no reason for before: they are emptied, for what they hold is lists and dictionaries like what may leak.
    """
    for engine in [one for one in gc.get_objects() if isinstance(one, Engine)]:
        engine.clear_compiled_cache()
    gc.collect()
    found = Counter(map(_kind, gc.get_objects()))
    del found[DEAD]
    found["threads"] = threading.active_count()
    found["descriptors"] = len(os.listdir("/proc/self/fd"))
    return found


def _kind(one: object) -> str:
    """The kind of an object; of a weak reference also that of what it refers to, which alone says whose it is."""
    kind = f"{type(one).__module__}.{type(one).__qualname__}"
    return f"{kind} to {_kind(one())}" if type(one) is weakref.ref else kind


def steadily_more(looks: list[Counter[str]]) -> dict[str, list[int]]:
    """What grew between each two looks, by about as much each time: what leaks does, what fills a cache does not."""
    spans = {kind: [later[kind] - earlier[kind] for earlier, later in pairwise(looks)] for kind in looks[-1]}
    return {kind: grown for kind, grown in spans.items() if min(grown) >= ROUNDS and max(grown) <= 2 * min(grown)}


def test_what_a_worker_keeps_does_not_grow_with_its_imports(server):
    looks: list[Counter[str]] = []
    with InProcessWorker(server.data):
        with server.catalog.read() as connection:
            assert connection.exec_driver_sql("PRAGMA soft_heap_limit").scalar_one() == CACHES_BYTES
        while len(looks) < LOOKS:
            run_some(server, len(looks) * ROUNDS, ROUNDS)
            quiet(server)
            looks.append(kept())
            if len(looks) > 2 and not steadily_more(looks):
                break
    assert not steadily_more(looks)


def quiet(server: UploadServer) -> None:
    """Wait until nothing of an import is left to be done."""
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    short = ("attempt", "reader")
    until(lambda: not [one for one in threading.enumerate() if one.name in short], "an attempt lives on")

"""A disk that does not answer costs those their answer who ask for it, and nobody else."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scandock.web import deps, shared_call
from scandock.web.v1 import receipts
from tests.crash.processes import until
from tests.integration.web import serve_in_process


@pytest.fixture
def free():
    """Whatever hangs goes on once it is set."""
    event = threading.Event()
    yield event
    event.set()


def test_metrics_that_hang_take_no_threads_from_others(tmp_path, monkeypatch, free):
    many, hangs = deps.READ_THREADS + 1, threading.Event()
    with serve_in_process(tmp_path / "data") as web, web.client() as client, ThreadPoolExecutor(many + 1) as asking:
        rooms, looks = web.site.store.rooms, []

        def hang():
            looks.append(1)
            hangs.set()
            assert free.wait(60)
            return rooms()

        try:
            with monkeypatch.context() as patch:
                patch.setattr(web.site.store, "rooms", hang)
                patch.setattr(shared_call, "SECONDS", 0.0)
                scrapes = [asking.submit(client.get, "/metrics") for _ in range(many)]
                assert hangs.wait(30)
                assert asking.submit(client.get, "/api/v1/projects").result(20).status_code == 200
                answers = [scrape.result(30) for scrape in scrapes]
                assert {answer.status_code for answer in answers} == {503}
                assert all("has not answered for" in answer.text for answer in answers)
                assert len(looks) == 1
        finally:
            free.set()
        until(lambda: client.get("/metrics").status_code == 200, "they did not come again")


def test_receipts_on_a_disk_that_hangs_take_no_threads_from_others(client, monkeypatch, free):
    many, hangs = deps.READ_THREADS + 1, threading.Semaphore(0)

    def hang(packed, *_):
        hangs.release()
        with packed:
            assert free.wait(60)
        yield b"{}"

    monkeypatch.setattr(receipts, "_open", lambda *_: io.BytesIO())
    monkeypatch.setattr(receipts, "lines", hang)
    with ThreadPoolExecutor(many + 1) as asking:
        try:
            taken = [asking.submit(client.get, "/api/v1/imports/any/receipt?format=csv") for _ in range(many)]
            for _ in range(deps.READ_THREADS):
                assert hangs.acquire(timeout=30)
            assert asking.submit(client.get, "/api/v1/projects").result(20).status_code == 200
        finally:
            free.set()
        assert {(one.result(30).status_code, one.result().text) for one in taken} == {(200, "{}")}

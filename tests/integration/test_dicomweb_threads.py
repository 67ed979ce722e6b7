"""What reads by DICOMweb keeps no thread of downloads or pages, however many read at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from tests.builders import DataFolder, Image, images
from tests.integration.web import serve_by_socket

pytestmark = pytest.mark.processes

MANY = 40
"""Threads that one pool has for all downloads."""


def test_objects_that_are_slow_to_read_hold_up_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    chunks = ObjectReader.chunks

    def slow(self: ObjectReader, found: FoundObject, *more: Any) -> Iterator[bytes]:
        begun.release()
        assert go.wait(60)
        yield from chunks(self, found, *more)

    monkeypatch.setattr(ObjectReader, "chunks", slow)
    image = Image(case="slow")
    study = f"/dicomweb/projects/P/studies/{image.study_uid.decode()}"
    with serve_by_socket(tmp_path / "data") as web:
        (sent,) = images(1, case="slow")
        DataFolder(root=tmp_path, checked=False).bring({"a.dcm": sent})

        def read(_: int) -> httpx.Response:
            with web.client() as client:
                return client.get(study, headers={"Accept": 'multipart/related; type="*/*"; transfer-syntax=*'})

        with ThreadPoolExecutor(MANY) as readers, web.client() as client:
            answers = readers.map(read, range(MANY))
            try:
                assert all(begun.acquire(timeout=30) for _ in range(MANY))
                (session,) = client.get("/api/v1/sessions").json()["items"]
                (listed,) = client.get(f"/api/v1/files?session={session['id']}").json()["items"]
                for address, content in (
                    (f"/api/v1/sessions/{session['id']}/files/{listed['id']}/content", sent),
                    ("/projects/P", b"<!doctype html>"),
                ):
                    answer = client.get(address, timeout=10)
                    assert answer.content.startswith(content)
            finally:
                go.set()
            assert all(sent in answer.content for answer in answers)

"""What reads by DICOMweb keeps no thread of downloads or pages, however many read at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest

from scandock.access.accounts import find as find_account
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.services.settings import load_settings
from tests.builders import DataFolder, Image, images
from tests.integration.web import serve_by_socket
from tests.unit.viewing.made import JPEG_2000, encapsulated

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


def test_a_frame_larger_than_the_room_of_answers_is_sent_and_gives_it_back(tmp_path: Path) -> None:
    pixels = np.zeros((4096, 4200), "u1")
    packed = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True))
    uids = {"StudyInstanceUID": "1.2.3.7", "SeriesInstanceUID": "1.2.3.7.1", "SOPInstanceUID": "1.2.3.7.1.1"}
    settings = load_settings().model_copy(update={"answer_bytes": 16 * 1024**2})
    address = "/dicomweb/projects/P/studies/1.2.3.7/series/1.2.3.7.1/instances/1.2.3.7.1.1"
    with serve_by_socket(tmp_path / "data", settings) as web, web.client() as client:
        DataFolder(root=tmp_path, checked=False).bring(
            {"a.dcm": encapsulated([packed], pixels, syntax=JPEG_2000, PatientID="L", **uids)}
        )
        buffers = web.site.response_buffers
        for accept in ("application/octet-stream", "*/*"):
            answer = client.get(f"{address}/frames/1", headers={"Accept": accept})
            assert answer.status_code == 200
            assert pixels.tobytes() in answer.content
        whole = client.get(address, headers={"Accept": "application/dicom"})
        assert pixels.tobytes() in whole.content
        assert buffers.bytes == 0
        with web.site.catalog.read() as connection:
            account = find_account(connection, "admin")
        assert account is not None
        with buffers.hold(account.id, 15 * 1024**2):  # of another answer of theirs
            for path in ("/frames/1", ""):
                refused = client.get(address + path, headers={"Accept": "*/*"})
                assert (refused.status_code, refused.json()["code"]) == (503, "answers_full")
                assert buffers.bytes == 15 * 1024**2

"""WADO-RS: objects, as the narrowest clients read the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import BytesHeaderParser

import httpx
import pytest

from tests.builders import DataFolder, Image, images
from tests.integration.web import Web, serve_in_process

STORED = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    root = tmp_path_factory.mktemp("objects")
    with serve_in_process(root / "data") as running:
        site = DataFolder(root=root)
        site.bring({f"{n}.dcm": data for n, data in enumerate(images(3))})
        site.bring({f"{n}.dcm": data for n, data in enumerate(images(2, case="other", series=2))})
        yield running


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as made:
        yield made


def parts_of(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part, read as cornerstone and the JS client do: to the letter."""
    kind = answer.headers["content-type"]
    match = re.fullmatch(r'multipart/related; type="([a-z/+.-]+)"; boundary=([0-9a-f-]{32,70})', kind)
    assert match, kind
    line = f"--{match[2]}".encode()
    assert answer.content.startswith(line + b"\r\n")
    assert answer.content.endswith(b"\r\n" + line + b"--\r\n")
    parts = []
    for piece in answer.content[len(line) + 2 : -len(line) - 6].split(b"\r\n" + line + b"\r\n"):
        head, _, body = piece.partition(b"\r\n\r\n")
        assert head.startswith(b"Content-Type: ")
        assert len(head) < 1000
        content_type = BytesHeaderParser().parsebytes(head)["Content-Type"]
        assert content_type.partition(";")[0] == match[1]
        parts.append((content_type, body))
    assert len({content_type for content_type, _ in parts}) == 1
    return parts


def test_objects_come_as_they_were_stored(client):
    files = images(3)
    first = Image(case="again", number=1)
    study, series, instance = (one.decode() for one in (first.study_uid, first.series_uid, first.sop_uid))
    for base in ("/dicomweb", "/dicomweb/projects/P", "/dicomweb/projects/p"):
        got = client.get(f"{base}/studies/{study}", headers=STORED)
        assert got.status_code == 200, got.text
        assert [body for _, body in parts_of(got)] == files
        one = client.get(f"{base}/studies/{study}/series/{series}/instances/{instance}", headers=STORED)
        assert [body for _, body in parts_of(one)] == files[:1]

"""Single objects, one a request: acknowledged once they are on disk, listed at once, built later (gradual-DICOM)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import gradual_upload
from scandock.catalog.tables import upload
from scandock.services.settings import Settings, load_settings
from scandock.testing.worker import InProcessWorker
from tests.builders import images
from tests.integration.web import Web, serve_in_process

IMPORT = "/data/services/import"
DICOM = {"Content-Type": "application/dicom"}


def patient_settings(seconds: float = 600) -> Settings:
    """No session is built by itself, unless `seconds` are less than a test takes."""
    return load_settings().model_copy(update={"gradual_seconds": seconds})


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A server without a worker, on which nothing is built unless somebody asks for it."""
    with serve_in_process(tmp_path / "data", patient_settings()) as running:
        running.account("mia", P="member")
        running.account("carl", P="collaborator")
        yield running


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client("mia") as running:
        yield running


def send(client: httpx.Client, body: bytes, project: str = "P", **asked: str) -> str:
    """Send an object; the URI that is answered."""
    answer = client.post(IMPORT, params={"project": project, **asked}, content=body, headers=DICOM)
    assert answer.status_code == 200, answer.text
    return answer.text.strip()


def listed(client: httpx.Client, project: str = "P", **filters: str) -> list[dict[str, str]]:
    answer = client.get(f"/data/prearchive/projects/{project}", params={"format": "json", **filters})
    rows: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return rows


def uploads(web: Web) -> list[Any]:
    with web.site.catalog.read() as connection:
        return list(connection.execute(select(upload).order_by(upload.c.id)).all())


def promises(web: Web) -> list[Any]:
    with web.site.catalog.read() as connection:
        return list(connection.execute(select(gradual_upload).order_by(gradual_upload.c.upload_id)).all())


def scans(client: httpx.Client, uri: str) -> list[str]:
    rows = client.get(f"{uri}/scans/ALL/files", params={"format": "json"}).json()["ResultSet"]["Result"]
    return sorted(row["Name"] for row in rows)


def test_objects_are_answered_before_their_import_and_listed_at_once(web: Web, client: httpx.Client) -> None:
    sent = {send(client, one, subject="S", session="E") for one in images(3)}
    (uri,) = sent
    (row,) = uploads(web)
    assert (row.state, row.archive) == ("receiving", "DICOM objects")
    (promise,) = listed(client)
    _, _, _, _, project, timestamp, label = uri.split("/")
    assert (promise["project"], promise["timestamp"], promise["name"]) == (project, timestamp, label)
    assert (promise["status"], promise["subject"], f"/data{promise['url']}") == ("RECEIVING", "S", uri)
    assert listed(client, name="E") == [promise]
    assert listed(client, name="F") == []
    with InProcessWorker(web.site.data):
        assert len(scans(client, uri)) == 3
    (row,) = listed(client)
    assert (row["status"], f"/data{row['url']}") == ("READY", uri)
    assert [one.state for one in uploads(web)] == ["placed"]

"""Fixtures that most tests of a folder and of a server over it begin with; a test that needs more has its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scandock.catalog.engine import Catalog, open_catalog
from scandock.store.bucket import Bucket
from tests.builders import DataFolder, make_data_folder
from tests.integration.small_disks import Mount, small_disk
from tests.integration.web import Web, serve_in_process


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A data folder of the test's own, on SQLite; with TESTS_STORE=bucket, in PostgreSQL and a bucket."""
    if os.environ.get("TESTS_STORE") != "bucket":
        return make_data_folder(tmp_path, monkeypatch)
    bucket: Bucket = request.getfixturevalue("bucket")
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    (tmp_path / "data").mkdir()
    return make_data_folder(tmp_path, monkeypatch, request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """A data folder that the tests of a module share, on SQLite."""
    with pytest.MonkeyPatch.context() as patch:
        yield make_data_folder(tmp_path_factory.mktemp("shared"), patch)


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    """A server over `site`, by HTTP."""
    with serve_in_process(site.data) as running:
        yield running


@pytest.fixture
def unswept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of the test sweeps by itself, as it does when it starts and each minute: the test says when."""
    monkeypatch.setattr("scandock.web.app._list_cleaners", lambda _: [])


@pytest.fixture
def hosts(postgres_url: str) -> Iterator[list[Catalog]]:
    """One catalog in PostgreSQL, as two hosts have it."""
    catalogs = [open_catalog(postgres_url), open_catalog(postgres_url)]
    yield catalogs
    for catalog in catalogs:
        catalog.dispose()


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    """The administrator, by HTTP."""
    with web.client() as http_client:
        yield http_client


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """A DATA folder on a file system of its own; `disk("3m")` mounts it."""
    with small_disk(tmp_path / "data") as mount:
        yield mount

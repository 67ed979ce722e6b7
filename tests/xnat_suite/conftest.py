"""One server for all tests that send what the original's suite sends, and a project for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from scandock.testing.server import InProcessServer
from scandock.testing.worker import InProcessWorker
from tests.xnat_suite.originals import data_folder
from tests.xnat_suite.requests import Suite

PASSWORD = "correct horse"
NUMBERS = itertools.count(1)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without the suite's files its tests are one that is skipped (test_outcomes.py)."""
    return True if collection_path.name.startswith("test_original_") and data_folder() is None else None


@pytest.fixture(scope="session")
def suite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessServer]:
    """A server with an administrator and an account that may make projects."""
    data = tmp_path_factory.mktemp("xnat-suite") / "data"
    with capture_logs(), InProcessServer(data) as server, InProcessWorker(data, upkeep=False):
        server.add_account("admin", PASSWORD, admin=True)
        server.add_account("main", PASSWORD)
        server.add_account("other", PASSWORD)
        yield server


@pytest.fixture
def suite(suite_server: InProcessServer) -> Iterator[Suite]:
    """A project of `main`'s, whose sessions wait unless they are sent to the archive."""
    data = data_folder()
    assert data is not None
    with (
        suite_server.client(auth=("main", PASSWORD), timeout=60) as main,
        suite_server.client(auth=("admin", PASSWORD), timeout=60) as admin,
    ):
        project = f"SUITE{next(NUMBERS)}"
        assert main.put(f"/data/projects/{project}").status_code in (200, 201)
        assert main.put(f"/data/projects/{project}/prearchive_code/0").status_code == 200
        yield Suite(main=main, admin=admin, data=data, project=project)


@pytest.fixture
def other(suite_server: InProcessServer) -> Iterator[httpx.Client]:
    """A client of another account, which may make projects and see none of `main`'s."""
    with suite_server.client(auth=("other", PASSWORD), timeout=60) as client:
        yield client


@pytest.fixture
def finished(suite: Suite) -> Callable[[str], dict[str, Any]]:
    """Wait until an import that was asked for with a key has ended; gives what is told of it then."""

    def wait(key: str) -> dict[str, Any]:
        (newest,) = suite.main.get("/api/v1/imports", params={"limit": 1}).raise_for_status().json()["items"]
        suite.main.get(f"/api/v1/imports/{newest['id']}/events").raise_for_status()  # which ends as the import does
        told: dict[str, Any] = suite.main.get(f"/xapi/event_tracking/{key}").raise_for_status().json()
        assert told["succeeded"] is not None, told
        return told

    return wait

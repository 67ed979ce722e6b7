"""What tests in a browser share: a Chromium and a server for each process of a run. Each has a project of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState

from hatch_build import make_bundle
from tests.crash.served import ServerProcess
from tests.e2e.browsing import HOST_NAME, base_of, chromium
from tests.e2e.projects import Project, log_in, project_of, shared_site
from tests.e2e.uploading import RAW, archive, image, sums
from tests.ports import free_port
from tests.shared_folders import make_once


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, started when a test first asks for it; the server has a host's name there, too."""
    with chromium(f"--host-resolver-rules=MAP {HOST_NAME} 127.0.0.1") as running:
        yield running


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[ServerProcess]:
    """A server that the tests of this process share: nobody kills or configures it, or counts what is on all of it.

    Its pages are those of a wheel: a page is 24 requests instead of 122, and costs a third of the work.
    """
    bundle = make_once("bundle", lambda folder: make_bundle(project_root, folder))
    with shared_site(tmp_path_factory.mktemp("site"), bundle) as running:
        yield running


@pytest.fixture(scope="session")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server like `site` with the pages of a checkout, for what imports or changes single modules."""
    with shared_site(tmp_path_factory.mktemp("plain")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(site: ServerProcess) -> StorageState:
    """The administrator's login on the shared server, for `person`. Who logs out needs a login of their own."""
    return log_in(base_of(site))


@pytest.fixture
def project(site: ServerProcess) -> Project:
    """A project of the test's own on the shared server."""
    return project_of(site)


@pytest.fixture
def plain_project(plain_site: ServerProcess) -> Project:
    """A project of the test's own where the pages are plain modules."""
    return project_of(plain_site)


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, set[str]]:
    """A big archive, and the checksums of what is in it."""
    path = archive(tmp_path / "big.zip", {"s/1.dcm": image(1), "s/2.dcm": image(2), "s/raw.bin": RAW})
    return path, sums(image(1), image(2), RAW)


@pytest.fixture
def served(tmp_path) -> Iterator[ServerProcess]:
    """A server of the test's own, with `admin` and no project: for what needs an empty site."""
    running = ServerProcess(tmp_path, free_port()).ready()
    try:
        yield running
        running.end()
    finally:
        running.kill()

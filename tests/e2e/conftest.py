"""What the tests in a browser share: one Chromium for the run, and a served DATA."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.crash.served import Served, free_port
from tests.e2e.browsing import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, started when a test first asks for it."""
    with chromium() as running:
        yield running


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    """A server of an empty DATA, with `admin` and no project."""
    running = Served(tmp_path, free_port()).ready()
    try:
        yield running
        running.end()
    finally:
        running.kill()

"""A server whose imports run, for the tests of a module that store by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scandock.testing.worker import InProcessWorker
from tests.integration.web import Web, serve_in_process


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The server, with a worker beside it; `client` of the folder above is its administrator."""
    data = tmp_path_factory.mktemp("stow") / "data"
    with serve_in_process(data) as running, InProcessWorker(data, upkeep=False):
        yield running

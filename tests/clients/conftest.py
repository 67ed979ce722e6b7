"""A served Scandock for XNAT's clients, and the clients: each is run by the Python of its own environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from scandock.testing.server import InProcessServer
from scandock.testing.worker import InProcessWorker
from tests.clients.material import make_sessions, prepare, write_files
from tests.crash.served import PASSWORD, FreshServerProcess
from tests.integration.web import Web, serve_by_socket, serve_in_process
from tests.ports import free_port
from tests.shared_folders import make_once

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".environments"
Run = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-clients", action="store_true", help="write what XNAT's clients send to recorded/ anew")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs a client for long, unless what clients send is recorded: `make clients`."""
    if config.getoption("--record-clients", default=False):
        return
    long = [item for item in items if item.get_closest_marker("whole_clients")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def sessions() -> Path:
    """A DATA with sessions, to be copied."""
    return make_once("tour-sessions", make_sessions) / "data"


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what tours send; nobody writes into it."""
    return write_files(tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="session")
def prepared(sessions: Path) -> Path:
    """A DATA with all that tours begin with, to be copied."""

    def make(folder: Path) -> None:
        shutil.copytree(sessions, folder / "data")
        with serve_in_process(folder / "data") as web, web.client() as client:
            prepare(client)

    return make_once("tour-prepared", make) / "data"


@pytest.fixture
def web(sessions: Path, tmp_path: Path) -> Iterator[Web]:
    """A server of the test's own, at a port of the loopback, with a worker and all that tours begin with."""
    data = tmp_path / "served"
    shutil.copytree(sessions, data)
    with serve_by_socket(data) as running, InProcessWorker(data, upkeep=False):
        with running.client() as client:
            prepare(client)
        yield running


@pytest.fixture
def served(sessions: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The same by `scandock serve`, with all its processes: its address, and the password of `admin`."""
    folder = tmp_path / "served"
    shutil.copytree(sessions, folder / "data")
    server = FreshServerProcess(folder, free_port()).ready()
    address = f"http://127.0.0.1:{server.port}"
    try:
        with httpx.Client(base_url=address, auth=("admin", PASSWORD), timeout=30, trust_env=False) as client:
            prepare(client)
        yield address, PASSWORD
        server.end()
    finally:
        server.kill()


@pytest.fixture
def in_process(prepared: Path, tmp_path: Path) -> Iterator[InProcessServer]:
    """The same without a port."""
    data = tmp_path / "served"
    shutil.copytree(prepared, data)
    with capture_logs(), InProcessServer(data) as running, InProcessWorker(data, upkeep=False):
        yield running


@pytest.fixture
def run_program(tmp_path: Path) -> Run:
    """Run a program with a home of its own; gives what it printed."""

    def call(program: str | Path, *words: str | Path, typed: str = "") -> str:
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "LANG": "C.UTF-8"}
        done = subprocess.run(
            [program, *words], input=typed.encode(), capture_output=True, env=environment, cwd=tmp_path, timeout=300,
            start_new_session=True,  # passwords are then read from standard input
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()

    return call


@pytest.fixture
def run(run_program: Run) -> Run:
    """Run a program of a client's environment."""

    def call(client: str, program: str, *words: str | Path, typed: str = "") -> str:
        return run_program(ENVIRONMENTS / client / "bin" / program, *words, typed=typed)

    return call


@pytest.fixture
def tour(run: Run) -> Callable[..., dict[str, Any]]:
    """Run a script of tours by a client's Python; gives what it saw, which is the last line that it prints."""

    def call(client: str, name: str, *words: str | Path) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(run(client, "python", HERE / "tours" / name, *words).splitlines()[-1])
        return seen

    return call

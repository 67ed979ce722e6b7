"""A served Scandock for XNAT's clients, and the clients: each is run by the Python of its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.served import Served, free_port

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".environments"
Run = Callable[..., str]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("clients"), free_port()).ready()
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def url(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}"


@pytest.fixture
def project(served: Served, request: pytest.FixtureRequest) -> str:
    """A project of the test's own."""
    name = "".join(char if char.isalnum() else "_" for char in request.node.name.removeprefix("test_"))
    name = f"{name[:40]}_{zlib.crc32(name.encode()):08x}"
    status, told = served.ask("POST", "/api/v1/projects", json.dumps({"id": name}).encode())
    assert status == 201, told
    return name


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
    """Run a tour by a client's Python; gives what it saw, which is the last line that it prints."""

    def call(client: str, name: str, *words: str | Path) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(run(client, "python", HERE / "tours" / name, *words).splitlines()[-1])
        return seen

    return call

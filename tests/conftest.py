"""Fixtures that any test may ask for: a database of each kind, and the real files beside the project."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from scandock.store.bucket import Bucket
from scandock.testing.data import copy_catalog
from scandock.testing.dialects import share_compiled_statements
from scandock.testing.passwords import quick_passwords
from scandock.testing.readers import thread_readers
from tests import ceph, postgres, seaweed, shared_folders
from tests.s3_server import ACCESS, Server
from tests.shared_folders import make_once

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
S3_SERVERS = {"seaweed": seaweed.server, "ceph": ceph.server}

# The same examples in every run, so that a red test is red for everyone; `make fuzz` looks further, at random.
settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out PostgreSQL, tests that start servers, commands, browsers or clients, and long ones",
    )


def pytest_sessionstart() -> None:
    """Collecting makes millions of objects that stay: to look for garbage among them takes as long again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave what was collected out of each later search for garbage: a fifth of the time of many tests."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `postgresql` on both databases, everything else that asks for a database on SQLite."""
    if "database_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("postgresql"):
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    slow = {
        item for item in items if any(map(item.get_closest_marker, ("processes", "long"))) or _needs_postgresql(item)
    }
    config.hook.pytest_deselected(items=list(slow))
    items[:] = [item for item in items if item not in slow]


def _needs_postgresql(item: pytest.Item) -> bool:
    fixtures: set[str] = set(getattr(item, "fixturenames", ()))
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    by_name = {name for name in ("database_url", "bare_database_url", "two_urls") if chosen.get(name) == "postgresql"}
    return bool(by_name or fixtures & {"postgres_url", "postgres_cluster"})


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no names: packed ones have the time in them, and each test process would call a test otherwise."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The project's own folder."""
    return ROOT


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Pytest's, in memory where `make test` runs; of tests marked `disk` or `crash` one on a disk."""
    if not any(map(request.node.get_closest_marker, ("disk", "crash"))):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="scandock-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """Where the test processes of a run find what one of them has made for all."""
    own = tmp_path_factory.getbasetemp()
    shared_folders.set_shared_folder(own if worker_id == "master" else own.parent)


@pytest.fixture(scope="session", autouse=True)
def cheap_doubles() -> Iterator[None]:
    """Passwords cost nothing, imports within this process read in threads, and catalogs share what they compiled.

    What the production cost is, tests/unit/access/test_passwords.py holds; readers as processes are what every test of
    the command line, of workers and of served folders has.
    """
    share_compiled_statements()
    with quick_passwords(), thread_readers():
        yield


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """One private cluster for each test process, started when a test first asks for it."""
    with postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """One S3 server for each test process, started when a test first asks for it; TESTS_S3 names its kind."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ACCESS.items():
            environment.setenv(name, value)
        with S3_SERVERS[os.environ.get("TESTS_S3", "seaweed")]() as running:
            yield running


@pytest.fixture
def bucket(s3_server: Server) -> Bucket:
    """A place of the test's own in a bucket of a real S3 server."""
    return s3_server.bucket()


@pytest.fixture
def postgres_url(postgres_cluster: postgres.Cluster) -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own, with an empty catalog in it."""
    with postgres_cluster.catalog() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database of the test's own, with an empty catalog in it."""
    path = tmp_path / "scandock.db"
    copy_catalog(path)
    return f"sqlite:///{path}"


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty catalog's URL: SQLite's, and PostgreSQL's as well where the test is marked `postgresql`."""
    kind = getattr(request, "param", "sqlite")
    return str(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, for tests of how a catalog is made; on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    with cluster.database() as url:
        yield url


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real files beside the project; a test that asks for it skips where it is not."""
    if not (CORPUS / "manifest.tsv").is_file():
        pytest.skip("no real files at ../shared/corpus")
    return CORPUS


@pytest.fixture(scope="session")
def corpus_archives(corpus: Path) -> Path:
    """A folder with the archives that the corpus packs itself into, named as in its expected.json."""

    def pack(folder: Path) -> None:
        packing = [sys.executable, "-B", str(corpus / "pack_dev.py"), str(folder)]
        subprocess.run(packing, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    return make_once("corpus-archives", pack)

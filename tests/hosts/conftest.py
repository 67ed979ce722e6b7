"""Sites of three hosts, for the tests that ask for one; skipped, and said, where no machines can be made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.server_rounds import last_lines
from tests.hosts.load import Load
from tests.hosts.network import network, why_not
from tests.hosts.site import Site, machine_names

ROLES = {"h1": "web", "h2": "all", "h3": "worker"}


@contextmanager
def three_hosts(*, standby: bool, clients: int, each: int) -> Iterator[Load]:
    """Three hosts, not started yet, and who uploads to them."""
    if reason := why_not():
        pytest.skip(reason)
    with (
        tempfile.TemporaryDirectory(prefix="scandock-", dir="/var/tmp", ignore_cleanup_errors=True) as name,
        network(machine_names(ROLES, standby=standby)) as made,
    ):
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL is another user
        site = Site(folder, made, ROLES)
        try:
            yield Load(site, folder / "promised.jsonl", clients, each)
        finally:
            site.close()
            for log in sorted((*folder.glob("*/log"), *folder.glob("*/err"))):  # which pytest shows of a failure
                print(log, last_lines(log), sep="\n")


@pytest.fixture(scope="module")
def site_with_standby() -> Iterator[Load]:
    """One whose database is never without a copy, for all tests of a module, with two clients for each door."""
    with three_hosts(standby=True, clients=2, each=3) as load:
        yield load


@pytest.fixture
def small_site() -> Iterator[Load]:
    """One with a client for each door, which sends one archive."""
    with three_hosts(standby=False, clients=1, each=1) as load:
        yield load

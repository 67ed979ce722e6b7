"""What can befall a site of several hosts: every upload that was acknowledged ends once, as what was sent.

An import stands still on the host h2, and bodies and resumable uploads are halfway, when it befalls. `make hosts` plays
all of it; test_killed_host.py has the share of `make test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.crash.case_share import RUN_ALL
from tests.crash.processes import until
from tests.hosts.load import PATIENCE, Load
from tests.hosts.scene import VICTIM, Scene

pytestmark = [
    pytest.mark.crash,
    pytest.mark.processes,
    pytest.mark.skipif(not RUN_ALL, reason="takes minutes: `make hosts` plays it"),
]


@contextmanager
def host_killed(scene: Scene) -> Iterator[None]:
    """Without a word: another host can only wait for the end of its lease."""
    scene.victim.power_off()
    yield
    scene.wait_until_taken_over()


@contextmanager
def cut_from_database(scene: Scene) -> Iterator[None]:
    """Its attempt goes on once it is back, and the import has been another's for long."""
    with scene.site.network.cut(scene.machine, scene.site.network.machines["db"]):
        yield
        scene.wait_until_taken_over()
    scene.go_on()


@contextmanager
def cut_from_store(scene: Scene) -> Iterator[None]:
    """What it works on waits, and is ended by a host that reaches the store; others take what is sent meanwhile."""
    with scene.site.network.cut(scene.machine, scene.site.network.machines["s3"]):
        scene.go_on()
        yield
        scene.load.wait_until_ended()
        assert scene.standing().attempt == 1, "an outage of the store was counted as an attempt"


@contextmanager
def store_killed_twice(scene: Scene) -> Iterator[None]:
    """Once while an import needs it and until every host has seen that, once more while uploads and imports go on."""
    bucket = scene.site.bucket
    bucket.kill()
    scene.go_on()
    scene.wait_until_noticed()
    bucket.start()
    acknowledged = scene.load.log.count

    def kill_again() -> None:
        until(lambda: scene.load.log.count > acknowledged, "no upload was acknowledged", PATIENCE)
        bucket.kill()
        bucket.start()

    scene.load.meanwhile = kill_again
    yield


@contextmanager
def cable_pulled(scene: Scene) -> Iterator[None]:
    """The attempt goes on while it is cut off from everything, and publishes nothing."""
    with scene.site.network.unplugged(scene.machine):
        scene.go_on()
        yield
        scene.wait_until_taken_over()


@contextmanager
def slow_import(scene: Scene) -> Iterator[None]:
    """It is left to the host that works on it, though others have the same name, or know another time."""
    first = scene.standing()
    yield
    with scene.site.database.connect() as rows:
        waited = "SELECT now() > %s"
        (moment,) = rows.execute("SELECT now() + make_interval(secs => %s)", [first.lease / 1000 + 5]).fetchone()  # type: ignore[misc]
        until(lambda: rows.execute(waited, [moment]).fetchone() == (True,), "time stands still")
        names = rows.execute("SELECT count(*), count(DISTINCT name) FROM host WHERE seen > 0").fetchone()
    assert names == (3, 1), "three hosts of one name were to serve"
    assert scene.standing().state == "running"
    scene.go_on()
    scene.load.wait_until_ended()
    assert scene.standing().attempt == 1, "it was taken from a host that lives"


@contextmanager
def clock_an_hour_off(scene: Scene) -> Iterator[None]:
    """The store refuses what is signed at such a time, so the host says that and does not serve; others go on."""
    scene.victim.power_off()
    for clock in ("+3600s", "-3600s"):
        printed_before = len(scene.victim.err.read_text())
        host = scene.site.start_host(VICTIM, clock)
        until(lambda: host.process.poll() is not None, "it serves")  # noqa: B023  waited for here
        assert "clocks of this machine and of the store differ" in host.err.read_text()[printed_before:]
    yield
    scene.wait_until_taken_over()


@contextmanager
def primary_killed(scene: Scene) -> Iterator[None]:
    """What was acknowledged is on the standby, which takes its place once the hosts have seen that it is gone."""
    scene.site.database.kill_primary()
    scene.wait_until_noticed()
    scene.site.database.promote()
    yield
    scene.go_on()


Fault = Callable[[Scene], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "clock"),
    [
        pytest.param(host_killed, "", id="host killed"),
        pytest.param(cut_from_database, "", id="cut from the database"),
        pytest.param(cut_from_store, "", id="cut from the store"),
        pytest.param(store_killed_twice, "", id="store killed twice"),
        pytest.param(cable_pulled, "", id="cable pulled"),
        pytest.param(slow_import, "", id="same names"),
        pytest.param(slow_import, "+600s", id="clock ten minutes ahead"),
        pytest.param(clock_an_hour_off, "", id="clock an hour off"),
        pytest.param(primary_killed, "", id="primary killed"),
    ],
)
def test_what_was_acknowledged_ends_once(site_with_standby: Load, fault: Fault, clock: str) -> None:
    load = site_with_standby
    scene = Scene(load, clock)
    with ExitStack() as faults, load.halfway():
        faults.enter_context(fault(scene))
    load.wait_until_ended()
    scene.end()
    scene.clear_up()
    assert load.site.check(load.log.path, load.site.hosts) == []

"""What can befall a site of several hosts: every upload that was acknowledged ends once, as what was sent.

An import stands still on the host h2, and bodies and resumable uploads are halfway, when it befalls. `make hosts` plays
all of it; test_short.py has the share of `make test`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.crash.case_share import RUN_ALL
from tests.hosts.load import Load
from tests.hosts.scene import Scene

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


Fault = Callable[[Scene], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "clock"),
    [
        pytest.param(host_killed, "", id="host killed"),
        pytest.param(cut_from_database, "", id="cut from the database"),
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

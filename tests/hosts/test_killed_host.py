"""One of three hosts is killed while it receives and imports: the share of `make test` (`make hosts` has the rest)."""

from __future__ import annotations

import pytest

from tests.hosts.load import Load
from tests.hosts.scene import Scene

pytestmark = [pytest.mark.crash, pytest.mark.processes]


def test_the_others_end_what_a_killed_host_has_left(small_site: Load) -> None:
    load = small_site
    scene = Scene(load)
    with load.halfway():
        scene.victim.power_off()
        load.site.end_leases()
    scene.wait_until_taken_over()
    scene.clear_up()
    assert load.site.check(load.log.path, ["h1"]) == []

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

    # what the checker says where an upload was lost, and an object is nobody's
    load.log.acknowledged(load.archive("raw"), "lost", "raw", 0)
    with load.site.database.connect() as rows:
        rows.execute("DELETE FROM stored_receipt WHERE upload = %s", [scene.upload])
    wrong = " ".join(load.site.check(load.log.path, []))
    assert "lost was acknowledged, and became []" in wrong
    assert f"{scene.upload} was acknowledged, and became [('placed', 1, 1, 1, 0)]" in wrong
    assert "no row names the object v1/r/" in wrong

"""That a disk whose power is cut loses what was not synced and nothing else, and the rounds that `make crash` plays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.crash.disks import KINDS, Disk, NoDiskError
from tests.crash.dropped_syncs import EVERY, NUMBERS
from tests.crash.power_cuts import CONTROLS, DISKS, POSTGRESQL_CONTROLS, PowerCut, controls, power_cuts
from tests.crash.server_rounds import RECEIVING, WITHIN

pytestmark = [pytest.mark.crash, pytest.mark.processes]

WRITE = """
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x" * 5000)
os.fsync(fd)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_takes_what_was_not_synced_and_a_dropped_sync_syncs_nothing(tmp_path, kind):
    try:
        disk = Disk(tmp_path / "disk", kind)
    except NoDiskError as why:
        pytest.skip(str(why))
    try:
        for name, words in (("synced", []), ("unsynced", ["-m", "tests.crash.dropped_syncs", EVERY, sys.executable])):
            subprocess.run([sys.executable, *words, "-c", WRITE, disk.path / name], check=True)
        disk.cut()
        with pytest.raises(OSError, match="Input/output error"):
            (disk.path / "late").write_bytes(b"x")
        disk.unmount()
        disk.mount()
        assert (disk.path / "synced").read_bytes() == b"x" * 5000
        left = disk.path / "unsynced"
        assert not left.exists() or not left.stat().st_size
    finally:
        disk.close()


def test_the_rounds_cut_at_every_moment_on_every_disk():
    played = list(power_cuts(200, 1))
    assert {one.at for one in played} == {"acknowledged", "halfway", "random", *RECEIVING, *WITHIN}
    assert {one.disk for one in played} == set(DISKS)
    assert {(one.disk, one.at, one.dropped) for one in controls(1)} == {
        *((kind, *control) for kind in KINDS for control in CONTROLS),
        *((f"{kind}+postgresql", *control) for kind in KINDS for control in POSTGRESQL_CONTROLS),
    }
    assert all(PowerCut.parse(str(one)) == one for one in (*played, *controls(1)))


def test_every_sync_can_be_dropped_on_every_machine():
    assert all(set(EVERY.split(",")) == set(numbers) for numbers in NUMBERS.values())

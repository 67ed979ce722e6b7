"""Which file system a path lies on, from /proc/self/mountinfo, and what it can do."""

from __future__ import annotations

import os
import threading

import pytest

from scandock.store import space
from scandock.store.local import LocalStore
from scandock.store.root import Root

pytestmark = pytest.mark.disk

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:5 / /data rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2
24 22 0:6 / /database rw - xfs /dev/vdb rw
25 23 0:7 / /data/local rw shared:2 master:3 - ext4 /dev/vdc rw
26 22 0:8 / /mnt/my\040share rw - cifs //server/share rw
27 22 0:9 / /twice rw - ext4 /dev/vdd rw
28 27 0:10 / /twice rw - fuse.sshfs host: rw
29 22 0:11 / /odd rw - fuseblk /dev/vde rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/data", "nfs4"),
        ("/data/x/y", "nfs4"),
        ("/database/x", "xfs"),
        ("/data/local/x", "ext4"),
        ("/data/locals", "nfs4"),
        ("/mnt/my share/x", "cifs"),
        ("/mnt/my", "ext4"),
        ("/twice/x", "fuse.sshfs"),
        ("/odd", "fuseblk"),
    ],
)
def test_the_longest_and_last_mount_wins(path, kind):
    assert space.filesystem_in(MOUNTS.splitlines(keepends=True), path) == kind


def test_no_mounts_no_kind():
    assert space.filesystem_in([], "/") == ""


def test_a_path_that_is_yet_to_be_made(tmp_path):
    assert space.filesystem_of(os.fspath(tmp_path / "a/b/c")) == space.filesystem_of(os.fspath(tmp_path)) != ""


def test_network_kinds_are_known():
    for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "9p"):
        assert kind in space.NETWORK
    for kind in ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"):
        assert kind not in space.NETWORK


def test_a_probe_beside_sweeps_finds_the_same(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    expected = space.can_exchange(Root(str(tmp_path)))
    ended = threading.Event()

    def sweep():
        while not ended.is_set():
            LocalStore(tmp_path).sweep()

    sweeps = [threading.Thread(target=sweep) for _ in range(3)]
    for one in sweeps:
        one.start()
    try:
        found = {space.can_exchange(Root(str(tmp_path))) for _ in range(150)}
    finally:
        ended.set()
        for one in sweeps:
            one.join()
    assert found == {expected}
    store.sweep()
    assert os.listdir(tmp_path / "trash" / "now") == []

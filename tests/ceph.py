"""A Ceph cluster of one monitor, one OSD and one gateway with S3 for one run of the tests, by Debian's packages.

It ignores more of what S3's clients ask for than SeaweedFS does: conditions, checksums in headers, conditional copies.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.ports import free_port
from tests.s3_server import ACCESS, START_SECONDS, Server, wait_until_ready

_CLASSES = "/usr/lib/x86_64-linux-gnu/rados-classes"
_OSD_PORTS = 32
_CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor_port}/0]
mon_initial_members = a
public_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_port_min = {osd_port}
ms_bind_port_max = {last_osd_port}
auth_allow_insecure_global_id_reclaim = false
keyring = {folder}/keyring
run_dir = {folder}/run
admin_socket = {folder}/run/$cluster-$name.asok
log_file = {folder}/log/$name.log
mon_data = {folder}/mon
osd_data = {folder}/osd
# Debian's build looks for them at a relative path
osd_class_dir = {classes}
osd_objectstore = {objects}
memstore_device_bytes = 4294967296
bluestore_block_size = 10737418240
bluestore_cache_autotune = false
bluestore_cache_size = 268435456
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_osd_nearfull_ratio = .98
mon_osd_backfillfull_ratio = .99
mon_osd_full_ratio = .995
osd_failsafe_full_ratio = .999
mon_data_avail_warn = 1
mon_data_avail_crit = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01

[client.rgw.a]
# without tcp_nodelay each small object takes 47 ms
rgw_frontends = beast endpoint=127.0.0.1:{gateway_port} tcp_nodelay=1
rgw_data = {folder}/rgw
rgw_enable_ops_log = false
rgw_enable_usage_log = false
"""


class Cluster:
    """A cluster in a folder of its own, killed and started again as often as wanted."""

    def __init__(self, folder: Path, objects: Literal["memstore", "bluestore"]) -> None:
        """Fill `folder`. `objects`: in memory, gone with the process, or in a file."""
        self.folder = folder
        gateway_port, monitor_port, osd_port = free_port(), free_port(), free_port()
        self.server = Server(f"http://127.0.0.1:{gateway_port}")
        self._monitor_address = f"[v2:127.0.0.1:{monitor_port}/0]"
        self._fsid = str(uuid.uuid4())
        self._osd = str(uuid.uuid4())
        self._processes: list[subprocess.Popen[bytes]] = []
        for name in ("mon", "osd", "rgw", "run", "log"):
            (folder / name).mkdir()
        (folder / "ceph.conf").write_text(
            _CONFIGURATION.format(
                fsid=self._fsid,
                folder=folder,
                classes=_CLASSES,
                objects=objects,
                monitor_port=monitor_port,
                osd_port=osd_port,
                last_osd_port=osd_port + _OSD_PORTS,
                gateway_port=gateway_port,
            )
        )
        self._make_keys()
        monitors = str(folder / "monitors")
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", self._monitor_address, monitors)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--keyring", str(folder / "keyring"))

    def start(self) -> None:
        """Start what is killed, and wait until the bucket takes objects."""
        self._start("ceph-mon", "-f", "-i", "a")
        if not any((self.folder / "osd").iterdir()):
            self._run("ceph", "osd", "new", self._osd)
            keyring = str(self.folder / "keyring")
            self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", self._osd, "--keyring", keyring)
        self._start("ceph-osd", "-f", "-i", "0")
        self._start("radosgw", "-f", "-n", "client.rgw.a")
        if not (self.folder / "user").exists():
            key, secret = ACCESS.values()
            words = ("--uid", "t", "--display-name", "t", "--access-key", key, "--secret-key", secret)
            self._run("radosgw-admin", "user", "create", *words)
            (self.folder / "user").touch()
        wait_until_ready(self.server, self._processes, self.folder / "log" / "client.rgw.a.log")

    def kill(self) -> None:
        """Kill all processes: they would take 8 s to end by themselves."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def _make_keys(self) -> None:
        """Without keys the gateway waits for ever for its connection."""
        keyring = str(self.folder / "keyring")
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        rights = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        for name in ("client.admin", "client.rgw.a", "osd.0"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *rights)

    def _start(self, *words: str) -> None:
        """Start a process that ends with this one."""
        command = ["setpriv", "--pdeathsig", "KILL", "--", *self._command(words)]
        with open(self.folder / "log" / f"{words[0]}.out", "ab") as output:
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder)
            )

    def _run(self, *words: str) -> None:
        result = subprocess.run(
            self._command(words), cwd=self.folder, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        assert result.returncode == 0, f"{words}: {result.stderr[-3000:]}"

    def _command(self, words: tuple[str, ...]) -> list[str]:
        program, *others = words
        return [program, "-c", str(self.folder / "ceph.conf"), *others]


@contextlib.contextmanager
def cluster(objects: Literal["memstore", "bluestore"], parent: Path | None = None) -> Iterator[Cluster]:
    """A running cluster in a folder of its own below `parent` (else the temporary one), both gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ceph-", dir=parent))
    running = Cluster(folder, objects)
    try:
        running.start()
        yield running
    finally:
        running.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """The gateway of a cluster that keeps its objects in memory."""
    with cluster("memstore") as running:
        yield running.server

"""What hosts of a site share, each on a machine of its own: PostgreSQL (and a standby), an S3 server, HAProxy."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import psycopg
from obstore.store import S3Store

from tests.crash.processes import members, until
from tests.hosts.network import Machine, environment
from tests.ports import free_port
from tests.postgres import DurableCluster
from tests.s3_server import ACCESS
from tests.seaweed import PORTS, server_words

DATABASE = "site"
BUCKET = "scans"
_SCALING = Path(__file__).resolve().parents[2] / "docs/scaling.md"
# The machine goes on when a cluster is killed, so what a commit has written need not be synced. A standby wants as many
# connections as initdb has noted.
_SETTINGS = {
    "listen_addresses": "*", "max_connections": "100", "fsync": "off", "tcp_user_timeout": "5000",
    "tcp_keepalives_idle": "5",
}  # fmt: skip


class Database:
    """A cluster that the network reaches; where it has a `standby`, it acknowledges nothing that this has not."""

    def __init__(self, folder: Path, machine: Machine, network: str, standby: Machine | None = None) -> None:
        synchronous = {"synchronous_standby_names": "*", "wal_keep_size": "256MB"} if standby is not None else {}
        primary = DurableCluster(folder / machine.name, folder / f"{machine.name}-data", _SETTINGS | synchronous)
        primary.allow_network(network)
        self.user = primary.user
        self.addresses = [machine.address]
        self._clusters = [(primary, machine)]
        if standby is not None:
            followed = {"primary_conninfo": f"host={machine.address} user={self.user} connect_timeout=3"}
            data = folder / f"{standby.name}-data"
            copy = DurableCluster(folder / standby.name, data, _SETTINGS | followed, copied=primary)
            self.addresses.append(standby.address)
            self._clusters.append((copy, standby))

    def start(self) -> None:
        for cluster, machine in self._clusters:
            cluster.start(machine.enter)
        if self._clusters[1:]:
            until(self._is_synchronous, "the standby never followed")
        self._primary.make_database(DATABASE)

    @property
    def _primary(self) -> DurableCluster:
        return self._clusters[0][0]

    @property
    def url(self) -> str:
        """What hosts name it by: whichever of its machines takes writes."""
        hosts = "&".join(f"host={address}" for address in self.addresses)
        return f"postgresql://{self.user}@/{DATABASE}?{hosts}&target_session_attrs=read-write"

    @property
    def conninfo(self) -> str:
        """The same for libpq."""
        hosts = ",".join(self.addresses)
        return f"host={hosts} user={self.user} dbname={DATABASE} target_session_attrs=read-write"

    def _is_synchronous(self) -> bool:
        with psycopg.connect(self._primary.conninfo("postgres")) as rows:
            return rows.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("sync",)]

    def kill_primary(self) -> None:
        self._primary.kill()

    def promote(self) -> None:
        """Let the standby take the place of the primary, which is dead for certain."""
        del self._clusters[0]
        with psycopg.connect(self._primary.conninfo("postgres"), autocommit=True) as rows:
            assert rows.execute("SELECT pg_promote()").fetchone() == (True,)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Not by the network: whatever is cut, a test sees what it has."""
        return psycopg.connect(self._primary.conninfo(DATABASE), autocommit=True)

    def close(self) -> None:
        for cluster, _ in self._clusters:
            cluster.kill()


class Service:
    """A program on a machine, in a group of its own; what it prints goes to a file."""

    def __init__(self, machine: Machine, words: Sequence[str | Path], log: Path) -> None:
        self.machine = machine
        self.log = log
        self._words = [*machine.words, "setpriv", "--pdeathsig", "KILL", "--", *map(str, words)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        if self._process is None:
            return
        group = self._process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait()
        until(lambda: not members(group), f"processes of {self._words} outlived them")
        self._process = None

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Bucket:
    """A SeaweedFS server with one bucket. What it was given it has when it is killed and started again."""

    def __init__(self, folder: Path, machine: Machine, client: Machine) -> None:
        folder.mkdir()
        # SeaweedFS names sockets in /tmp by its ports, and machines share /tmp: servers of two sites would meet there.
        ports = {name: free_port() for name in PORTS}
        self._service = Service(machine, server_words(folder, machine.address, ports), folder / "log")
        self._client = client
        self._port = ports["s3.port"]
        self.endpoint = f"http://{machine.address}:{self._port}"
        self._config = {
            "bucket": BUCKET, "region": "us-east-1", "endpoint": self.endpoint,
            "access_key_id": ACCESS["AWS_ACCESS_KEY_ID"], "secret_access_key": ACCESS["AWS_SECRET_ACCESS_KEY"],
        }  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until the bucket is there and takes an object."""
        self._service.start()
        until(lambda: self._put("") in (200, 409) and self._put("ready") == 200, self._service.log.read_text())

    def _put(self, key: str) -> int:
        """Put an object, or make the bucket: the status, 0 where none came."""
        assert self._service.runs(), self._service.log.read_text()
        store = S3Store(config=self._config, client_options={"allow_http": True})  # type: ignore[arg-type]
        address = obstore.sign(store, "PUT", key, timedelta(minutes=1))
        connection = self._client.connection(self._service.machine.address, self._port, 30)
        try:
            connection.request("PUT", address.removeprefix(self.endpoint), b"")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def kill(self) -> None:
        self._service.kill()


def balancer(folder: Path, machine: Machine, hosts: Sequence[Machine], port: int) -> Service:
    """HAProxy before web hosts, as docs/scaling.md has it; without stickiness."""
    folder.mkdir()
    documented = re.search(
        r"^    backend webs\n((?:        .*\n)+?)        server ", _SCALING.read_text(), re.MULTILINE
    )
    assert documented is not None
    servers = [f"server {host.name} {host.address}:8080" for host in hosts]
    lines = [
        "defaults", "mode http", "timeout connect 2s", "timeout client 1h", "timeout server 1h",
        "option redispatch", "retries 2",
        "frontend in", f"bind {machine.address}:{port}", "default_backend webs",
        "http-request set-header X-Forwarded-For %[src]", "http-request set-header X-Forwarded-Proto http",
        "backend webs", *map(str.strip, documented[1].splitlines()), *servers,
    ]  # fmt: skip
    (folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")
    return Service(machine, ["haproxy", "-db", "-f", folder / "haproxy.cfg"], folder / "log")

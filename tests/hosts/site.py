"""Hosts of one site that share no folder, behind a balancer, and a client; all on machines of their own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import LiteralString

from tests.crash.processes import SCANDOCK, environment, until
from tests.crash.served import FreshServerProcess
from tests.hosts.network import PREFIX, Machine, Network
from tests.hosts.servers import BUCKET, Bucket, Database, balancer
from tests.s3_server import ACCESS

PORT = 8080
NAME = "scandock"
"""Of every host's machine: that they are copies of each other must not matter."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# The words behind it run on a machine of that name, with that boot id, and process numbers and semaphores of its own.
_AS_A_MACHINE = f'hostname "$1" && mount --bind "$2" {_BOOT_ID} && mount -t tmpfs shm /dev/shm && shift 2 && exec "$@"'
# Not by the command `faketime`, which would be the machine's first process and pass no signal on.
_FAKE_TIME = ("LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1", "FAKETIME_DONT_FAKE_MONOTONIC=1")
_LEFT: tuple[LiteralString, ...] = (
    "SELECT upload, token, began, ended FROM store_attempt WHERE NOT swept AND coalesce(ended, 0) < began - 3600000",
    "SELECT key, due FROM stored_object WHERE due IS NOT NULL AND key NOT LIKE 'v1/m/%'",
    "SELECT number, gone FROM stored_tree WHERE gone IS NOT NULL",
)
"""What is there only until it is swept."""


class Host(FreshServerProcess):
    """`scandock serve` on a machine, with a data folder of its own."""

    def __init__(
        self, folder: Path, machine: Machine, client: Machine, settings: Mapping[str, str], *words: str,
        clock: str = "",
    ) -> None:  # fmt: skip
        """`clock` is how far the machine's is off ("+3600s")."""
        folder.mkdir(exist_ok=True)
        (folder / "boot").write_text(f"{machine.address.rpartition('.')[2]:0>8}-0000-4000-8000-000000000000\n")
        self.machine = machine
        self._client = client
        self.before = [
            *machine.words,
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", _AS_A_MACHINE, "sh", NAME, str(folder / "boot")),
            *(("env", *_FAKE_TIME, f"FAKETIME={clock}") if clock else ()),
        ]
        super().__init__(folder, PORT, "--host", machine.address, *words, **settings)

    def connect(self) -> http.client.HTTPConnection:
        return self._client.connection(self.machine.address, self.port, 30)

    def ready(self) -> Host:
        super().ready()
        return self

    def end(self) -> None:
        """Stop the server; whoever made its machine would not pass a signal on."""
        (server,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(server), signal.SIGTERM)
        assert self.wait() == 0, self.err.read_text()

    def power_off(self) -> None:
        """Let all of its processes be gone at once."""
        self.kill()
        self.process.wait(60)


class Site:
    """Three hosts; `roles` says what each does, and which of them the balancer asks."""

    def __init__(self, folder: Path, network: Network, roles: Mapping[str, str], **settings: str) -> None:
        machines = network.machines
        self.folder = folder
        self.network = network
        self.client = machines["client"]
        self.roles = dict(roles)
        self.database = Database(folder, machines["db"], f"{PREFIX}.0/24", machines.get("standby"))
        self.bucket = Bucket(folder / "s3", machines["s3"], self.client)
        self.settings = {
            "SCANDOCK_DATABASE_URL": self.database.url,
            "SCANDOCK_STORE": f"s3://{BUCKET}",
            "SCANDOCK_S3_ENDPOINT": self.bucket.endpoint,
            "SCANDOCK_TRUSTED_PROXIES": machines["lb"].address,
            "SCANDOCK_GARBAGE_DAYS": "0",
            **ACCESS,
            **settings,
        }
        webs = [machines[name] for name, role in roles.items() if role != "worker"]
        self.balancer = balancer(folder / "lb", machines["lb"], webs, PORT)
        self.hosts: dict[str, Host] = {}

    def start(self, own: Mapping[str, Mapping[str, str]]) -> None:
        """Start all of it, hosts with settings of their `own`."""
        self.database.start()
        self.bucket.start()
        self.balancer.start()
        for name in self.roles:
            self.start_host(name, **own.get(name, {}))
        for host in self.hosts.values():
            host.ready()

    def start_host(self, name: str, clock: str = "", **changes: str) -> Host:
        """Start one, with settings of its own beside the site's; it may be not ready yet."""
        words = ("--role", self.roles[name], "--workers", "2")
        machine = self.network.machines[name]
        self.hosts[name] = Host(self.folder / name, machine, self.client, self.settings | changes, *words, clock=clock)
        return self.hosts[name]

    def connect(self, port: int, timeout: float) -> http.client.HTTPConnection:
        """To the balancer, from the client's machine."""
        return self.client.connection(self.balancer.machine.address, port, timeout)

    def end_leases(self) -> None:
        """Let all that hosts have said of what they work on be half a minute older than it is."""
        with self.database.connect() as rows:
            rows.execute("UPDATE upload SET lease_until = lease_until - 30000 WHERE state = 'running'")
            rows.execute("UPDATE reception SET writer_seen = writer_seen - 30000")

    def pass_days(self) -> None:
        """Let what attempts have left be two days old: it is cleared away at a worker's next look, after an import."""
        with self.database.connect() as rows:
            rows.execute("UPDATE store_attempt SET ended = ended - 172800000")
            rows.execute("UPDATE stored_tree SET gone = gone - 172800000")

    def wait_until_swept(self) -> None:
        with self.database.connect() as rows:

            def left() -> list[tuple[object, ...]]:
                return [row for query in _LEFT for row in rows.execute(query)]

            until(lambda: not left(), lambda: f"not swept: {left()}")

    def check(self, log: Path, hosts: Iterable[str]) -> list[str]:
        """What the checker and, on each of these hosts, `scandock check` find wrong, and unexpected errors in logs."""
        places = [self.database.conninfo, self.bucket.endpoint, BUCKET, str(log)]
        words = [sys.executable, "-m", "tests.hosts.checker", *places]
        checked = subprocess.run([*self.client.words, *words], capture_output=True, text=True, check=False)
        wrong = [*checked.stdout.splitlines(), *([checked.stderr] if checked.returncode else [])]
        for host in map(self.hosts.__getitem__, hosts):
            words = [str(SCANDOCK), "check", "--data", str(host.data)]
            checked = subprocess.run(
                [*host.machine.words, *words], env=environment(**self.settings),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if checked.returncode:
                wrong.append(f"{host.machine.name}: {checked.stdout}{checked.stderr}")
        for host in self.hosts.values():
            lines = host.err.read_text().splitlines()
            wrong += [f"{host.machine.name}: {line}" for line in lines if '"event": "unexpected"' in line]
        return wrong

    def close(self) -> None:
        for host in self.hosts.values():
            host.kill()
        for host in self.hosts.values():
            host.wait()
        self.balancer.kill()
        self.bucket.kill()
        self.database.close()


def machine_names(roles: Iterable[str], *, standby: bool = False) -> list[str]:
    return ["db", *(["standby"] if standby else []), "s3", "lb", "client", *roles]

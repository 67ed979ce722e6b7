"""An import that stands still on one host while something is done to the site, and what has become of it."""

from __future__ import annotations

import os
import signal
import time
from typing import NamedTuple

from tests.crash.processes import is_stopped, process_name, until
from tests.hosts.load import PATIENCE, Load
from tests.hosts.network import Machine
from tests.hosts.site import Host

VICTIM = "h2"


class Standing(NamedTuple):
    """An import as its row says: `lease` is how many ms its lease goes on, by the database's clock."""

    state: str
    attempt: int
    lease: int


class Scene:
    """The host h2 has an import that stopped itself before its rows were written."""

    def __init__(self, load: Load, clock: str = "") -> None:
        """`clock`: how far that of h2 is off ("+3600s")."""
        self.load = load
        self.site = load.site
        once = self.site.folder / f"stopped-{time.monotonic_ns()}"
        armed = {"SCANDOCK_CRASH_AT": "rows", "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": str(once)}
        if self.site.hosts:
            self.site.hosts[VICTIM].power_off()
            self.site.start_host(VICTIM, clock, **armed).ready()
        else:
            self.site.start({VICTIM: {"clock": clock, **armed}})
            self.site.hosts[VICTIM].project()
        self.victim: Host = self.site.hosts[VICTIM]
        self.machine: Machine = self.victim.machine
        sent = []
        while not once.exists():  # whichever host is quicker takes an upload
            sent.append(load.send())
            until(lambda: once.exists() or self.standing(sent[-1]).state == "placed", "nobody imports")
        until(lambda: any(map(is_stopped, self.victim.children("attempt"))), "it was to stop there")
        (self.attempt,) = (pid for pid in self.victim.children("attempt") if is_stopped(pid))
        (self.upload,) = (upload for upload in sent if self.standing(upload).state == "running")

    def standing(self, upload: str = "") -> Standing:
        query = (
            "SELECT state, attempt, coalesce(lease_until, 0) - (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            " FROM upload WHERE uuid = %s"
        )
        with self.site.database.connect() as rows:
            (row,) = rows.execute(query, [upload or self.upload])
        return Standing(*row)

    def wait_until_taken_over(self) -> None:
        """Wait until another host has ended the import."""
        until(lambda: self.standing().state == "placed", f"not taken over: {self.standing()}", PATIENCE)
        assert self.standing().attempt == 2

    def go_on(self) -> None:
        """Let the attempt go on, where its worker has not killed it meanwhile."""
        if process_name(self.attempt) == "attempt":
            os.kill(self.attempt, signal.SIGCONT)

    def wait_until_noticed(self) -> None:
        """Wait until no web host is ready any more."""
        hosts = [self.site.hosts[name] for name, role in self.site.roles.items() if role != "worker"]
        until(lambda: all(host.ask("GET", "/readyz")[0] == 503 for host in hosts), "a host is ready all the same")

    def end(self) -> None:
        """Let h2 be a host as it was."""
        if self.victim.process.poll() is None:
            self.go_on()
            self.victim.ready().end()
        self.site.start_host(VICTIM).ready()

    def clear_up(self) -> None:
        """Let the site take and import another upload, and sweep what was left before."""
        self.load.wait_until_ended()
        self.site.pass_days()
        self.load.send()
        self.load.wait_until_ended()
        self.site.wait_until_swept()
